package rpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// framing is how messages are told apart on the stream.
type framing int

const (
	framingLines   framing = iota // one JSON text a line
	framingHeaders                // Content-Length and Attachment-Length, as in LSP
)

const (
	// maxMessage bounds one message: its JSON and its attachment together.
	maxMessage = 64 << 20
	// readBuffer must hold a whole header block: it is looked at before it is consumed.
	readBuffer = 64 << 10
)

// frame is one message as it lay on the stream. attachment is nil when there was
// none, and empty when the host announced one of no bytes.
type frame struct {
	json       []byte
	attachment []byte
}

// frameError is a message that could not be taken, with the stream in order
// again behind it. id is nil when none could be read.
type frameError struct {
	tooLarge bool
	// complete is true when the JSON was seen to its end: no id then means that
	// it was a notification.
	complete bool
	id       []byte
	reason   string
}

func (e *frameError) Error() string { return e.reason }

// reader cuts the host's bytes into frames. framing is set before the first
// call of next returns. It never gives up on malformed input: next returns a
// *frameError and the following call goes on behind it.
type reader struct {
	in      *bufio.Reader
	framing framing
	buffers buffers
	decided bool
	skip    int64 // bytes of a refused message that are still to come
	lost    bool  // the end of the last message is unknown
}

func newReader(in io.Reader) *reader {
	return &reader{in: bufio.NewReaderSize(in, readBuffer)}
}

// next gives the next message, a *frameError, or the stream's own error; io.EOF
// means that the host closed it between two messages.
func (r *reader) next() (frame, error) {
	if err := r.catchUp(); err != nil {
		return frame{}, err
	}
	first, err := r.skipBlank()
	if err != nil {
		return frame{}, err
	}
	if !r.decided {
		r.decided = true
		if strings.IndexByte("CcAa", first) >= 0 {
			r.framing = framingHeaders
		}
	}
	if r.framing == framingHeaders {
		return r.block()
	}
	return r.line()
}

// catchUp moves behind what the last call left on the stream.
func (r *reader) catchUp() error {
	for r.skip > 0 {
		n, err := r.in.Discard(int(min(r.skip, 1<<30)))
		r.skip -= int64(n)
		if err != nil {
			return err
		}
	}
	if r.lost {
		if err := r.resync(); err != nil {
			return err
		}
		r.lost = false
	}
	return nil
}

// skipBlank passes over white space and byte order marks before a message and
// gives its first byte, unread.
func (r *reader) skipBlank() (byte, error) {
	const bom = "\xef\xbb\xbf"
	for {
		b, err := r.in.Peek(1)
		if err != nil {
			return 0, err
		}
		n := 1
		switch b[0] {
		case ' ', '\t', '\r', '\n':
		case bom[0]:
			if mark, _ := r.in.Peek(len(bom)); string(mark) != bom {
				return b[0], nil
			}
			n = len(bom)
		default:
			return b[0], nil
		}
		if _, err := r.in.Discard(n); err != nil {
			return 0, err
		}
	}
}

// line reads one line. The last one may end with the stream instead.
func (r *reader) line() (frame, error) {
	var line []byte
	for {
		chunk, err := r.in.ReadSlice('\n')
		end := err == nil
		if len(line)+len(bytes.TrimRight(chunk, "\r\n")) > maxMessage {
			return frame{}, r.refuseLine(line, chunk, end)
		}
		line = append(line, chunk...)
		switch {
		case end, err == io.EOF:
			return frame{json: line}, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return frame{}, err
		}
	}
}

// refuseLine passes over the rest of a line that is too long, looking for its id.
func (r *reader) refuseLine(line, chunk []byte, end bool) error {
	var scan idScanner
	scan.write(line)
	scan.write(chunk)
	for !end {
		more, err := r.in.ReadSlice('\n')
		scan.write(more)
		end = err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break // told by the next read
		}
	}
	return tooLarge(&scan)
}

// block reads one message with headers. A malformed block is consumed only as
// far as it was understood, because a message may begin in the middle of it.
func (r *reader) block() (frame, error) {
	h, size, err := r.readHead()
	if err != nil {
		return frame{}, err
	}
	if h.content < 0 {
		// One byte at least, or the same block would be found again.
		_, _ = r.in.Discard(1) // cannot fail: it was peeked
		r.lost = true
		return frame{}, &frameError{reason: h.fault}
	}
	_, _ = r.in.Discard(size) // cannot fail: it was peeked
	if h.content+h.attachment > maxMessage {
		return frame{}, r.refuseBlock(h)
	}
	f := frame{json: make([]byte, h.content)}
	if _, err := io.ReadFull(r.in, f.json); err != nil {
		return frame{}, cutShort(err, nil)
	}
	if h.fault != "" {
		r.skip, r.lost = h.attachment, true
		return frame{}, &frameError{reason: h.fault, id: idOf(f.json)}
	}
	if h.attached {
		f.attachment = r.buffers.get(int(h.attachment))
		if _, err := io.ReadFull(r.in, f.attachment); err != nil {
			return frame{}, cutShort(err, idOf(f.json))
		}
	}
	return f, nil
}

// refuseBlock reads as much of a too large message as its id needs and leaves
// the rest to be skipped.
func (r *reader) refuseBlock(h head) error {
	var scan idScanner
	left := h.content
	for left > 0 && !scan.done() {
		// What is buffered already, or else what the next read brings.
		if _, err := r.in.Peek(1); err != nil {
			break // told by the next read
		}
		chunk, _ := r.in.Peek(int(min(left, int64(r.in.Buffered()))))
		scan.write(chunk)
		_, _ = r.in.Discard(len(chunk)) // cannot fail: it was peeked
		left -= int64(len(chunk))
	}
	r.skip = left + h.attachment
	r.lost = h.fault != ""
	return tooLarge(&scan)
}

func tooLarge(scan *idScanner) error {
	return &frameError{
		tooLarge: true, complete: scan.complete(), id: scan.found(),
		reason: fmt.Sprintf("the message is larger than %d MiB and was not read: shorten the session or leave large files out", maxMessage>>20),
	}
}

// cutShort is a message whose end never came. Every other failure of the stream
// is passed on.
func cutShort(err error, id []byte) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &frameError{reason: "the stream ended inside a message", id: id}
	}
	return err
}

// resync moves to the next place where a header block may begin.
func (r *reader) resync() error {
	const mark = contentLength + ":"
	for {
		if _, err := r.in.Peek(len(mark)); err != nil {
			_, _ = r.in.Discard(r.in.Buffered()) // cannot fail: it is buffered
			return err
		}
		b, _ := r.in.Peek(r.in.Buffered())
		last := len(b) - len(mark)
		for i := 0; i <= last; i++ {
			if b[i]|0x20 == mark[0] && strings.EqualFold(string(b[i:i+len(mark)]), mark) {
				_, _ = r.in.Discard(i) // cannot fail: it was peeked
				return nil
			}
		}
		_, _ = r.in.Discard(last + 1) // cannot fail: it was peeked
	}
}
