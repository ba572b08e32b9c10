package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/plugin"
)

func explain(id any, model string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"method":"explain","params":{"model":%q}}`+"\n", id, model)
}

func TestManyCallsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 500
		c := serve(t)
		synctest.Wait()
		idle := runtime.NumGoroutine()
		var all strings.Builder
		for i := range many {
			all.WriteString(explain(i, "hold"))
		}
		if got := c.send(all.String()); got != "" {
			t.Fatalf("answered too early: %.200s", got)
		}
		if got := c.service.running.Load(); got != many {
			t.Errorf("%d calls run at once, want %d", got, many)
		}
		if got := answers(t, c.send(explain(`"fast"`, "fast"))); len(got) != 1 || string(got[0].ID) != `"fast"` {
			t.Errorf("a slow call delays another: %v", got)
		}
		close(c.service.hold)
		synctest.Wait()
		seen := map[string]int{}
		for _, a := range answers(t, string(c.out.take())) {
			seen[string(a.ID)]++
		}
		for i := range many {
			if n := seen[fmt.Sprint(i)]; n != 1 {
				t.Errorf("id %d answered %d times", i, n)
			}
		}
		if more := runtime.NumGoroutine() - idle; more > maxWaiting {
			t.Errorf("%d goroutines are left over, want at most %d", more, maxWaiting)
		}
		c.close()
	})
}

func TestCancelDoesNotWaitForTheMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		c.send(explain(1, "hold"))
		got := answers(t, c.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}`+"\n"))
		if len(got) != 1 || got[0].Error == nil || got[0].Error.Code != -32010 {
			t.Errorf("a method that does not heed its context was not answered for: %+v", got)
		}
		close(c.service.hold)
		synctest.Wait()
		if late := c.out.take(); len(late) > 0 {
			t.Errorf("answered twice: %s", late)
		}
		c.close()
	})
}

func TestInitializeComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		c.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1,"host":{"name":"x"},"directory":"slow"}}` + "\n")
		c.send(explain(2, "fast") + explain(3, "fast"))
		if n := c.service.running.Load(); n != 0 || len(c.out.take()) > 0 {
			t.Error("a call began before the initialize ahead of it had ended")
		}
		got := answers(t, c.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":3}}`+"\n"))
		if len(got) != 1 || string(got[0].ID) != "3" {
			t.Errorf("a waiting call cannot be cancelled: %+v", got)
		}
		close(c.service.hold)
		synctest.Wait()
		if got := answers(t, string(c.out.take())); len(got) != 2 {
			t.Errorf("want the answers of initialize and of the call behind it, got %+v", got)
		}
		c.close()
	})
}

