//go:build !windows

package cli

import (
	"strings"
	"syscall"
	"testing"
)

// TestMCPSignals: Ctrl-C in the terminal of Codex reaches the whole process group
// and means Codex; SIGTERM means us.
func TestMCPSignals(t *testing.T) {
	r := newRig(t, named("work")...)
	c := r.mcp(nil)
	for _, ignored := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if err := c.cmd.Process.Signal(ignored); err != nil {
			t.Fatal(err)
		}
		if text, failed := c.tool("explain", `{}`); failed || !strings.Contains(text, "work would be used") {
			t.Errorf("after %s: error %t:\n%s", ignored, failed, text)
		}
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.ends()
}

// TestMCPByHand: on a terminal it says what it is, and does not wait for messages
// that nobody will type.
func TestMCPByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("work")...)
	x := r.newTerminal(100, 20)
	x.start("codex-rota mcp; echo exit $?")
	x.waitFor("Model Context Protocol", "codex-rota install codex", "exit 2")
}
