package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeCodex is a codex that is this shell script.
func (h *home) fakeCodex(script string) string {
	h.t.Helper()
	if runtime.GOOS == "windows" {
		h.t.Skip("the fake codex is a shell script")
	}
	h.write("bin/codex", "#!/bin/sh\n"+script)
	if err := os.Chmod(h.path("bin/codex"), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return h.path("bin/codex")
}

// answering gives the lines one by one, each to the request that asks for it.
func answering(lines ...string) string {
	script := ""
	for _, line := range lines {
		if line == "" {
			script += "read -r request\n" // the notification
			continue
		}
		script += "read -r request\necho '" + line + "'\n"
	}
	return script + "cat >/dev/null\n"
}

const (
	hello   = `{"id":1,"result":{"userAgent":"codex/0.1"}}`
	written = `{"id":2,"result":{"status":"ok"}}`
)

// TestCodexThatCannot: one clear error with what to type, and nothing changed.
func TestCodexThatCannot(t *testing.T) {
	tests := []struct {
		name, script string
		says         []string
	}{
		{"no app-server", "echo \"error: unrecognized subcommand 'app-server'\" >&2; exit 2",
			[]string{"cannot be used: its app-server ended: error: unrecognized subcommand 'app-server'", "npm install -g @openai/codex@latest"}},
		{"half an installation", "printf 'file:///x/codex.js:108\\n  throw new Error(\\n\\nError: Missing optional dependency\\n' >&2; exit 1", []string{"its app-server ended: Error: Missing optional dependency; to update it, run: npm install -g @openai/codex@latest"}},
		{"no config editor", answering(hello, "", `{"id":2,"error":{"code":-32600,"message":"Invalid request: unknown variant"}}`),
			[]string{"it has no config editor", "npm install -g @openai/codex@latest"}},
		{"no such method", answering(hello, "", `{"id":2,"error":{"code":-32601,"message":"Method not found"}}`), []string{"it has no config editor"}},
		{"no token command", answering(hello, "", written, `{"id":3,"result":{"status":"ok"}}`), []string{"it knows no token command for a provider", "npm install -g @openai/codex@latest"}},
		{"another program of that name", "echo usage: codex FILE; cat >/dev/null", []string{"it does not speak JSON-RPC"}},
		{"ends at once", "exit 0", []string{"its app-server ended: it said nothing"}},
		{"does not take the config", answering(hello, "", `{"id":2,"error":{"code":-32603,"message":"failed to load configuration: '"$CODEX_HOME"'/config.toml:1:9: extra"}}`),
			[]string{"the Codex CLI does not take ", "config.toml: failed to load configuration: ", "config.toml:1:9: extra; mend it first"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, map[string]string{codexConfig: "model = \"m\"\n"})
			program := h.fakeCodex("touch \"$CODEX_HOME/config.toml\"\n" + tt.script)
			before := h.files()
			for _, o := range []CodexInstall{{}, {DryRun: true}, {ProfileOnly: true}} {
				_, err := NewCodex(h.codexOptions(program)).Install(t.Context(), o)
				for _, says := range tt.says {
					if err == nil || !strings.Contains(err.Error(), says) {
						t.Errorf("%+v: %v, want %s", o, err, says)
					}
				}
				if err != nil && strings.Contains(err.Error(), os.TempDir()+"/codex-rota-") {
					t.Errorf("it names the copy: %v", err)
				}
			}
			if diff := cmp.Diff(before, h.files()); diff != "" {
				t.Errorf("files changed (-before +after)\n%s", diff)
			}
		})
	}
}