func TestDrain(t *testing.T) {
	cases := []struct {
		name, send string
		took       time.Duration
		cancelled  bool
	}{
		{"a call in flight is answered", explain(1, "second"), time.Second, false},
		{"one that takes too long is cancelled", explain(1, "slow"), drainTime, true},
		{"one that heeds nothing is answered for", explain(1, "hold"), drainTime, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := serve(t)
				defer close(c.service.hold)
				c.send(tc.send)
				began := time.Now()
				got := answers(t, c.close())
				if took := time.Since(began); took != tc.took {
					t.Errorf("Serve took %s after the end of stdin, want %s", took, tc.took)
				}
				if len(got) != 1 || (got[0].Error != nil) != tc.cancelled {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestDrainWaitsForNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		c.send(`{"jsonrpc":"2.0","method":"request/done","params":{"call":"x","end":"completed","body":"tail \ud83d\ude00 \ud800"}}`)
		c.close()
		if p := <-c.service.done; p.Call != `"x"` {
			t.Errorf("call is %s", p.Call)
		}
		if tail := <-c.service.tails; tail != "tail 😀 \ufffd" {
			t.Errorf("tail is %q", tail)
		}
	})
}

// TestDoneComesBeforeTheNextCall: what a call teaches at its end is known to the
// next one, unless that takes too long.
func TestDoneComesBeforeTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		c.service.done = make(chan plugin.DoneParams) // nobody takes it yet
		began := time.Now()
		done := `{"jsonrpc":"2.0","method":"request/done","params":{"call":1,"end":"completed","body":""}}` + "\n"
		prepare := func(id int) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"request/prepare","params":{"call":2,"url":"/responses","body":"{}"}}`+"\n", id)
		}
		if early := c.send(done + prepare(1)); early != "" {
			t.Errorf("a call began before the end of the last one was learned: %s", early)
		}
		if got := answers(t, c.send(explain(2, "fast"))); len(got) != 1 {
			t.Error("what does not choose an account waited too")
		}
		<-c.service.done
		synctest.Wait()
		if got := answers(t, string(c.out.take())); len(got) != 1 || time.Since(began) != 0 {
			t.Errorf("after it was learned: %+v", got)
		}
		c.send(done + prepare(3))
		time.Sleep(learnTime)
		synctest.Wait()
		if got := answers(t, string(c.out.take())); len(got) != 1 {
			t.Errorf("a slow end held the next call up for longer than %s", learnTime)
		}
		<-c.service.done
		retry := `{"jsonrpc":"2.0","id":4,"method":"request/response","params":{"call":2,"status":429,"body":"{}"}}` + "\n"
		if early := c.send(done + retry); early != "" {
			t.Errorf("another call's retry was chosen before that: %s", early)
		}
		<-c.service.done
		synctest.Wait()
		c.out.take()
		c.close()
	})
}

func TestStuckHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, send := io.Pipe()
		never, out := io.Pipe()
		service := newFake()
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- Serve(t.Context(), in, out, Options{Service: service}) }()
		var sent atomic.Int64
		go func() {
			for {
				if _, err := io.WriteString(send, explain(1, strings.Repeat("x", 1000))); err != nil {
					return
				}
				sent.Add(1)
			}
		}()
		synctest.Wait()
		if n := sent.Load(); n < maxCalls || n > maxCalls+100 {
			t.Errorf("%d calls were read without one answer being taken, want about %d", n, maxCalls)
		}
		for range 10 * maxNotices { // must not block
			service.notify("host/toast", plugin.ToastParams{Level: "info", Message: "x"})
		}
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "has not read") {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(began); took != writeTime {
			t.Errorf("gave the host up after %s, want %s", took, writeTime)
		}
		never.Close()
		in.Close()
	})
}

// A host that stops to read later has as long, from the answer that it leaves.
func TestHostThatGetsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, send := io.Pipe()
		read, out := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- Serve(t.Context(), in, out, Options{Service: newFake()}) }()
		answers := bufio.NewReader(read)
		for id, pause := range []time.Duration{writeTime / 3, writeTime / 3, 3 * writeTime, writeTime / 3} {
			io.WriteString(send, explain(id+1, "fast"))
			if _, err := answers.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
		}
		stuck := time.Now()
		io.WriteString(send, explain(6, "fast"))
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "has not read") {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(stuck); took != writeTime {
			t.Errorf("gave the host up after %s, want %s", took, writeTime)
		}
		read.Close()
		in.Close()
	})
}

// A timer that fires while the watch is being stopped leaves none behind.
func TestWatchStopsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{limit: writeTime, late: func() { t.Error("told of a write after stop") }}
		w.begin()
		time.Sleep(writeTime / 2)
		w.begin() // so that look would look again
		w.stop()
		w.look()  // its timer had fired, and it waited for the lock
		w.begin() // a write that had passed the last check
		time.Sleep(2 * writeTime)
	})
}

func TestStuckHostCannotHoldTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, send := io.Pipe()
		never, out := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- Serve(t.Context(), in, out, Options{Service: newFake()}) }()
		io.WriteString(send, explain(1, "fast"))
		began := time.Now()
		send.Close()
		<-ended
		if took := time.Since(began); took > drainTime+2*lastWords {
			t.Errorf("Serve took %s after the end of stdin", took)
		}
		never.Close()
	})
}

func TestHostOfManyBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		message := `{"jsonrpc":"2.0","id":1,"method":"explain","params":{"model":"hold"}}`
		head := fmt.Sprintf("Content-Length: %d\r\nAttachment-Length: %d\r\n\r\n%s", len(message), 60<<20, message)
		xs := endless(strings.Repeat("x", 64<<10))
		var sent atomic.Int64
		go func() {
			for range 8 {
				if _, err := io.Copy(c.in, io.MultiReader(strings.NewReader(head), io.LimitReader(xs, 60<<20))); err != nil {
					return
				}
				sent.Add(1)
			}
			c.in.Close()
		}()
		synctest.Wait()
		if n := sent.Load(); n > maxBytes/(60<<20)+1 {
			t.Errorf("%d attachments of 60 MiB are held", n)
		}
		close(c.service.hold)
		if err := <-c.ended; err != nil {
			t.Error(err)
		}
		if got := unframe(t, c.out.take()); len(got) != 8 {
			t.Errorf("%d answers, want 8", len(got))
		}
	})
}

func TestServeEnds(t *testing.T) {
	t.Run("when stdout is gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			in, send := io.Pipe()
			gone, out := io.Pipe()
			gone.CloseWithError(errors.New("broken pipe"))
			ended := make(chan error, 1)
			go func() { ended <- Serve(t.Context(), in, out, Options{Service: newFake()}) }()
			io.WriteString(send, explain(1, "fast"))
			if err := <-ended; err == nil || !strings.Contains(err.Error(), "broken pipe") {
				t.Errorf("Serve: %v", err)
			}
			in.Close()
		})
	})
	t.Run("when stdin fails", func(t *testing.T) {
		var out output
		in := io.MultiReader(strings.NewReader(explain(1, "fast")), iotest.ErrReader(errors.New("input/output error")))
		err := Serve(t.Context(), in, &out, Options{Service: newFake()})
		if err == nil || !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("Serve: %v", err)
		}
		if len(answers(t, string(out.take()))) != 1 {
			t.Error("the call before the failure was not answered")
		}
	})
	t.Run("when its context does", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			in, send := io.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			ended, out := make(chan error, 1), &output{}
			go func() { ended <- Serve(ctx, in, out, Options{Service: newFake()}) }()
			io.WriteString(send, explain(1, "slow"))
			synctest.Wait()
			began := time.Now()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Serve: %v", err)
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("it took %s", took)
			}
			if got := answers(t, string(out.take())); len(got) != 1 || got[0].Error == nil || got[0].Error.Code != -32010 {
				t.Errorf("got %+v", got)
			}
			in.Close()
		})
	})
}

func TestNotificationsWaitForTheFraming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		synctest.Wait()
		c.service.notify("host/toast", plugin.ToastParams{Level: "warning", Message: "wait"})
		synctest.Wait()
		if early := c.out.take(); len(early) > 0 {
			t.Errorf("sent before the host said how it frames: %s", early)
		}
		if got := unframe(t, []byte(c.send(framed(`{"jsonrpc":"2.0","method":"none"}`, "")))); len(got) != 1 || !strings.Contains(got[0], "host/toast") {
			t.Errorf("got %v", got)
		}
		c.close()
	})
}

func TestNotificationsAreSentBeforeTheEnd(t *testing.T) {
	for range 20 {
		var out output
		in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tool/run","params":{"name":"toasts"}}`)
		if err := Serve(t.Context(), in, &out, Options{Service: newFake()}); err != nil {
			t.Fatal(err)
		}
		// Some may be dropped, as many come at once; none may be left behind.
		if got := len(answers(t, string(out.take()))); got < maxNotices {
			t.Fatalf("%d messages, want at least %d", got, maxNotices)
		}
	}
}

