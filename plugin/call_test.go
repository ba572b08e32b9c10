package plugin

import (
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// TestCallsAreForgotten: a call is known for two hours; of an unknown one every
// answer is delivered and nothing is learned.
func TestCallsAreForgotten(t *testing.T) {
	for _, test := range []struct {
		name    string
		age     time.Duration
		verdict string
		states  string
	}{
		{"just under two hours", callMemory - time.Minute, VerdictReply, "limited"},
		{"over two hours", callMemory + time.Minute, VerdictDeliver, "ready"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newServiceRig(t, 1, rigOptions{})
			r.prepare("old", "s")
			r.clock.add(test.age)
			r.prepare("new", "s")
			if v := r.respond("old", 429, limited(time.Hour)); v.Verdict != test.verdict {
				t.Errorf("verdict %s, want %s", show(v), test.verdict)
			}
			r.wantStates(test.states)
		})
	}
}

// A session's name is kept for a day; the message that it came in must not be.
func TestSessionHoldsNoMessage(t *testing.T) {
	for _, from := range []string{`"session":"ses_1"`, `"headers":[["session-id","ses_1"]]`} {
		var p PrepareParams
		if message := `{"url":"` + strings.Repeat("u", 1000) + `",` + from + `}`; !p.ReadJSON([]byte(message)) {
			t.Fatalf("%s was left to encoding/json", from)
		}
		url, session := unsafe.StringData(p.URL), new(call).sessionOf(p.Session, p.Headers)
		if session != "ses_1" {
			t.Errorf("%s: the session is %q", from, session)
		}
		// The params lie one behind the other in the message's text.
		if away := uintptr(unsafe.Pointer(unsafe.StringData(session))) - uintptr(unsafe.Pointer(url)); away < 1100 {
			t.Errorf("%s: the session's name is a piece of the message", from)
		}
	}
}

// A body is given back once, when nothing can ask for it any more, and not before.
func TestBodiesAreGivenBack(t *testing.T) {
	answer := func(r *serviceRig, status int) {
		r.t.Helper()
		if _, err := r.Response(r.t.Context(), ResponseParams{Call: callID("1"), Status: status, Headers: []Header{{"content-type", "application/json"}}}, []byte(`{}`)); err != nil {
			r.t.Fatal(err)
		}
	}
	tests := []struct {
		name     string
		accounts int
		url      string
		then     func(*serviceRig)
		before   int64 // after Prepare
	}{
		{"delivered", 1, modelURL, func(r *serviceRig) { answer(r, 400); answer(r, 400) }, 0},
		{"ended without an answer", 1, modelURL, func(r *serviceRig) {
			r.Done(r.t.Context(), DoneParams{Call: callID("1"), End: "aborted"}, nil)
			r.Done(r.t.Context(), DoneParams{Call: callID("1"), End: "aborted"}, nil)
		}, 0},
		{"delivered, then ended", 1, modelURL, func(r *serviceRig) {
			answer(r, 400)
			r.Done(r.t.Context(), DoneParams{Call: callID("1"), End: "completed"}, nil)
		}, 0},
		{"no call of ours", 1, "https://example.com/", func(*serviceRig) {}, 1},
		{"refused", 0, modelURL, func(*serviceRig) {}, 1},
		{"no url", 1, "", func(*serviceRig) {}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newServiceRig(t, test.accounts, rigOptions{})
			_, err := r.Prepare(t.Context(), PrepareParams{Call: callID("1"), URL: test.url}, body("gpt-5.5"))
			if got := r.reclaimed.Load(); got != test.before {
				t.Fatalf("%d bodies were given back by Prepare, want %d (%v)", got, test.before, err)
			}
			if test.then(r); r.reclaimed.Load() != 1 {
				t.Errorf("%d bodies were given back, want 1", r.reclaimed.Load())
			}
		})
	}
	t.Run("not before a retry", func(t *testing.T) {
		r := newServiceRig(t, 2, rigOptions{})
		r.prepare("1", "s")
		v, err := r.Response(t.Context(), ResponseParams{Call: callID("1"), TransportError: &TransportError{Kind: "reset"}}, nil)
		if err != nil || v.Verdict != VerdictRetry || r.reclaimed.Load() != 0 {
			t.Errorf("%+v, %v, %d bodies were given back", v, err, r.reclaimed.Load())
		}
	})
}

// TestSweepDuringAnswers: forgetting old calls and answering for one at the same
// time share nothing but the table. It needs the race detector to fail.
func TestSweepDuringAnswers(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{})
	r.prepare("old", "s")
	var both sync.WaitGroup
	both.Go(func() {
		for range 50 {
			if _, err := r.Response(t.Context(), ResponseParams{Call: callID("old"), Status: 200}, nil); err != nil {
				t.Error(err)
			}
		}
	})
	both.Go(func() {
		for i := range 50 {
			r.calls.put(&call{id: callID("x")}, rigStart.Add(time.Duration(i)*2*time.Minute))
		}
	})
	both.Wait()
}
