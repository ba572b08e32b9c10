package request

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// plainly is plainWords, one byte after the other.
func plainly(raw []byte, i int) int {
	for ; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"' || c < 0x20:
			return i
		case c == '\\':
			if i+1 == len(raw) || !usual(raw[i+1]) {
				return i
			}
			i++
		}
	}
	return len(raw)
}

// However many bytes are looked at together, they are found to be the same.
func TestPlain(t *testing.T) {
	inside := rapid.SampledFrom([]string{"x", "0123456789abcdef", `\\`, `\"`, `\n`, `\t`, `\r`, `\b`, `\f`, `\/`, "ä", "\x7f", "\xdc\xa2", "b", "/"})
	end := rapid.SampledFrom([]string{`"`, "\n", "\x1f", "\x00", `\`, `\u0041`, `\x`, "\\\xa2", "\\\x02", ""})
	rapid.Check(t, func(r *rapid.T) {
		var raw []byte
		for _, part := range rapid.SliceOfN(inside, 0, 80).Draw(r, "inside") {
			raw = append(raw, part...)
		}
		raw = append(raw, end.Draw(r, "end")...)
		for _, part := range rapid.SliceOfN(rapid.OneOf(inside, end), 0, 40).Draw(r, "behind") {
			raw = append(raw, part...)
		}
		for from := 0; from <= min(len(raw), 40); from++ {
			want := plainly(raw, from)
			if got := plainWords(raw, from); got != want {
				r.Fatalf("plainWords(%q, %d) = %d, want %d", raw, from, got, want)
			}
			if got := plain(raw, from); got != want {
				r.Fatalf("plain(%q, %d) = %d, want %d", raw, from, got, want)
			}
		}
	})
}

// The memory behind the body is not ours to read.
func TestPlainStopsAtTheEnd(t *testing.T) {
	memory := bytes.Repeat([]byte("x"), 200)
	for n := range 100 {
		if got := plain(memory[:n:n], 0); got != n {
			t.Errorf("%d bytes: %d", n, got)
		}
	}
}
