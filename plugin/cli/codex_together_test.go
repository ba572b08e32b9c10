//go:build !windows

package cli

import (
	"slices"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// TestCodexTogether: two runs of Codex and one of OpenCode begin at once on one
// pool with expired tokens, while one token is being renewed; then its account
// turns out to be spent, so that the other one's is needed too. Codex's calls go
// through one front end, OpenCode has a process of ours: each token is renewed
// once.
func TestCodexTogether(t *testing.T) {
	o := newOpenCode(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b", Expired: true}, sim.Seat{Name: "first"})
	c := o.codexCLI(codexPath(t))
	// What each host makes at its first start, the other runs would wait for.
	o.startWith(nil, "session", "list").wait()
	c.must("pin", "first")
	c.exec("Say hello.").mustSay(t, "Hello from first")
	c.must("unpin")
	c.must("disable", "first")
	c.fault("refresh-hang", times(1))
	c.fault("weekly-limit", onSeat("a"))
	codexes := []codexRun{c.start("Say hello."), c.start("Say hello.")}
	run := o.start("Say hello.", untitled...)
	c.arrived("a token is being refreshed", func(calls []sim.Call) bool {
		return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Kind == sim.KindRefresh && c.Held })
	})
	// The longer it takes the more of them wait for it; a renewal has its own limit.
	for enough := time.Now().Add(5 * time.Second); o.sessions() < 4 && time.Now().Before(enough); {
		time.Sleep(10 * time.Millisecond)
	}
	c.sim.Release()
	run.wait().mustSay(t, "Hello from b")
	for _, codex := range codexes {
		got := codex.shown()
		got.log = codexModelsLog.ReplaceAllString(got.log, "") // its list of models waited for the token too
		got.mustSay(t, "Hello from b")
	}
	c.mustRefresh(map[string]int{"a": 1, "b": 1})
	for _, call := range c.sim.Calls() {
		if call.Refused != "" {
			t.Errorf("%s: refused: %s", call.Kind, call.Refused)
		}
	}
	if got := c.states(); got["a"] != "limited" || got["b"] != "ready" {
		t.Errorf("states %v", got)
	}
}
