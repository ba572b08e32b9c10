package rpc

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzFraming puts arbitrary bytes between two good requests: nothing panics or
// hangs, every answer is well formed, no id is answered twice that was asked once,
// and the requests before and after are answered.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "{}\n", "[]\n", "garbage\r\n\r\n", "\xef\xbb\xbf", "Content-Length: 3\r\n\r\n{}", "Content-Length: -1\r\n\r\n",
		"Attachment-Length: 4\r\nContent-Length: 2\r\n\r\n{}abcd", "Content-Length: 2\nAttachment-Length: x\n\n{}", "Content-Length: 99999999999\r\n\r\n{",
		`{"jsonrpc":"2.0","id":1,"method":"accounts/list"}`, `{"jsonrpc":"2.0","id":"x","method":"$/cancelRequest","params":{"id":"first"}}`,
		`{"jsonrpc":"2.0","id":2,"method":"shutdown"}` + "\n", "content-length:content-length:1\n\n", `{"id":[`, "\x00\xff\"",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, junk string, headers bool) {
		const first, last = `{"jsonrpc":"2.0","id":"first","method":"accounts/list"}`, `{"jsonrpc":"2.0","id":"last","method":"request/done"}`
		in := first + "\n" + junk + "\n" + last + "\n"
		if headers {
			in = framed(first, "") + junk + framed(last, "")
		}
		var out output
		ended := make(chan error, 1)
		go func() { ended <- Serve(t.Context(), strings.NewReader(in), &out, Options{Service: newFuzzFake()}) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Serve hangs")
		}
		var texts []string
		if headers {
			texts = unframe(t, out.take())
		} else {
			texts = strings.Split(strings.TrimSuffix(string(out.take()), "\n"), "\n")
		}
		seen := map[string]int{}
		for _, text := range texts {
			var a answer
			if err := json.Unmarshal([]byte(text), &a); err != nil || (a.Result == nil) == (a.Error == nil) {
				t.Fatalf("a malformed answer %q: %v", text, err)
			}
			seen[string(a.ID)]++
		}
		if strings.Contains(junk, "first") || strings.Contains(junk, "last") {
			return
		}
		if seen[`"first"`] != 1 {
			t.Errorf("the request before was answered %d times", seen[`"first"`])
		}
		// A length that the junk claims may rightly swallow what follows it.
		if claims := bytes.Contains(bytes.ToLower([]byte(junk)), []byte(contentLength)); !(headers && claims) && seen[`"last"`] != 1 {
			t.Errorf("the request after was answered %d times", seen[`"last"`])
		}
	})
}

// newFuzzFake has room for every request/done that junk can hold.
func newFuzzFake() *fakeService {
	f := newFake()
	close(f.hold)
	go func() {
		for range f.tails {
		}
	}()
	go func() {
		for range f.done {
		}
	}()
	return f
}

func FuzzIDScanner(f *testing.F) {
	f.Add(`{"id":1}`, 3)
	f.Add(`{"params":{"id":1},"id":"a\"b"}`, 5)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		whole := idOf([]byte(text))
		var s idScanner
		if cut = max(0, min(cut, len(text))); cut > 0 {
			s.write([]byte(text[:cut]))
		}
		s.write([]byte(text[cut:]))
		if !bytes.Equal(whole, s.found()) {
			t.Errorf("in two pieces %q, in one %q", s.found(), whole)
		}
		var exact map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &exact) != nil || strings.Count(text, "id") != 1 {
			return
		}
		if id, ok := exact["id"]; ok && validID(id) && !bytes.Equal(whole, id) {
			t.Errorf("found %q, the id is %q", whole, id)
		}
	})
}
