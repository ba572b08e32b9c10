package rpc

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// TestReader shows what the reader makes of a stream: one line a frame, as
// "json" or "json+attachment", or "!reason id" for a refusal.
func TestReader(t *testing.T) {
	const bom = "\ufeff"
	cases := []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"only blanks", bom + " \r\n\t\n", nil},
		{"lines", "{\"a\":1}\n{\"b\":2}\r\n\n", []string{`{"a":1}`, `{"b":2}`}},
		{"a last line without its end", `{"a":1}`, []string{`{"a":1}`}},
		{"a mark and blanks first", bom + "\n  {}\n" + bom + "{}\n", []string{"{}", "{}"}},
		{"half a mark", "\xef\xbb", []string{"\xef\xbb"}},
		{"headers", framed("{}", "") + framed(`{"a":1}`, "raw"), []string{"{}", `{"a":1}+raw`}},
		{"bare newlines", "Content-Length: 2\n\n{}Content-Length: 2\n\n{}", []string{"{}", "{}"}},
		{"any case, any order, blanks", "ATTACHMENT-length:1 \r\nX-Other: y\r\ncontent-LENGTH:2\r\n\r\n{}!\r\n" + framed("{}", ""), []string{"{}+!", "{}"}},
		{"an attachment of no bytes", "Content-Length: 2\r\nAttachment-Length: 0\r\n\r\n{}", []string{"{}+"}},
		{"attachment before the length is known to be missing", "Attachment-Length: 3\r\n\r\nabc" + framed("{}", ""), []string{"!a header block without Content-Length ", "{}"}},
		{"bytes of any value in an attachment", framed("{}", "\x00\xff\r\n\r\nContent-Length: 9") + framed("{}", ""), []string{"{}+\x00\xff\r\n\r\nContent-Length: 9", "{}"}},
		{"a header inside a junk line", framed("{}", "") + "junk: Content-Length: 2\r\n\r\n{}", []string{"{}", "!a header block without Content-Length ", "{}"}},
		{"junk that is no text", framed("{}", "") + "\x00\xff\xfe\"" + framed("{}", ""), []string{"{}", "!a line that is no header in a header block ", "{}"}},
		{"a length beyond 62 bits", "Content-Length: 9999999999999999999\r\n\r\n{}" + framed("{}", ""), []string{"!a header content-length that is no length in bytes ", "{}"}},
		{"the same length twice", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", []string{"{}"}},
		{"a head without end", "Content-Length: 2\r\n" + strings.Repeat("X: y\r\n", 2000) + "\r\n{}" + framed("{}", ""), []string{"!a header block longer than 8192 bytes ", "{}"}},
		{"a line without end", "C" + strings.Repeat("x", 100_000) + framed("{}", ""), []string{"!a header block longer than 8192 bytes ", "{}"}},
		{"bad attachment length, then skipped", "Attachment-Length: 2\r\nAttachment-Length: 3\r\nContent-Length: 8\r\n\r\n{\"id\":4}xyz" + framed("{}", ""),
			[]string{"!two header lines attachment-length that differ 4", "{}"}},
		{"a known attachment of a bad head is no place to look", "Content-Length: 8\r\nAttachment-Length: 24\r\nbad\r\n\r\n{\"id\":4}Content-Length: 2\r\n\r\n[]x" + framed("{}", ""),
			[]string{"!a line that is no header in a header block 4", "{}"}},
		{"an id is told where the JSON could be read", "Content-Length: 8\r\nbad\r\n\r\n{\"id\":4}" + framed("{}", ""), []string{"!a line that is no header in a header block 4", "{}"}},
		{"cut in the head", "Content-Length: 2\r\n", []string{"!the stream ended inside a header block "}},
		{"cut in the JSON", "Content-Length: 2\r\n\r\n{", []string{"!the stream ended inside a message "}},
		{"cut in the attachment", "Content-Length: 8\r\nAttachment-Length: 2\r\n\r\n{\"id\":4}x", []string{"!the stream ended inside a message 4"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
				if diff := cmp.Diff(c.want, readAll(t, newReader(in))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func readAll(t *testing.T, r *reader) (all []string) {
	t.Helper()
	defer func() {
		for i, text := range all {
			all[i] = text[:min(len(text), 300)] // 64 MiB make no readable failure
		}
	}()
	for {
		f, err := r.next()
		var refused *frameError
		switch {
		case err == io.EOF:
			return all
		case errors.As(err, &refused):
			all = append(all, fmt.Sprintf("!%s %s", refused.reason, refused.id))
		case err != nil:
			t.Fatal(err)
		case f.attachment != nil:
			all = append(all, string(f.json)+"+"+string(f.attachment))
		default:
			all = append(all, strings.TrimRight(string(f.json), "\r\n"))
		}
	}
}

// TestTooLarge sends messages around the limit, at its real size.
func TestTooLarge(t *testing.T) {
	const small = `{"jsonrpc":"2.0","id":"after","method":"x"}`
	xs := endless(strings.Repeat("x", 64<<10))
	fill := func(n int) io.Reader { return io.LimitReader(xs, int64(n)) }
	text := func(s string) io.Reader { return strings.NewReader(s) }
	head := func(content, attachment int) io.Reader {
		return text(fmt.Sprintf("Content-Length: %d\r\nAttachment-Length: %d\r\n\r\n", content, attachment))
	}
	const refused = "!the message is larger than 64 MiB and was not read: shorten the session or leave large files out "
	cases := []struct {
		name string
		in   []io.Reader
		want string
	}{
		{"attachment", []io.Reader{head(8, maxMessage), text(`{"id":4}`), fill(maxMessage), text(framed(small, ""))}, refused + "4"},
		{"string param, id first", []io.Reader{head(maxMessage+1, 0), text(`{"id":4,"b":"`), fill(maxMessage + 1 - 15), text(`"}`), text(framed(small, ""))}, refused + "4"},
		{"string param, id last", []io.Reader{head(maxMessage+1, 0), text(`{"params":{"id":1,"b":"`), fill(maxMessage + 1 - 33), text(`"},"id":4}`), text(framed(small, ""))}, refused + "4"},
		{"no JSON at all", []io.Reader{head(maxMessage+1, 0), fill(maxMessage + 1), text(framed(small, ""))}, refused},
		{"line, id first", []io.Reader{text(`{"id":4,"b":"`), fill(maxMessage), text("\"}\n" + small + "\n")}, refused + "4"},
		{"line, id last", []io.Reader{text(`{"params":{"id":1,"b":"`), fill(maxMessage), text("\"},\"id\":\"z\"}\n" + small + "\n")}, refused + `"z"`},
		{"line without an end", []io.Reader{text(`{"`), fill(maxMessage + 100)}, refused},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := readAll(t, newReader(io.MultiReader(c.in...)))
			want := []string{c.want, small}
			if c.name == "line without an end" {
				want = want[:1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%.2000s", diff)
			}
		})
	}

	t.Run("exactly the limit is taken", func(t *testing.T) {
		r := newReader(io.MultiReader(head(2, maxMessage-2), text("{}"), fill(maxMessage-2)))
		f, err := r.next()
		if err != nil || len(f.attachment) != maxMessage-2 {
			t.Errorf("got %d bytes, %v", len(f.attachment), err)
		}
	})
	t.Run("what is refused is not held", func(t *testing.T) {
		r := newReader(io.MultiReader(head(8, 3*maxMessage), text(`{"id":4}`), fill(3*maxMessage), text(framed("{}", ""))))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		readAll(t, r)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%d bytes were allocated for a message of 192 MiB", got)
		}
	})
}

// endless reads as its own bytes over and over.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestIDScanner(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"number", `{"id":-1.5e3}`, "-1.5e3"},
		{"string with escapes", `{"id" : "a\"},\\" ,"x":1}`, `"a\"},\\"`},
		{"null", `{"id":null}`, "null"},
		{"nested ids do not count", `{"params":{"id":1,"a":[{"id":2}]},"x":"\"id\":3","id":4}`, "4"},
		{"an id as a value", `{"method":"id","id":5}`, "5"},
		{"only the first bytes", `{"id":6,"params":{"body":"`, "6"},
		{"cut in the id", `{"id":6`, ""},
		{"no id", `{"method":"x"}`, ""},
		{"an object as id", `{"id":{"a":1}}`, ""},
		{"a word as id", `{"id":maybe}`, ""},
		{"a long id", `{"id":"` + strings.Repeat("x", maxID) + `"}`, ""},
		{"a long member before it", `{"x":"` + strings.Repeat("x", 2*maxID) + `","id":7}`, "7"},
		{"not an object", `[{"id":1}]`, ""},
		{"junk", `}}}]"`, ""},
		{"junk before it", `x{"id":1}`, ""},
		{"blanks before it", " \r\n\t{\"id\":1}", "1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := string(idOf([]byte(c.in))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			var piecewise idScanner
			for i := range len(c.in) {
				piecewise.write([]byte(c.in[i : i+1]))
			}
			if got := string(piecewise.found()); got != c.want {
				t.Errorf("byte by byte: got %q, want %q", got, c.want)
			}
		})
	}
}
