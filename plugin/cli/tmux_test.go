package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// terminal is a shell in a real terminal, with the binary in its path.
type terminal struct {
	t      *testing.T
	socket string
}

// newTerminal starts one of this size over the rig's pool. Where there is no
// tmux the test says loudly that it did not run.
func (r *rig) newTerminal(width, height int, env ...string) *terminal {
	r.t.Helper()
	if _, err := exec.LookPath("tmux"); errors.Is(err, exec.ErrNotFound) {
		r.t.Skip("NOT RUN: tmux is not installed, so nothing was tested in a real terminal")
	}
	x := &terminal{t: r.t, socket: filepath.Join(r.t.TempDir(), "tmux")}
	cmd := exec.Command("tmux", "-u", "-S", x.socket, "-f", os.DevNull, "new-session", "-d",
		"-x", strconv.Itoa(width), "-y", strconv.Itoa(height), "exec sh")
	path := "PATH=" + filepath.Dir(binary) + string(os.PathListSeparator) + os.Getenv("PATH")
	cmd.Env = r.env(os.Environ(), append([]string{path, "TERM=xterm-256color", "LC_ALL=C.UTF-8", "PS1=ready> ", "SHELL=/bin/sh", "NO_COLOR=", "TMUX="}, env...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("tmux: %v: %s", err, out)
	}
	r.t.Cleanup(func() { x.tmux("kill-server") })
	r.witness.started(cmd)
	// All that is ever written on it, for the search at the end of the test.
	x.tmux("pipe-pane", "-o", "cat >> '"+filepath.Join(r.t.TempDir(), "screen")+"'")
	x.waitFor("ready>")
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// run types a line.
func (x *terminal) run(line string) {
	x.t.Helper()
	x.tmux("send-keys", "-l", line)
	x.tmux("send-keys", "Enter")
}

// start types a line on an empty screen, so that nothing is taken for its output
// that was there before.
func (x *terminal) start(line string) {
	x.t.Helper()
	x.tmux("send-keys", "-R")
	x.run(line)
}

// press presses a key by tmux's name for it.
func (x *terminal) press(key string) {
	x.t.Helper()
	x.tmux("send-keys", key)
}

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

// waitFor looks until the screen holds all of these, for as long as a slow
// machine may need.
func (x *terminal) waitFor(texts ...string) string {
	x.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		screen, missing := x.screen(), ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return screen
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("the terminal does not show %q:\n%s", missing, screen)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// state is a format of tmux about the pane: whether the second page is shown
// ("alternate_on"), whether the cursor is visible ("cursor_flag").
func (x *terminal) state(name string) string {
	return strings.TrimSpace(x.tmux("display-message", "-p", "#{"+name+"}"))
}

// TestPromptOnATerminal: what cannot be brought back is asked for, and only a yes
// is one.
func TestPromptOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("work", "home")...)
	x := r.newTerminal(100, 30)
	for _, no := range []string{"", "n", "maybe"} {
		x.start("codex-rota remove work; echo exit $?")
		x.waitFor("Forget work and its tokens? It can only come back by a new login. [y/N]")
		x.run(no)
		x.waitFor("Nothing was changed.", "exit 1")
	}
	x.start("codex-rota logout work")
	x.waitFor("Drop the tokens of work? It can only be used again after a new login. [y/N]")
	x.press("C-c")
	x.waitFor("^C\nready>")
	x.run("echo exit $?")
	x.waitFor("exit 130")
	if states := r.states(); states["work"] != "ready" {
		t.Fatalf("states %v after every no", states)
	}
	x.start("codex-rota logout work; echo exit $?")
	x.waitFor("[y/N]")
	x.run("y")
	x.waitFor("The tokens of work are gone", "exit 0")
	x.start("codex-rota remove work; echo exit $?")
	x.waitFor("[y/N]")
	x.run("yes")
	x.waitFor("work and its tokens are gone", "exit 0")
	if states := r.states(); len(states) != 1 {
		t.Errorf("states %v", states)
	}
}

// TestBarsOnATerminal: colours, and nothing wider than the terminal.
func TestBarsOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.Seat{Name: "ein sehr langer Name, den kein Terminal ganz zeigt 仕事"}, sim.Seat{Name: "仕事 😀"})
	r.seats[0].SetWindow(sim.Window{Name: sim.Secondary, UsedPercent: 100, Minutes: 10080})
	for _, test := range []struct {
		width int
		want  []string
		not   string
	}{
		{110, []string{"LAST USED", "QUOTA", "████████", "RESETS", "langer Name"}, ""},
		{80, []string{"QUOTA", "RESETS", "████████", "仕事 😀"}, "LAST USED"},
		{46, []string{"STATE", "WINDOW", "100%"}, "QUOTA"},
	} {
		x := r.newTerminal(test.width, 40)
		x.start("codex-rota quota; echo done")
		screen := x.waitFor(append(test.want, "done\n")...)
		if test.not != "" && strings.Contains(screen, test.not) {
			t.Errorf("%d columns: %q has no room:\n%s", test.width, test.not, screen)
		}
		// A line that the terminal had to break begins again at its left edge.
		unbroken := x.tmux("capture-pane", "-p", "-J")
		if strings.Count(unbroken, "\n") != strings.Count(screen, "\n") {
			t.Errorf("%d columns: a line was too long:\n%s", test.width, screen)
		}
		if dressed := x.tmux("capture-pane", "-p", "-e"); !strings.Contains(dressed, "\x1b[31m"+test.want[2]) || !strings.Contains(dressed, "\x1b[33mlimited") {
			t.Errorf("%d columns: no colours:\n%q", test.width, dressed)
		}
	}
	x := r.newTerminal(100, 30, "NO_COLOR=1")
	x.start("codex-rota list; echo done")
	x.waitFor("████████", "done\n")
	if dressed := x.tmux("capture-pane", "-p", "-e"); strings.Contains(dressed, "\x1b[3") {
		t.Errorf("coloured although NO_COLOR is set:\n%q", dressed)
	}
}

