package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

// TestCodexOnATerminal: the person types `codex` and a prompt, as every day. The
// first account is spent, and they see nothing of it.
func TestCodexOnATerminal(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	c.fault("weekly-limit", onSeat("a"))
	x := c.newTerminal(100, 30, "PATH="+filepath.Dir(c.path)+string(os.PathListSeparator)+os.Getenv("PATH"), "TZ=UTC")
	x.run("cd " + c.project + " && codex")
	x.waitFor("Ask Codex to do anything")
	x.tmux("send-keys", "-l", "Say hello.")
	x.waitFor("› Say hello.")
	// Codex takes an Enter that comes with the text for a part of what is pasted.
	c.until("Codex asks the model", func() bool {
		x.press("Enter")
		return len(c.sim.Calls(sim.KindResponses)) > 0
	})
	screen := x.waitFor("Hello from b")
	c.keepScreen("codex", screen)
	for _, word := range []string{"■", "limit", "Reconnecting", "rror"} {
		if strings.Contains(screen, word) {
			t.Errorf("the screen holds %q:\n%s", word, screen)
		}
	}
	// The thread is named by a call of its own that may set out beside the first
	// and meet the same limit.
	met := 0
	for i, call := range c.sim.Calls(sim.KindResponses) {
		switch got := fmt.Sprint(call.Seat, " ", call.Status); {
		case got == "a 429" && met < 2:
			met++
		case got != "b 200":
			t.Errorf("call %d: %s", i+1, got)
		}
	}
	c.until("Codex ends", func() bool { // the first Ctrl-C may only interrupt what it still does
		x.press("C-c")
		return strings.Contains(x.screen(), "ready>")
	})
	if met < 2 {
		c.mustBeObedient()
	}
}

// keepScreen leaves what a person saw for people to look at.
func (r *rig) keepScreen(name, screen string) {
	r.t.Helper()
	dir := filepath.Join("..", "..", "artifacts", "screens")
	r.do(os.MkdirAll(dir, 0o755))
	r.do(os.WriteFile(filepath.Join(dir, name+".txt"), []byte(screen), 0o644))
}
