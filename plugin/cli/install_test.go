package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

// TestInstallOffersImport: OpenCode's own login is left alone after a no, and
// goes into the pool, with the placeholder in its place, after a yes.
func TestInstallOffersImport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seat := r.sim.AddSeat(sim.Seat{Name: "own"})
	r.write(openCodeAuth, openCodeLogin(seat.Tokens()))
	auth := func() string {
		text, err := os.ReadFile(filepath.Join(r.dir, openCodeAuth))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := auth()
	x := r.newTerminal(120, 40)
	x.run("codex-rota install opencode; echo exit $?")
	x.waitFor("Take OpenCode's own ChatGPT login into the pool? [y/N]")
	x.run("n")
	x.waitFor("exit 0")
	if auth() != before || len(r.states()) != 0 {
		t.Fatalf("a no changed something: %v", r.states())
	}
	x = r.newTerminal(120, 40)
	x.run("codex-rota install opencode; echo exit $?")
	x.waitFor("[y/N]")
	x.run("y")
	x.waitFor("exit 0")
	if text := auth(); strings.Contains(text, seat.Tokens().Refresh) || !strings.Contains(text, `"refresh":"codex-rota"`) {
		t.Error("auth.json still holds the login, or no placeholder")
	}
	if got := strings.TrimSpace(r.must("token")); got != seat.Tokens().Access {
		t.Error("the pool does not hold the login")
	}
}
