package logging

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// tailPause is how often Follow looks for new lines.
const tailPause = 250 * time.Millisecond

// RequestTail reads the request log that other processes write, line by line.
// Each line is one Event as JSON, redacted when it was written.
type RequestTail struct {
	log  rotatingFile // only its names
	f    *os.File     // the current file as far as it was read, nil when there is none
	r    *bufio.Reader
	part []byte // the beginning of a line whose end is not written yet
}

// OpenRequestTail opens the log in dir. A log that is not there yet has no lines.
// The caller closes it.
func OpenRequestTail(dir string) (*RequestTail, error) {
	t := &RequestTail{log: rotatingFile{path: filepath.Join(dir, RequestsLog)}}
	if err := t.open(); err != nil {
		return nil, err
	}
	return t, nil
}

// Close ends the reading.
func (t *RequestTail) Close() error {
	if t.f == nil {
		return nil
	}
	return t.f.Close()
}

// Path is the newest file.
func (t *RequestTail) Path() string { return t.log.path }

// Last gives the last n lines there are, from older files too; n < 0 is all.
func (t *RequestTail) Last(n int) ([][]byte, error) {
	lines, err := t.rest(n)
	for i := 1; i < keptFiles && err == nil && (n < 0 || len(lines) < n); i++ {
		older := RequestTail{log: rotatingFile{path: t.log.numbered(i)}}
		if err = older.open(); err != nil || older.f == nil {
			break
		}
		more, rerr := older.rest(n)
		err = errors.Join(rerr, older.Close())
		lines = append(more, lines...)
	}
	if n >= 0 && len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return lines, err
}

// rest reads the file to its end, and keeps the last n lines.
func (t *RequestTail) rest(n int) ([][]byte, error) {
	var lines [][]byte
	err := t.drain(func(line []byte) error {
		lines = append(lines, line)
		if n >= 0 && len(lines) > 2*n+1 {
			lines = append(lines[:0], lines[len(lines)-n:]...)
		}
		return nil
	})
	return lines, err
}

// Follow gives each line that is written from here on, through rotations, until
// ctx ends; then it returns nil.
func (t *RequestTail) Follow(ctx context.Context, each func(line []byte) error) error {
	pause := time.NewTicker(tailPause)
	defer pause.Stop()
	for {
		// Whether it was replaced is asked first: what is read after that is all
		// that the old file ever got.
		replaced, err := t.replaced()
		if err == nil {
			err = t.drain(each)
		}
		if err != nil {
			return err
		}
		if replaced {
			if err := errors.Join(t.Close(), t.open()); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

// replaced reports whether the path is another file by now, or one that was cut.
func (t *RequestTail) replaced() (bool, error) {
	onDisk, err := os.Stat(t.log.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // until there is a new one
	}
	if err != nil || t.f == nil {
		return err == nil, err
	}
	open, err := t.f.Stat()
	if err != nil {
		return false, err
	}
	at, err := t.f.Seek(0, io.SeekCurrent)
	return !os.SameFile(open, onDisk) || onDisk.Size() < at, err
}

func (t *RequestTail) open() error {
	f, err := os.Open(t.log.path)
	t.f, t.part = nil, nil
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("read the request log: %w", err)
	}
	t.f, t.r = f, bufio.NewReader(f)
	return nil
}

// drain gives every whole line up to the file's present end.
func (t *RequestTail) drain(each func(line []byte) error) error {
	if t.f == nil {
		return nil
	}
	for {
		chunk, err := t.r.ReadBytes('\n')
		t.part = append(t.part, chunk...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the request log: %w", err)
		}
		line := bytes.TrimSpace(t.part)
		t.part = nil
		if len(line) > 0 {
			if err := each(line); err != nil {
				return err
			}
		}
	}
}
