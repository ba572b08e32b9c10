package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// TestOpenCodeAllLimited: each limit is learned by one call, and then no run asks
// the backend any more.
func TestOpenCodeAllLimited(t *testing.T) {
	o := newOpenCode(t, named("a", "b")...)
	for name, hours := range map[string]int{"a": 60, "b": 40} {
		o.fault("weekly-limit", onSeat(name), func(f *sim.Fault) { f.Seconds = hours * 3600 })
	}
	got := o.ask("Say hello.", append(untitled, printLogs)...)
	message := "all 2 ChatGPT accounts have reached their limit; the next reset is at " +
		resetOf(t, o.seats[1]).Format("15:04 on Mon 2 Jan") + ". Type: codex-rota status"
	got.mustRefuse(t, message)
	if n := got.fetches("build"); n != 1 {
		t.Errorf("OpenCode asked %d times, want once", n)
	}
	o.mustTalk("a 429", "b 429")
	o.mustJudge("1.1 429 retry", "1.2 429 reply")

	got = o.ask("Say hello.", printLogs)
	got.mustRefuse(t, message)
	if talks, titles := got.fetches("build"), got.fetches("title"); talks != 1 || titles != 1 {
		t.Errorf("OpenCode asked %d times for an answer and %d times for a title, want once each", talks, titles)
	}
	if calls := o.sim.Calls(sim.KindResponses); len(calls) != 2 {
		t.Errorf("the backend got %s", summary(calls))
	}
	if got := o.states(); got["a"] != "limited" || got["b"] != "limited" {
		t.Errorf("states %v", got)
	}
	o.mustBeObedient()
}

// resetOf is when the simulated backend lets the account go on.
func resetOf(t *testing.T, seat *sim.Seat) time.Time {
	t.Helper()
	for _, w := range seat.Windows {
		if w.Name == sim.Secondary {
			return w.ResetAt.UTC()
		}
	}
	t.Fatalf("%s has no weekly window", seat.Name)
	return time.Time{}
}

func TestOpenCodeEmptyPool(t *testing.T) {
	o := newOpenCode(t)
	got := o.ask("Say hello.", printLogs)
	got.mustRefuse(t, "there is no ChatGPT account in the pool yet. Type: codex-rota add")
	if talks, titles := got.fetches("build"), got.fetches("title"); talks != 1 || titles != 1 {
		t.Errorf("OpenCode asked %d times for an answer and %d times for a title, want once each", talks, titles)
	}
	if calls := o.sim.Calls(sim.KindResponses); len(calls) != 0 {
		t.Errorf("the backend got %s", summary(calls))
	}
}

// TestOpenCodeMissingBinary: the path holds a number for which OpenCode would
// repeat the call.
func TestOpenCodeMissingBinary(t *testing.T) {
	o := newOpenCode(t, named("a")...)
	path := filepath.Join(o.folder("gone-429"), "codex-rota")
	o.register(path)
	got := o.ask("Say hello.", append(untitled, printLogs)...)
	got.mustRefuse(t, "codex-rota is not at "+path+` any more. Put it back there, or run "codex-rota install opencode" from where it is now, and start OpenCode again.`)
	if n := got.fetches("build"); n != 1 {
		t.Errorf("OpenCode asked %d times, want once", n)
	}
	if calls := o.sim.Calls(sim.KindResponses); len(calls) != 0 {
		t.Errorf("the backend got %s", summary(calls))
	}
	if err := os.Symlink(binary, path); err != nil {
		t.Fatal(err)
	}
	o.ask("Say hello.", untitled...).mustSay(t, "Hello from a")
	o.mustBeObedient()
}
