package plugin

import (
	"sync"
	"testing"
	"time"
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
