//go:build !windows

package cli

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
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
				if talk := c.sim.Calls(sim.KindResponses); len(talk) > 1 && talk[1].Status == 200 {
					calls[1] = "a 200" // its head was on the way when nobody was there any more
				}
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

// TestCodexInterrupted: Ctrl-C ends the backend's work with the turn; nothing is
// learned from it, and the thread goes on.
func TestCodexInterrupted(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	c.fault("slow-stream", times(1))
	run := c.start("Say hello.")
	c.held()
	run.signal(t, true, syscall.SIGINT)
	if got := run.shown(); got.out != "" {
		t.Errorf("the person sees %q", got.out)
	}
	c.arrived("the stream's connection is closed", func(calls []sim.Call) bool {
		return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Held && c.End == sim.EndGone })
	})
	if got := c.states(); got["a"] != "ready" || got["b"] != "ready" {
		t.Errorf("states %v", got)
	}
	c.resume("And again.").mustSay(t, "Hello from a")
	c.mustTalk("a 200", "a 200")
	c.mustBeObedient()
}

// TestCodexMeetsAStranger: another program has the front end's port. This run of
// Codex cannot know another, and says that its token command failed and why; it
// gets no key to show. The next run finds the front end where it has moved.
func TestCodexMeetsAStranger(t *testing.T) {
	c := newCodex(t, named("a")...)
	old := c.port()
	listener, err := proxy.Listen(old)
	c.do(err)
	var mu sync.Mutex
	var shown []string
	stranger := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, r.Header.Get("Authorization"))
		http.Error(w, "who are you?", http.StatusBadRequest)
	})}
	go func() { _ = stranger.Serve(listener) }()
	defer stranger.Close()
	got := c.exec("Say hello.")
	if got.code == 0 || got.out != "" {
		t.Errorf("the stranger's answer is taken: %q", got.out)
	}
	if want := fmt.Sprintf("another program listens on port %d, where the codex-rota front end should; it moved to port %d: start Codex again", old, c.port()); !strings.Contains(got.log, want) {
		t.Errorf("Codex's log does not say %q:\n%s", want, got.log)
	}
	c.mustTalk()
	c.exec("Say hello.").mustSay(t, "Hello from a")
	mu.Lock()
	defer mu.Unlock()
	for _, key := range shown {
		if key != "" {
			t.Errorf("the stranger was shown %q", key)
		}
	}
}
