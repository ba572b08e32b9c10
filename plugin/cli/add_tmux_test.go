package cli

import (
	"regexp"
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

// addTerminal is a terminal in which add can be typed. What env says comes on top
// of an SSH session.
func (r *rig) addTerminal(env ...string) *terminal {
	r.t.Helper()
	port := "CODEX_ROTA_CALLBACK_PORT=" + freePort(r.t)
	return r.newTerminal(120, 40, append(append([]string{port}, noDesk...), env...)...)
}

// address is the one that add printed, which the terminal broke into lines.
func (x *terminal) address() string {
	x.t.Helper()
	x.waitFor("left. Ctrl-C cancels.")
	found := regexp.MustCompile(`(?m)^http://\S+$`).FindString(x.tmux("capture-pane", "-p", "-J"))
	if found == "" {
		x.t.Fatalf("no address on the screen:\n%s", x.screen())
	}
	return found
}

// TestAddPasteOnATerminal: without a browser here, ways that need none are
// offered. What is pasted is not shown, a wrong text can be mended, and the
// terminal is afterwards as it was.
func TestAddPasteOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sim.AddSeat(sim.Seat{Name: "ann", Email: "ann@example.com"})
	x := r.addTerminal()
	x.run("codex-rota add; echo exit $?")
	x.waitFor("No browser can be opened here: this is an SSH session.", "Which? [d]")
	x.run("what?")
	x.waitFor("Which? [d] what?\nWhich? [d]")
	x.run("p")
	back := signIn(t, x.address())
	x.run(strings.Replace(back, "state=", "state=another", 1))
	x.waitFor("its state is not this login's", "Paste the whole address", "left. Ctrl-C cancels.")
	x.run(back)
	screen := x.waitFor("Added ann@example.com (plus): a new account.", "exit 0")
	if strings.Contains(screen, "code=") || strings.Contains(screen, "Ctrl-C") {
		t.Errorf("the code, or the countdown, is on the screen:\n%s", screen)
	}
	x.start("echo the echo")
	x.waitFor("echo the echo\nthe echo")
}

func TestAddDeviceOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seat := r.sim.AddSeat(sim.Seat{Name: "ann"})
	x := r.addTerminal()
	x.run("codex-rota add --label work; echo exit $?")
	x.waitFor("Which? [d]")
	x.run("")
	screen := x.waitFor("type the code below", "Waiting, 1", "left. Ctrl-C cancels.")
	code := printedCode.FindStringSubmatch(screen)
	if code == nil {
		t.Fatalf("no code on the screen:\n%s", screen)
	}
	if err := r.sim.ApproveDevice(code[1], seat); err != nil {
		t.Fatal(err)
	}
	x.waitFor("Added work", "exit 0")
}

// TestAddBrowserOnATerminal: the browser opens, the time counts down, and Ctrl-C
// ends it at once and gives the terminal back with its echo.
func TestAddBrowserOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sim.AddSeat(sim.Seat{Name: "ann"})
	x := r.addTerminal("BROWSER=" + r.fakeBrowser("echo NOISE >/dev/tty; echo NOISE; echo NOISE >&2"))
	x.run("codex-rota login; echo exit $?")
	x.waitFor("in the browser that opens now", "paste that page's whole address here", "Waiting, 4:5")
	x.press("C-c")
	screen := x.waitFor("codex-rota: the login was cancelled", "exit 1")
	if strings.Contains(screen, "NOISE") {
		t.Errorf("the browser's output is on the screen:\n%s", screen)
	}
	x.start("echo the echo")
	x.waitFor("echo the echo\nthe echo")
	x.start("codex-rota add; echo exit $?")
	if page := browse(t, x.address()); !strings.Contains(page, "You are signed in") {
		t.Errorf("the browser ends on %s", page)
	}
	x.waitFor("a new account", "exit 0")
}
