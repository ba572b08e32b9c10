package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const slowCall = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"quota","arguments":{"account":"slow"}}}`

// TestEndOfStdin: a call in flight gets two seconds, then it is cancelled, its
// answer is written, and Serve returns without an error.
func TestEndOfStdin(t *testing.T) {
	for _, test := range []struct {
		account, answer string
		after           time.Duration
	}{
		{"second", `ran quota`, time.Second},
		{"slow", `{"type":"text","text":"the call was ended because codex-rota is ending"}],"isError":true`, 2 * time.Second},
	} {
		t.Run(test.account, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := connect(t)
				c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"quota","arguments":{"account":"` + test.account + `"}}}`)
				started := time.Now()
				got := c.close()
				if took := time.Since(started); took != test.after {
					t.Errorf("took %s, want %s", took, test.after)
				}
				if !strings.Contains(got, test.answer) {
					t.Errorf("answered %q, want %q", got, test.answer)
				}
			})
		})
	}
}

// TestContextEnds: SIGTERM ends what runs at once, and it is still answered.
func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		in, write := io.Pipe()
		tools, out, ended := &fakeTools{}, &output{}, make(chan error, 1)
		go func() { ended <- Serve(ctx, in, out, Options{Tools: tools}) }()
		fmt.Fprintf(write, slowCall+"\n", 1)
		synctest.Wait()
		told := errors.New("told to end")
		cancel(told)
		if err := <-ended; !errors.Is(err, told) {
			t.Errorf("Serve: %v, want %v", err, told)
		}
		if got := out.take(); !strings.Contains(got, "codex-rota is ending") {
			t.Errorf("answered %q", got)
		}
		write.Close() // the reader is blocked until then
	})
}

// TestRoom: no more than maxCalls run at once; what comes after them waits, and
// nothing is lost.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t)
		for i := range maxCalls {
			c.send(fmt.Sprintf(slowCall, i))
		}
		go fmt.Fprintf(c.in, slowCall+"\n"+`{"jsonrpc":"2.0","id":"after","method":"ping"}`+"\n", maxCalls)
		synctest.Wait()
		if got := c.out.take(); got != "" {
			t.Errorf("answered %q while no room was left", got)
		}
		c.tools.mu.Lock()
		ended := len(c.tools.ended)
		c.tools.mu.Unlock()
		if ended != 0 {
			t.Errorf("%d calls ended by themselves", ended)
		}
		// The server cannot read a cancellation now, so the client ends.
		c.in.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
	})
}

// brokenPipe is a client that reads nothing any more.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// stuckPipe is one that lives and does not read.
type stuckPipe struct{ free chan struct{} }

func (p stuckPipe) Write(b []byte) (int, error) {
	<-p.free
	return len(b), nil
}

// TestClientDoesNotRead: Serve returns when an answer cannot be written, and when
// nobody reads it for a minute; no call is left running.
func TestClientDoesNotRead(t *testing.T) {
	for _, test := range []struct {
		name  string
		out   func(t *testing.T) io.Writer
		wants string
		after time.Duration
	}{
		{"gone", func(*testing.T) io.Writer { return brokenPipe{} }, "writing to the client", 0},
		{"stuck", func(t *testing.T) io.Writer {
			p := stuckPipe{make(chan struct{})}
			t.Cleanup(func() { close(p.free) })
			return p
		}, "has not read an answer for 1m0s", time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, write := io.Pipe()
				tools, ended := &fakeTools{}, make(chan error, 1)
				go func() { ended <- Serve(t.Context(), in, test.out(t), Options{Tools: tools}) }()
				fmt.Fprintf(write, slowCall+"\n", 1)
				fmt.Fprint(write, `{"jsonrpc":"2.0","id":2,"method":"ping"}`+"\n")
				started := time.Now()
				err := <-ended
				if err == nil || !strings.Contains(err.Error(), test.wants) || time.Since(started) != test.after {
					t.Errorf("Serve: %v after %s, want %q after %s", err, time.Since(started), test.wants, test.after)
				}
				write.Close()
				synctest.Wait()
				if !slices.Contains(tools.ended, errEnding.Error()) {
					t.Errorf("calls ended for %q, want the ending", tools.ended)
				}
			})
		})
	}
}

// TestReader shows the lines that a stream is cut into.
func TestReader(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"blank lines", "\n \r\n\t\n", nil},
		{"lines", "{}\n[]\r\n", []string{"{}", "[]"}},
		{"a last line without its end", "{}\n[]", []string{"{}", "[]"}},
		{"longer than the buffer", long[:200_000] + "\n{}\n", []string{long[:200_000], "{}"}},
		{"as long as may be", long[1:] + "\n{}\n", []string{long[1:], "{}"}},
		{"too long", long + "\n{}\n", []string{"!", "{}"}},
		{"too long and not ended", long + "xx", []string{"!"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newReader(strings.NewReader(test.in))
			var got []string
			for {
				line, err := r.next()
				if err == io.EOF {
					break
				}
				if errors.Is(err, errTooLong) {
					line = []byte("!")
				}
				got = append(got, string(line))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %d lines %.80q", len(got), got)
			}
		})
	}
}

// FuzzServe: whatever comes, every line of the answer is one JSON-RPC message, and
// Serve ends with the stream.
func FuzzServe(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `{"id":1}`, `{"jsonrpc":"2.0","id":{}}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}` + "\n" + `[{"jsonrpc":"2.0","id":1,"method":"tools/list"},1,null]`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"quota","arguments":{"account":1}}}`, "\xff", `{"jsonrpc":"2.0","id":1,"method":7}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "slow") || strings.Contains(text, "second") {
			t.Skip("the fake waits for these")
		}
		out := &output{}
		if err := Serve(t.Context(), strings.NewReader(text), out, Options{Tools: &fakeTools{}}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.take()) {
			mustBeAnswers(t, line)
		}
	})
}

func mustBeAnswers(t *testing.T, line string) {
	t.Helper()
	list := []json.RawMessage{json.RawMessage(line)}
	if line[0] == '[' && json.Unmarshal([]byte(line), &list) != nil || len(list) == 0 {
		t.Fatalf("no batch: %q", line)
	}
	for _, text := range list {
		var a struct {
			Version string          `json:"jsonrpc"`
			ID      json.RawMessage `json:"id"`
			Result  json.RawMessage `json:"result"`
			Error   json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(text, &a); err != nil || a.Version != "2.0" || a.ID == nil || (a.Result == nil) == (a.Error == nil) {
			t.Fatalf("no answer: %q (%v)", text, err)
		}
	}
}