// TestCodexEditorSeesACopyOnly: not the person's home, login or keys, and it is
// told neither to look for plugins nor to start a provider. The copy is gone
// afterwards.
func TestCodexEditorSeesACopyOnly(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: "model = \"m\"\n"})
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	o := h.codexOptions(h.fakeCodex("echo \"$@\" > " + h.path("args") + "; env > " + h.path("env") + "; cp \"$CODEX_HOME/config.toml\" " + h.path("copy") + "\n"))
	o.Environ = append(os.Environ(), "CODEX_HOME="+h.path(".codex"), "CODEX_API_KEY=secret", "OPENAI_API_KEY=secret", "HOME="+h.dir)
	if _, err := NewCodex(o).Install(t.Context(), CodexInstall{}); err == nil {
		t.Error("this Codex can do nothing")
	}
	if args := mustRead(t, h.path("args")); args != "app-server -c features.plugins=false -c model_provider=\"openai\"\n" {
		t.Errorf("it was run with %s", args)
	}
	env := mustRead(t, h.path("env"))
	if strings.Contains(env, "secret") || strings.Contains(env, "HOME="+h.dir) || !strings.Contains(env, "\nCODEX_HOME="+temp) && !strings.HasPrefix(env, "CODEX_HOME="+temp) {
		t.Errorf("it was run in\n%s", env)
	}
	if mustRead(t, h.path("copy")) != "model = \"m\"\n" {
		t.Error("it had no copy of the config")
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v %v", left, err)
	}
}

// What an administrator's config overrides is written all the same, and told.
func TestCodexConfigIsOverridden(t *testing.T) {
	h := newHome(t, nil)
	program := h.fakeCodex("echo 'model_provider = \"codex-rota\"' > \"$CODEX_HOME/config.toml\"\n" + answering(hello, "",
		`{"method":"configWarning","params":{}}
{"id":2,"result":{"status":"okOverridden","overriddenMetadata":{"message":"Overridden by managed config","overridingLayer":{"name":{"type":"mdm"}}}}}`,
		`{"id":3,"error":{"code":-32600,"message":"cannot be combined","data":{"config_write_error_code":"configValidationError"}}}`))
	r, err := NewCodex(h.codexOptions(program)).Install(t.Context(), CodexInstall{})
	if err != nil || !strings.Contains(r.String(), "note: Codex says of what was written: Overridden by managed config\n") {
		t.Errorf("%v\n%s", err, r)
	}
}

// Most people have Codex from npm, as a script that starts the program.
func TestCodexFromNPM(t *testing.T) {
	realCodex(t)
	program, err := filepath.Abs(filepath.Join("..", "..", "node_modules", ".bin", "codex"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("node"); err != nil || !isFile(program) {
		t.Skipf("NOT RUN: no node, or no %s", program)
	}
	h := newHome(t, map[string]string{codexConfig: "model = \"m\"\n"})
	c := NewCodex(h.codexOptions(program))
	if _, err := c.Install(t.Context(), CodexInstall{}); err != nil {
		t.Fatal(err)
	}
	h.mustBeRegistered(codexConfig)
	if _, version, err := c.Program(t.Context()); err != nil || version != CodexVersion {
		t.Errorf("version %s, %v", version, err)
	}
}

// A Codex that hangs is ended, and so is what it started.
func TestCodexThatHangs(t *testing.T) {
	h := newHome(t, nil)
	program := h.fakeCodex("echo $$ > " + h.path("pid") + "\nsleep 600\n")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := NewCodex(h.codexOptions(program)).Install(ctx, CodexInstall{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := os.Stat(h.path(".codex")); err == nil {
		t.Error("it changed something")
	}
}

func TestCodexIsMissing(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: "model = \"m\"\n"})
	before := h.files()
	t.Setenv("PATH", t.TempDir())
	c := NewCodex(h.codexOptions(""))
	for _, o := range []CodexInstall{{}, {DryRun: true}, {ProfileOnly: true}} {
		if _, err := c.Install(t.Context(), o); !errors.Is(err, ErrNoCodex) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if r, err := c.Uninstall(t.Context(), CodexUninstall{}); err != nil || r.Changed() {
		t.Errorf("uninstall without install: %v\n%s", err, r)
	}
	if diff := cmp.Diff(before, h.files()); diff != "" {
		t.Errorf("files changed (-before +after)\n%s", diff)
	}
}

// What Codex itself would not load is not edited either.
func TestCodexConfigsThatAreLeftAlone(t *testing.T) {
	tests := []struct{ name, text, says string }{
		{"no TOML", "model = = 1\n", "config.toml: line 1, column 9: "},
		{"a key twice", "model = \"a\"\nmodel = \"b\"\n", "config.toml: line 2"},
		{"a value of another type", "model = 3\n", "invalid type: integer `3`, expected a string in `model`; mend it first"},
		{"providers that are none", "model_providers = 3\n", "config.toml: model_providers is no table; mend it first"},
		{"a provider of another tool", "[model_providers.codex-rota]\nname = \"other\"\nbase_url = \"https://example.com\"\n", "has a [model_providers.codex-rota] that is not ours; rename it"},
		{"an MCP server of another tool", "[mcp_servers.codex-rota]\ncommand = \"/usr/bin/other\"\n", "has a [mcp_servers.codex-rota] that is not ours; rename it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, map[string]string{codexConfig: tt.text})
			before := h.files()
			for _, o := range []CodexInstall{{}, {DryRun: true}} {
				if _, err := h.codex().Install(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), h.path(codexConfig)) {
					t.Errorf("%+v: %v, want %s", o, err, tt.says)
				}
			}
			if r, err := h.codex().Uninstall(t.Context(), CodexUninstall{}); r.Changed() {
				t.Errorf("uninstall did %v\n%s", err, r)
			}
			if diff := cmp.Diff(before, h.files()); diff != "" {
				t.Errorf("files changed (-before +after)\n%s", diff)
			}
		})
	}
}

func TestCodexConfigThatIsReadOnly(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: "model = \"m\"\n"})
	h.chmod(codexConfig, 0o444)
	before := h.files()
	_, err := h.codex().Install(t.Context(), CodexInstall{})
	if err == nil || !strings.Contains(err.Error(), "config.toml is read-only") || !strings.Contains(err.Error(), "codex-rota install codex --profile-only") {
		t.Errorf("install: %v", err)
	}
	if diff := cmp.Diff(before, h.files()); diff != "" {
		t.Errorf("files changed (-before +after)\n%s", diff)
	}
	h.chmod(codexConfig, 0o644)
	h.installCodex(CodexInstall{})
	h.chmod(codexConfig, 0o444)
	if _, err := h.codex().Uninstall(t.Context(), CodexUninstall{}); err == nil || !strings.Contains(err.Error(), "is read-only") {
		t.Errorf("uninstall: %v", err)
	}
	h.mustBeRegistered(codexConfig)
}