// TestWatchOnATerminal: the quota is drawn on the second page, follows what other
// processes do, and Ctrl-C gives the terminal back as it was.
func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("work", "home")...)
	r.seats[0].SetWindow(sim.Window{Name: sim.Primary, UsedPercent: 42, Minutes: 300})
	x := r.newTerminal(100, 12)
	x.start("echo before; codex-rota quota --watch; echo exit $?")
	x.waitFor("read at", "Ctrl-C ends", "███░░░░░", "42%", "home")
	if x.state("alternate_on") != "1" || x.state("cursor_flag") != "0" {
		t.Error("not drawn on the second page with the cursor hidden")
	}
	r.must("label", "work", "renamed")
	x.waitFor("renamed")
	x.press("C-c")
	if screen := x.waitFor("exit 0"); !strings.Contains(screen, "before") || strings.Contains(screen, "renamed") {
		t.Errorf("the terminal is not as it was:\n%s", screen)
	}
	if x.state("alternate_on") != "0" || x.state("cursor_flag") != "1" {
		t.Error("the second page or the hidden cursor is left")
	}
	if n := len(r.sim.Calls(sim.KindResponses)) + len(r.sim.Calls(sim.KindRefresh)); n != 0 {
		t.Errorf("looking cost %d calls", n)
	}
}

// TestFollowOnATerminal: new events appear, and Ctrl-C ends it.
func TestFollowOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("work")...)
	x := r.newTerminal(160, 20)
	x.start("codex-rota logs --follow; echo exit $?")
	x.waitFor("the request log is off and empty")
	h, _ := r.serve("", "ENABLE_PLUGIN_REQUEST_LOGGING=1")
	if _, _, err := r.call(h, hostCall{name: "one", session: "s"}); err != nil {
		t.Fatal(err)
	}
	x.waitFor("call one #1 → POST", "as work", "call one #1 ← 200")
	x.press("C-c")
	x.waitFor("exit 0")
}
