package rpc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxHead bounds a header block, which in practice has under 60 bytes.
const maxHead = 8 << 10

// The headers that are read, in lower case. Every block must have the first; it
// is also what is looked for when the place in the stream was lost.
const (
	contentLength    = "content-length"
	attachmentLength = "attachment-length"
)

// head is a header block understood. content is −1 when it was not given.
type head struct {
	content    int64
	attachment int64
	attached   bool
	fault      string // why the block is malformed, "" when it is not
}

// readHead looks at a header block without consuming it and gives its length.
func (r *reader) readHead() (h head, size int, err error) {
	h.content = -1
	for {
		line, err := r.peekLine(size)
		if err != nil {
			if err == bufio.ErrBufferFull {
				h.content, h.fault = -1, fmt.Sprintf("a header block longer than %d bytes", maxHead)
				return h, size, nil
			}
			if err == io.EOF {
				h.content, h.fault = -1, "the stream ended inside a header block"
				return h, size, nil
			}
			return h, size, err
		}
		size += len(line)
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			if h.content < 0 && h.fault == "" {
				h.fault = "a header block without Content-Length"
			}
			return h, size, nil
		}
		if !h.add(text) {
			return h, size, nil
		}
	}
}

// peekLine gives the line that begins at offset from, its newline included,
// waiting for it. It returns bufio.ErrBufferFull past maxHead.
func (r *reader) peekLine(from int) ([]byte, error) {
	for want := from + 1; ; {
		_, err := r.in.Peek(want)
		b, _ := r.in.Peek(min(r.in.Buffered(), maxHead))
		if i := bytes.IndexByte(b[min(from, len(b)):], '\n'); i >= 0 {
			return b[from : from+i+1], nil
		}
		if err != nil {
			return nil, err
		}
		if want = len(b) + 1; want > maxHead {
			return nil, bufio.ErrBufferFull
		}
	}
}

// add reads one header line and notes what is wrong with it. Headers with other
// names are ignored. It reports whether reading on makes sense: with a length,
// the message can still be read for its id.
func (h *head) add(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !isToken(name) {
		h.fault = "a line that is no header in a header block"
		return h.content >= 0
	}
	switch name = strings.ToLower(name); name {
	case contentLength:
		if n, ok := h.length(name, value, h.content >= 0, h.content); ok {
			h.content = n
		}
		return h.content >= 0
	case attachmentLength:
		if n, ok := h.length(name, value, h.attached, h.attachment); ok {
			h.attachment, h.attached = n, true
		}
	}
	return true
}

// length reads a header's value. A header that was given before must say the same.
func (h *head) length(name, value string, given bool, before int64) (int64, bool) {
	// 62 bits, so that the sum of two lengths cannot overflow.
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 62)
	switch {
	case err != nil:
		h.fault = "a header " + name + " that is no length in bytes"
	case given && int64(n) != before:
		h.fault = "two header lines " + name + " that differ"
	default:
		return int64(n), true
	}
	return 0, false
}

func isToken(name string) bool {
	for _, c := range []byte(name) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return name != ""
}