func (h *home) chmod(name string, mode fs.FileMode) {
	h.t.Helper()
	if err := os.Chmod(h.path(name), mode); err != nil {
		h.t.Fatal(err)
	}
}

// A link is written through, the file's mode and the link stay.
func TestCodexLinks(t *testing.T) {
	const text = "model = \"m\"\n"
	for _, tt := range []struct{ name, link, to string }{
		{"config.toml", codexConfig, "dotfiles/config.toml"},
		{"CODEX_HOME", ".codex", "dotfiles"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t, map[string]string{"dotfiles/config.toml": text})
			if err := os.MkdirAll(filepath.Dir(h.path(tt.link)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(h.path(tt.to), h.path(tt.link)); err != nil {
				t.Skip(err)
			}
			h.installCodex(CodexInstall{})
			info, err := os.Stat(h.path("dotfiles/config.toml"))
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			h.mustBeRegistered("dotfiles/config.toml")
			h.uninstallCodex()
			if info, err := os.Lstat(h.path(tt.link)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("the link became %v, %v", info, err)
			}
			if got := mustRead(t, h.path("dotfiles/config.toml")); got != text {
				t.Errorf("left %q", got)
			}
		})
	}
}

// A link that leads nowhere is not replaced by a file, and nothing of ours stays.
func TestCodexLinkToNothing(t *testing.T) {
	h := newHome(t, map[string]string{".codex/other": ""})
	if err := os.Symlink(h.path("nowhere/config.toml"), h.path(codexConfig)); err != nil {
		t.Skip(err)
	}
	if _, err := h.codex().Install(t.Context(), CodexInstall{}); err == nil {
		t.Error("it was installed")
	}
	if _, err := os.Stat(h.path(".codex/codex-rota")); err == nil {
		t.Error("the record of what was not done stays")
	}
	if info, err := os.Lstat(h.path(codexConfig)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
}
