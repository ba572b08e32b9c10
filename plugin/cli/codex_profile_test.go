package cli

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCodexProfile: the real Codex with -p codex-rota is answered through the
// pool and has its tools; without it Codex knows nothing of them.
func TestCodexProfile(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.withCodex()
	r.must("install", "codex", "--profile-only")
	said, err := r.codex("exec", "--skip-git-repo-check", "-p", "codex-rota", "hello")
	if err != nil || !strings.Contains(said, "provider: codex-rota\n") || len(r.seatsAsked()) != 1 {
		t.Errorf("%v, asked %v\n%s", err, r.seatsAsked(), said)
	}
	said, err = r.codex("-p", "codex-rota", "mcp", "list")
	if err != nil || !strings.Contains(said, "codex-rota") || !strings.Contains(said, "enabled") {
		t.Errorf("%v: no MCP server in\n%s", err, said)
	}
	said, err = r.codex("mcp", "list")
	if err != nil || !strings.Contains(said, "No MCP servers configured yet") {
		t.Errorf("%v: without the profile too\n%s", err, said)
	}
}

// codex runs the real Codex CLI in the home and gives all that it says.
func (r *rig) codex(args ...string) (string, error) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), codexPath(r.t), args...)
	cmd.Env, cmd.Dir = r.env(os.Environ()), r.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
