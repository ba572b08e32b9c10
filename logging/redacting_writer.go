package logging

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// maxLine bounds what a RedactingWriter holds back.
const maxLine = 1 << 20

// RedactingWriter passes whole lines on to another writer, each through Redact.
// It holds an unfinished line back, so that a token split over two writes is
// seen in one piece. Of a line longer than 1 MiB only the beginning is passed
// on. It is safe for concurrent use.
type RedactingWriter struct {
	mu       sync.Mutex
	to       io.Writer
	line     []byte // the unfinished line
	skipping bool   // the rest of an overlong line is being dropped
}

// NewRedactingWriter writes to w what Redact leaves of the lines written to it.
func NewRedactingWriter(w io.Writer) *RedactingWriter {
	return &RedactingWriter{to: w}
}

// Write takes all of p, or fails with the error of the writer underneath.
func (r *RedactingWriter) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for rest := p; len(rest) > 0; {
		piece, ended := rest, false
		if nl := bytes.IndexByte(rest, '\n'); nl >= 0 {
			piece, ended = rest[:nl+1], true
		}
		rest = rest[len(piece):]
		if !r.skipping {
			r.line = append(r.line, piece...)
		}
		if err := r.passOn(ended); err != nil {
			return len(p) - len(rest), err
		}
		if ended {
			r.skipping = false
		}
	}
	return len(p), nil
}

// passOn writes the line out when it has ended or grown too long.
func (r *RedactingWriter) passOn(ended bool) error {
	if len(r.line) > maxLine {
		r.line = cutLine(r.line)
		r.skipping = !ended
		return r.flush()
	}
	if ended {
		return r.flush()
	}
	return nil
}

// cutLine shortens an overlong line at a blank, where no token can be cut in
// two and half of it shown.
func cutLine(line []byte) []byte {
	blank := bytes.LastIndexByte(line[:maxLine], ' ')
	return fmt.Appendf(line[:blank+1], "[line cut after %d bytes]\n", blank+1)
}

// Flush passes on a line that has not ended yet. Call it once, at the end.
func (r *RedactingWriter) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flush()
}

func (r *RedactingWriter) flush() error {
	line := r.line
	r.line = nil
	if len(line) == 0 {
		return nil
	}
	_, err := r.to.Write(Redact(line))
	return err
}
