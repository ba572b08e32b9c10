//go:build !windows

package cli

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestRunSignals: a signal to the run is codex's to answer.
func TestRunSignals(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGHUP": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, named("a")...)
			r.fakeCodex("codex", `trap 'exit 9' TERM INT HUP; echo ready; while :; do sleep 0.05; done`, 0o755)
			cmd := exec.CommandContext(t.Context(), binary, "run", "--", "codex")
			cmd.Env = r.env(os.Environ())
			out, err := cmd.StdoutPipe()
			r.witness.watch(cmd)
			r.do(err, cmd.Start())
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
				t.Fatalf("codex says %q (%v)", line, err)
			}
			r.do(cmd.Process.Signal(signal))
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 9 {
				t.Errorf("the run ended with %v, want exit 9", err)
			}
		})
	}
}

// TestRunRealCodexInATerminal: one prompt in the interactive Codex, which is left
// as it is always left.
func TestRunRealCodexInATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.withCodex()
	takeTurn(t)
	x := r.newTerminal(100, 40, "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+r.path)
	x.start("cd " + r.folder("project") + "; codex-rota run -- codex; echo exit $?")
	x.waitFor("Ask Codex to do anything")
	x.tmux("send-keys", "-l", "hello")
	x.waitFor("› hello")
	x.press("Enter")
	x.waitFor("Hello from a")
	x.tmux("send-keys", "-l", "/quit")
	x.waitFor("› /quit")
	x.press("Enter")
	x.waitFor("exit 0")
	r.mustBeObedient()
	if got := r.seatsAsked(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("asked %q", got)
	}
	// Codex itself may note there what it has shown.
	if config, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(codexConfig))); err == nil && strings.Contains(string(config), "codex-rota") {
		t.Errorf("config.toml is now\n%s", config)
	}
}
