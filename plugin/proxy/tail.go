package proxy

import "bytes"

// tail keeps the end of a stream, from the start of its last event, in little
// memory (DESIGN 3: at most 1 MiB of it is told).
type tail struct {
	kept  []byte
	limit int
}

const (
	tailRing = 64 << 10
	tailMost = 1 << 20
)

func (t *tail) add(p []byte) {
	t.kept = append(t.kept, p...)
	if t.limit == 0 {
		t.limit = 2 * tailRing
	}
	if len(t.kept) < t.limit {
		return
	}
	last := t.bytes()
	t.kept = t.kept[:copy(t.kept, last)]
	t.limit = max(2*tailRing, 2*len(t.kept)) // a long event is not searched at every chunk
}

// reset forgets what is kept, for another stream.
func (t *tail) reset() {
	poison(t.kept)
	t.kept, t.limit = t.kept[:0], 0
}

// bytes is the last event, or as much of its end as is kept.
func (t *tail) bytes() []byte {
	text := bytes.TrimRight(t.kept, "\r\n")
	start := 0
	if len(text) > 0 {
		start = max(after(text, "\n\n"), after(text, "\r\n\r\n"))
	}
	return t.kept[max(start, len(t.kept)-tailMost):]
}

// after is where the text behind the last separator starts, 0 without one.
func after(text []byte, separator string) int {
	i := bytes.LastIndex(text, []byte(separator))
	if i < 0 {
		return 0
	}
	return i + len(separator)
}