func TestPanicIsLoggedWithoutSecrets(t *testing.T) {
	var log, out output
	in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tool/run","params":{"name":"panic"}}`)
	err := Serve(t.Context(), in, &out, Options{Service: newFake(), Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
	text := string(log.take())
	if err != nil || !strings.Contains(text, "panic") || !strings.Contains(text, "RunTool") {
		t.Errorf("%v; the log tells no panic: %s", err, text)
	}
	for _, seen := range []string{text, string(out.take())} {
		if strings.Contains(seen, "eyJ") {
			t.Errorf("a token was told: %s", seen)
		}
	}
}

// TestBytesThatAreNoText: an edit's offset counts bytes, so what is not UTF-8 is
// refused rather than read as something longer.
func TestBytesThatAreNoText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		got := answers(t, c.send(`{"jsonrpc":"2.0","id":1,"method":"request/prepare","params":{"call":1,"url":"/responses","body":"`+"\xff"+`"}}`+"\n"))
		if len(got) != 1 || got[0].Error == nil || got[0].Error.Code != -32700 || string(got[0].ID) != "null" {
			t.Errorf("got %+v", got)
		}
		c.close()
	})
}

// TestBuffersAreUsedAgain: a body keeps its bytes until the service gives them
// back, and then only.
func TestBuffersAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		sent := func(call, body string) []byte {
			c.send(framed(`{"jsonrpc":"2.0","id":1,"method":"request/prepare","params":{"call":`+call+`,"url":"/responses"}}`, body))
			got, _ := c.service.bodies.Load(plugin.CallID(call))
			if string(got.([]byte)) != body {
				t.Errorf("call %s got %.20q…, want %.20q…", call, got, body)
			}
			return got.([]byte)
		}
		large := func(fill string) string { return strings.Repeat(fill, smallBuffer) }
		first, second := sent("1", large("a")), sent("2", large("b"))
		if string(first) != large("a") {
			t.Error("a body was overwritten by the next one")
		}
		c.service.reclaim(first)
		c.service.reclaim(second)
		sent("3", large("c")+"longer than before")
		sent("4", large("d")[:smallBuffer/2])
		c.close()
	})
}

func TestBuffers(t *testing.T) {
	var b buffers
	for _, size := range []int{0, 1, smallBuffer - 1, smallBuffer, smallBuffer + 1, 1 << 20, 1<<20 + 1, maxMessage} {
		got := b.get(size)
		if got == nil || len(got) != size || cap(got) < size || cap(got) > max(size*5/4, smallBuffer) {
			t.Errorf("%d bytes: got %d of %d", size, len(got), cap(got))
		}
	}
	// The pool may forget what it has, as it does under the race detector.
	for range 100 {
		used := b.get(1 << 20)
		b.put(used)
		if again := b.get(1<<20 - 1); &again[0] == &used[0] {
			return
		}
	}
	t.Error("a buffer is never used again")
}

// TestAttachmentReachesTheService compares bytes that a string could not carry.
func TestAttachmentReachesTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t)
		body := "\x00\xff{\r\n\r\n\"\\ud800\"}"
		c.send(framed(`{"jsonrpc":"2.0","id":1,"method":"request/prepare","params":{"call":1,"url":"/responses"}}`, body))
		if got, _ := c.service.bodies.Load(plugin.CallID("1")); string(got.([]byte)) != body {
			t.Errorf("got %q", got)
		}
		c.send(framed(`{"jsonrpc":"2.0","id":2,"method":"request/prepare","params":{"call":2,"url":"/responses"}}`, ""))
		if got, _ := c.service.bodies.Load(plugin.CallID("2")); got.([]byte) != nil {
			t.Errorf("without a body got %q", got)
		}
		c.close()
	})
}
