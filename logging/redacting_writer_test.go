package logging

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestRedactingWriterSplitWrites(t *testing.T) {
	line := `a "refresh_token":"abc.def" Bearer xyz ` + testJWT + " " + testRefresh + " end\nnext\n"
	const want = `a "refresh_token":"[redacted]" Bearer [redacted] [redacted] [redacted] end` + "\nnext\n"
	for cut := range line {
		var out bytes.Buffer
		w := NewRedactingWriter(&out)
		for _, piece := range []string{line[:cut], line[cut:]} {
			if n, err := w.Write([]byte(piece)); err != nil || n != len(piece) {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		if out.String() != want {
			t.Fatalf("cut at %d: got %q", cut, out.String())
		}
	}
}

func TestRedactingWriterFlush(t *testing.T) {
	var out bytes.Buffer
	w := NewRedactingWriter(&out)
	w.Write([]byte("no end: Bearer abc"))
	if out.Len() != 0 {
		t.Fatalf("an unfinished line went out: %q", out.String())
	}
	if err := w.Flush(); err != nil || out.String() != "no end: Bearer [redacted]" {
		t.Fatalf("Flush: %v, %q", err, out.String())
	}
}

func TestRedactingWriterLongLine(t *testing.T) {
	for _, tc := range []struct{ name, long, kept string }{
		{"cut at a blank", "begin Bearer " + strings.Repeat("t", 2*maxLine), "begin Bearer [line cut after 13 bytes]\n"},
		{"no blank at all", strings.Repeat("t", 2*maxLine), "[line cut after 0 bytes]\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			w := NewRedactingWriter(&out)
			for piece := range slices.Chunk([]byte(tc.long), 1000) {
				w.Write(piece)
				if cap(w.line) > 4*maxLine {
					t.Fatalf("%d bytes held back", cap(w.line))
				}
			}
			w.Write([]byte("still the same line\nnext line\n"))
			if got := out.String(); got != tc.kept+"next line\n" {
				t.Errorf("got %.200q", got)
			}
		})
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestRedactingWriterFailure(t *testing.T) {
	if _, err := NewRedactingWriter(failingWriter{}).Write([]byte("line\n")); err == nil {
		t.Error("the failure was swallowed")
	}
}
