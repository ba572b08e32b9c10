package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"codex-rota/plugin/proxy"
)

const (
	codexConfig  = ".codex/config.toml"
	codexProfile = ".codex/codex-rota.config.toml"
)

// withCodex puts the real Codex CLI into the PATH of every command that follows,
// and leaves no front end behind.
func (r *rig) withCodex() {
	r.t.Helper()
	bin := r.t.TempDir()
	name := "codex"
	if runtime.GOOS == "windows" {
		name = "codex.exe"
	}
	r.do(os.Symlink(codexPath(r.t), filepath.Join(bin, name)))
	r.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	r.t.Cleanup(r.endFrontEnd)
}

// withoutCodex leaves nothing in PATH.
func (r *rig) withoutCodex() { r.path = filepath.Join(r.dir, "nowhere") }

// homeFiles are all files of the home with what is in them.
func (r *rig) homeFiles() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	r.do(filepath.WalkDir(r.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			name, _ := filepath.Rel(r.dir, path)
			all[filepath.ToSlash(name)] = r.read(name)
		}
		return err
	}))
	return all
}

// TestInstallCodexBehindAProxy: the person is told that Codex would not come to the
// front end, and what to type.
func TestInstallCodexBehindAProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.withCodex()
	cmd := exec.Command(binary, "install", "codex")
	cmd.Env = append(r.env(os.Environ()), "ALL_PROXY=http://proxy.example:1", "NO_PROXY=localhost")
	var out transcript
	cmd.Stdout, cmd.Stderr = &out, &out
	r.witness.watch(cmd)
	err := cmd.Run()
	if said := out.String(); err != nil || !strings.Contains(said, "ALL_PROXY is set") || !strings.Contains(said, "export NO_PROXY='localhost,127.0.0.1'") {
		t.Errorf("%v: %s", err, said)
	}
}

// TestInstallCodex goes the whole way as a person does: what it would do, do it,
// look, undo it.
func TestInstallCodex(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.withCodex()
	const text = "# mine\nmodel_provider = \"oss\" # usually\n"
	r.write(codexConfig, text)
	before := r.homeFiles()
	if out := r.must("install", "codex", "--dry-run"); !strings.Contains(out, "a dry run, nothing was changed") || !strings.Contains(out, "\n-model_provider = \"oss\" # usually\n+model_provider = \"codex-rota\" # usually\n") {
		t.Errorf("the dry run says\n%s", out)
	}
	if diff := cmp.Diff(before, r.homeFiles()); diff != "" {
		t.Errorf("a dry run changed files (-before +after)\n%s", diff)
	}
	r.must("install", "codex")
	config := r.read(codexConfig)
	port := strconv.Itoa(r.port())
	for _, line := range []string{
		`model_provider = "codex-rota" # usually`,
		`base_url = "http://127.0.0.1:` + port + proxy.BasePath + `"`,
		`command = "` + binary + `"`,
		`args = ["token", "--front-end", "--root", "` + r.root() + `", "--port", "` + port + `"]`,
		`args = ["mcp", "--root", "` + r.root() + `"]`,
	} {
		if !strings.Contains(config, line+"\n") {
			t.Errorf("no %s in\n%s", line, config)
		}
	}
	if out := r.must("install", "codex"); out != "nothing to do\n" {
		t.Errorf("a second install did\n%s", out)
	}
	if out := r.must("status"); !strings.Contains(out, "codex      registered in ") {
		t.Errorf("status says\n%s", out)
	}
	if out := r.must("self-test"); !strings.Contains(out, "ok    host codex") {
		t.Errorf("self-test says\n%s", out)
	}
	r.must("uninstall", "codex")
	if got := r.read(codexConfig); got != text {
		t.Errorf("uninstall left %q", got)
	}
	if out := r.must("uninstall", "codex"); out != "nothing to do\n" {
		t.Errorf("a second uninstall did\n%s", out)
	}
}

// TestInstallCodexFails: one error, and nothing is changed, the pool's folder
// included.
func TestInstallCodexFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(*rig)
		args  []string
		code  int
		says  string
	}{
		{"no Codex", (*rig).withoutCodex, []string{"install", "codex"}, 1, "npm install -g @openai/codex"},
		{"no Codex, for a profile", (*rig).withoutCodex, []string{"install", "codex", "--profile-only"}, 1, "the Codex CLI is not in PATH"},
		{"no TOML", func(r *rig) { r.write(codexConfig, "model = = 1\n") }, []string{"install", "codex"}, 1, "config.toml: line 1, column 9: "},
		{"a profile of OpenCode", func(*rig) {}, []string{"install", "opencode", "--profile-only"}, 2, "--profile-only is for codex"},
		{"an unknown host", func(*rig) {}, []string{"install", "emacs"}, 2, "emacs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, named("a")...)
			r.withCodex()
			r.write(codexConfig, "model = \"m\"\n")
			test.spoil(r)
			before := r.homeFiles()
			_, stderr, code := r.exit(test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d, want %d; %s", code, test.code, stderr)
			}
			if diff := cmp.Diff(before, r.homeFiles()); diff != "" {
				t.Errorf("files changed (-before +after)\n%s", diff)
			}
		})
	}
}

// TestCodexHome: a folder elsewhere is the one that is looked at, by all commands.
func TestCodexHome(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.withCodex()
	dir := t.TempDir()
	r.elsewhere(dir, "install", "codex")
	if _, err := os.Stat(filepath.Join(r.dir, ".codex")); err == nil {
		t.Error("it went into the home")
	}
	if text, err := os.ReadFile(filepath.Join(dir, "config.toml")); err != nil || !strings.Contains(string(text), "[model_providers.codex-rota]") {
		t.Errorf("%v\n%s", err, text)
	}
	if out := r.elsewhere(dir, "status"); !strings.Contains(out, "codex      registered in "+dir) {
		t.Errorf("status says\n%s", out)
	}
	r.elsewhere(dir, "uninstall", "codex")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

// elsewhere runs a command with another CODEX_HOME.
func (r *rig) elsewhere(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), binary, args...)
	cmd.Env = r.env(os.Environ(), "CODEX_HOME="+dir)
	var out transcript
	cmd.Stdout, cmd.Stderr = &out, &out
	r.witness.watch(cmd)
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%v: %v\n%s", args, err, &out)
	}
	return out.String()
}

// TestPurgedPoolKeepsThePort: Codex's config outlives the pool. A new install
// takes its port again; without one the token command moves the config.
func TestPurgedPoolKeepsThePort(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.withCodex()
	r.must("install", "codex")
	port := r.port()
	r.must("purge", "--all", "--yes")
	r.must("install", "codex")
	if r.port() != port {
		t.Errorf("port %d became %d", port, r.port())
	}
	r.must("purge", "--all", "--yes")
	_, stderr, code := r.exit("token", "--front-end", "--port", strconv.Itoa(port))
	if code != 1 || !strings.Contains(stderr, "start Codex again") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if !strings.Contains(r.read(codexConfig), "127.0.0.1:"+strconv.Itoa(r.port())+"/") {
		t.Errorf("the config does not know port %d:\n%s", r.port(), r.read(codexConfig))
	}
	r.must("token", "--front-end", "--port", strconv.Itoa(r.port()))
}
