package cli

import (
	"slices"
	"testing"

	"codex-rota/plugin/sim"
)

func TestOpenCodeWeeklyLimit(t *testing.T) {
	o := newOpenCode(t, named("a", "b")...)
	o.fault("weekly-limit", onSeat("a"))
	o.ask("Say hello.", untitled...).mustSay(t, "Hello from b")
	o.mustTalk("a 429", "b 200")
	o.mustJudge("1.1 429 retry", "1.2 200 deliver")
	if got := o.states(); got["a"] != "limited" || got["b"] != "ready" {
		t.Errorf("states %v", got)
	}
	o.mustBeObedient()
}

// TestOpenCodeSessionStays: in round-robin each new session takes the next
// account, so that only its binding keeps one where it is.
func TestOpenCodeSessionStays(t *testing.T) {
	o := newOpenCode(t, named("a", "b", "c")...)
	o.fault("weekly-limit", onSeat("a"))
	ask := func(args ...string) {
		t.Helper()
		args = append([]string{"run", "Say hello.", "--model", "openai/gpt-5.5"}, args...)
		o.startWith([]string{"CODEX_ROTA_ROTATION=round-robin"}, args...).wait().mustSay(t, "Hello from b")
	}
	ask(untitled...)
	session := o.talk()[0].Headers.Get("Session-Id")
	ask(untitled...) // another session: it was b's turn, and is c's now
	ask("--session", session)
	o.mustTalk("a 429", "b 200", "b 200", "b 200")
	talk := o.talk()
	if other, again := talk[2].Headers.Get("Session-Id"), talk[3].Headers.Get("Session-Id"); other == session || again != session {
		t.Errorf("sessions %q, %q, %q", session, other, again)
	}
	o.mustBeObedient()
}

// TestOpenCodeUnauthorized has every call of the turn meet a refused token.
func TestOpenCodeUnauthorized(t *testing.T) {
	o := newOpenCode(t, named("a", "b")...)
	o.seats[0].RefuseAccess()
	o.ask("Say hello.").mustSay(t, "Hello from a")
	talk := o.talk()
	if last := talk[len(talk)-1]; last.Status != 200 {
		t.Errorf("the last call ended with %d", last.Status)
	}
	for _, c := range o.sim.Calls(sim.KindResponses) {
		if c.Seat != "a" || c.Status != 200 && c.Status != 401 {
			t.Errorf("account %s answered %d", c.Seat, c.Status)
		}
	}
	if n := o.sim.RefreshCount(o.seats[0]); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
	if got := o.states(); got["a"] != "ready" || got["b"] != "ready" {
		t.Errorf("states %v", got)
	}
}

func TestOpenCodeLimitInStream(t *testing.T) {
	o := newOpenCode(t, named("a", "b")...)
	o.fault("limit-in-stream", onSeat("a"))
	o.ask("Say hello.", untitled...).mustSay(t, "Hello from b")
	o.mustTalk("a 200", "b 200")
	o.mustJudge("1.1 200 retry", "1.2 200 deliver")
	if calls := o.talk(); calls[0].Body != calls[1].Body {
		t.Error("the other account got another body")
	}
	o.mustBeObedient()
}

// TestOpenCodeStreamCut cuts a stream of which OpenCode has a part already. The
// plugin leaves it at that; OpenCode itself asks again, as it does without a
// plugin.
func TestOpenCodeStreamCut(t *testing.T) {
	o := newOpenCode(t, named("a", "b")...)
	o.fault("stream-cut-late", times(1))
	run := o.start("Say hello.", append(untitled, printLogs)...)
	o.until("the stream is being delivered", func() bool { return slices.Equal(o.verdicts(), []string{"1.1 200 deliver"}) })
	o.arrived("it is held", func(calls []sim.Call) bool {
		return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Held })
	})
	o.sim.Release()
	got := run.wait()
	got.mustSay(t, "Hello from a")
	o.mustJudge("1.1 200 deliver", "2.1 200 deliver")
	o.mustTalk("a 200", "a 200")
	if n := got.fetches("build"); n != 2 {
		t.Errorf("OpenCode made %d calls, want 2: the second must be its own", n)
	}
	o.mustBeObedient()
}

// TestOpenCodeOverload: OpenCode repeats by itself, and the pool is not walked.
func TestOpenCodeOverload(t *testing.T) {
	o := newOpenCode(t, named("a", "b")...)
	o.fault("overload-503", times(1))
	o.ask("Say hello.", untitled...).mustSay(t, "Hello from a")
	o.mustTalk("a 503", "a 200")
	o.mustJudge("1.1 503 deliver", "2.1 200 deliver")
	if got := o.states(); got["a"] != "ready" || got["b"] != "ready" {
		t.Errorf("states %v", got)
	}
	o.mustBeObedient()
}
