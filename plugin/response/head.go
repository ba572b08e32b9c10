package response

import (
	"bytes"
	"time"

	"github.com/tidwall/gjson"
)

// headLimit is how much of a stream is looked at before it is delivered anyway
// (DESIGN 3).
const headLimit = 1 << 20

// Head reads the beginning of a 2xx answer until it says what it is: a failure,
// or output that must reach the host. It keeps no more than the event being
// read, at most 1 MiB. The zero value is ready; one answer, one Head.
type Head struct {
	scanner eventScanner
	mark    int // bytes of a byte order mark seen
	shape   shape
	json    []byte
	depth   jsonDepth
	fed     int
	decided bool
	failure *refusal
	limits  [][]byte // codex.rate_limits events, read when the headers are known
}

// shape is what the first byte says of a body.
type shape int

const (
	shapeUnknown shape = iota
	shapeEvents
	shapeJSON
)

// maxLimitEvents bounds the rate limit events kept; the last ones count.
const maxLimitEvents = 8

// Feed takes the next bytes of the body, in any split. What comes after the
// answer has shown itself is ignored.
func (h *Head) Feed(p []byte) {
	p = p[:min(len(p), headLimit-h.fed)]
	h.fed += len(p)
	if !h.decided && h.shape == shapeUnknown {
		p = h.start(p)
	}
	switch {
	case h.decided || len(p) == 0:
	case h.shape == shapeJSON:
		h.feedJSON(p)
	case h.shape == shapeEvents:
		h.scanner.feed(p, h.event)
	}
	if h.fed == headLimit {
		h.decided = true
	}
	if h.decided {
		h.scanner, h.json = eventScanner{}, nil
	}
}

// start skips a byte order mark and white space, and tells the shape from the
// first byte behind them. It gives the rest of p.
func (h *Head) start(p []byte) []byte {
	if before := h.fed - len(p); before == h.mark {
		n := len(commonPrefix(p, byteOrderMark[h.mark:]))
		h.mark += n
		p = p[n:]
	}
	if len(p) > 0 && h.mark > 0 && h.mark < len(byteOrderMark) {
		h.decided = true // bytes that are no text
		return nil
	}
	p = bytes.TrimLeft(p, " \t\r\n")
	if len(p) == 0 {
		return nil
	}
	switch c := p[0]; {
	case c == '{':
		h.shape = shapeJSON
	case c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		h.shape = shapeEvents
	default: // HTML, compressed bytes, another JSON value: nothing to wait for
		h.decided = true
	}
	return p
}

func commonPrefix(a, b []byte) []byte {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// event takes one event and reports whether to go on.
func (h *Head) event(name, data []byte) bool {
	switch kind, _ := readKind(name, data); kind {
	case kindPreamble:
	case kindRateLimits:
		if len(h.limits) == maxLimitEvents {
			h.limits = h.limits[1:]
		}
		h.limits = append(h.limits, bytes.Clone(data))
	case kindFailed:
		r := readEvent(data)
		h.failure, h.decided = &r, true
	default:
		h.decided = true
	}
	return !h.decided
}

// feedJSON takes a body that is one JSON document, not a stream: some refusals
// come so, with status 200.
func (h *Head) feedJSON(p []byte) {
	n, whole := h.depth.scan(p)
	h.json = append(h.json, p[:n]...)
	if !whole {
		return
	}
	h.decided = true
	if root := gjson.ParseBytes(h.json); hasError(root) {
		r := readJSON(root)
		h.failure = &r
	}
}

// finish is for a body that will not grow.
func (h *Head) finish() {
	if !h.decided && h.shape == shapeEvents {
		h.scanner.finish(h.event)
	}
}

// Outcome is what the bytes so far mean, with the status and headers they came
// with: ClassMore while they say nothing, ClassOutput when they are to be
// delivered, else the failure's class with InStream set. It may be asked after
// every Feed.
func (h *Head) Outcome(now time.Time, status int, headers []Header) Outcome {
	a := newAnswer(status, headers, now)
	for _, event := range h.limits {
		windows, plan := readRateLimits(event, headers, now)
		a.windows = mergeWindows(a.windows, windows)
		if plan != "" {
			a.plan = plan
		}
	}
	switch {
	case h.failure != nil:
		return a.refused(h.failure)
	case h.decided:
		return a.outcome(ClassOutput)
	}
	return a.outcome(ClassMore)
}

// jsonDepth finds the end of a JSON document fed in pieces, by its braces.
type jsonDepth struct {
	open     int
	inString bool
	escaped  bool
}

// scan reads up to the document's end and gives how many bytes belong to it.
func (d *jsonDepth) scan(p []byte) (n int, whole bool) {
	for i, c := range p {
		switch {
		case d.escaped:
			d.escaped = false
		case d.inString:
			d.escaped = c == '\\'
			d.inString = c != '"'
		case c == '"':
			d.inString = true
		case c == '{' || c == '[':
			d.open++
		case c == '}' || c == ']':
			if d.open--; d.open == 0 {
				return i + 1, true
			}
		}
	}
	return len(p), false
}
