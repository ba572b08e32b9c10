//go:build !windows

package cli

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"codex-rota/plugin/proxy"
	"codex-rota/plugin/sim"
)

// frontEndPID is the process that answers on the pool's port.
func (r *rig) frontEndPID() int {
	r.t.Helper()
	nonce, err := proxy.Place{Root: r.root()}.Nonce()
	r.do(err)
	proof, err := proxy.Visit{Port: r.port(), Nonce: nonce}.Knock(r.t.Context())
	r.do(err)
	return proof.PID
}

// killFrontEnd is `kill -9`, and waits until the port is free.
func (r *rig) killFrontEnd() {
	r.t.Helper()
	r.do(syscall.Kill(r.frontEndPID(), syscall.SIGKILL))
	r.until("the front end is gone", func() bool { return !(proxy.Place{Root: r.root()}).Taken(r.t.Context()) })
}

// TestCodexFrontEndKilledBetweenTurns: the next turn starts another.
func TestCodexFrontEndKilledBetweenTurns(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	c.exec("Say hello.").mustSay(t, "Hello from a")
	before := c.frontEndPID()
	c.killFrontEnd()
	c.resume("And again.").mustSay(t, "Hello from a")
	if now := c.frontEndPID(); now == before {
		t.Errorf("process %d answered before and after", now)
	}
	c.mustTalk("a 200", "a 200")
	c.mustBeObedient()
}

// TestCodexFrontEndInTheTurn: what happens to the front end while it passes on an
// answer in the middle of a turn is mended by Codex running the token command
// again; the key has changed by then.
func TestCodexFrontEndInTheTurn(t *testing.T) {
	for _, test := range []struct {
		name    string
		happens func(c *codexCLI)
		cut     bool // the answer of that moment is lost, and Codex asks again
	}{
		{"killed", func(c *codexCLI) { c.killFrontEnd() }, true},
		{"killed, and started again by another Codex", func(c *codexCLI) {
			c.killFrontEnd()
			c.must("token", "--front-end")
		}, true},
		{"room made for one with other settings", func(c *codexCLI) {
			c.writeSettings(`{"rotation": "spread"}`)
			before := c.frontEndPID()
			c.must("token", "--front-end")
			if c.frontEndPID() == before {
				c.t.Error("the old one answers still")
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCodex(t, named("a", "b")...)
			happened := false
			c.useTools(2, func(done int) {
				if done == 1 && !happened {
					happened = true
					test.happens(c)
				}
			})
			got := c.exec("Look.")
			calls := []string{"a 200", "a 200", "a 200"}
			if test.cut {
				calls = []string{"a 200", "a 0", "a 200", "a 200"}
			}
			if got.code != 0 || got.out != "Hello from a\n" || slices.ContainsFunc(got.troubles(), func(s string) bool { return !strings.HasPrefix(s, "Reconnecting...") }) {
				t.Errorf("the person sees %q and %q", got.out, got.err)
			}
			if !test.cut && len(got.troubles()) > 0 {
				t.Errorf("the person sees %q", got.troubles())
			}
			c.mustTalk(calls...)
			c.mustRefresh(nil)
			c.mustBeObedient()
		})
	}
}

// TestCodexTokenCommandGone: Codex then sends its prompt without any key. It goes
// no further than the front end, which says why.
func TestCodexTokenCommandGone(t *testing.T) {
	c := newCodex(t, named("a")...)
	c.must("token", "--front-end")
	c.write(codexConfig, strings.ReplaceAll(c.read(codexConfig), binary, "/nowhere/codex-rota"))
	got := c.exec("Say hello.")
	got.log = codexTokenLog.ReplaceAllString(got.log, "")
	got.mustRefuse(t, "Codex sent this request without the key of the codex-rota front end, so its token command failed. Type: codex-rota doctor")
	if calls := c.sim.Calls(); len(calls) != 0 {
		t.Errorf("the backend got %s", summary(calls))
	}
}

// TestCodexPoolUnsafe: the token command says why it has no key, Codex logs it and
// waits; once it is mended the same turn goes on.
func TestCodexPoolUnsafe(t *testing.T) {
	c := newCodex(t, named("a")...)
	c.do(os.Chmod(c.dir, 0o777))
	run := c.start("Say hello.")
	c.until("Codex waits", func() bool { return strings.Contains(run.err.String(), "waiting for network") })
	if said := run.err.String(); !strings.Contains(said, c.dir+" is writable by everybody (mode 0777); run `chmod o-w` on it") {
		t.Errorf("Codex does not say why:\n%s", said)
	}
	if calls := c.sim.Calls(sim.KindResponses); len(calls) != 0 {
		t.Errorf("the backend got %s", summary(calls))
	}
	c.do(os.Chmod(c.dir, 0o700))
	got := run.shown()
	if got.code != 0 || got.out != "Hello from a\n" {
		t.Errorf("the person sees %q and %q", got.out, got.err)
	}
	c.mustTalk("a 200")
}
