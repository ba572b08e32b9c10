package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	codexConfig     = ".codex/config.toml"
	codexProfile    = ".codex/codex-rota.config.toml"
	codexRecordFile = ".codex/codex-rota/install.json"
	codexBackup     = ".codex/codex-rota/config.backup"
)

// realCodex is the pinned Codex CLI; `make hosts` brings it.
func realCodex(t *testing.T) string {
	t.Helper()
	path, err := FindCodex(filepath.Join("..", ".."))
	if err != nil {
		t.Skipf("NOT RUN: %v; make hosts installs it", err)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (h *home) codexOptions(program string) CodexOptions {
	return CodexOptions{Home: h.dir, Env: func(string) string { return "" }, Environ: os.Environ(),
		Binary: "/opt/codex-rota", Root: h.path("pool"), Port: 4141, Program: program, ServerEnv: []string{"HTTPS_PROXY", "CODEX_ROTA_ROTATION"}}
}

func (h *home) codex() *Codex { return NewCodex(h.codexOptions(realCodex(h.t))) }

func (h *home) installCodex(o CodexInstall) Report {
	h.t.Helper()
	r, err := h.codex().Install(h.t.Context(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *home) uninstallCodex() Report {
	h.t.Helper()
	r, err := h.codex().Uninstall(h.t.Context(), CodexUninstall{})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// registration is what install writes, ROOT standing for the pool's folder.
const registration = `
[model_providers.codex-rota]
name = "codex-rota"
base_url = "http://127.0.0.1:4141/backend-api/codex"
wire_api = "responses"
supports_standalone_web_search = true

[model_providers.codex-rota.auth]
command = "/opt/codex-rota"
args = ["token", "--front-end", "--root", "ROOT", "--port", "4141"]
refresh_interval_ms = 1000

[mcp_servers.codex-rota]
command = "/opt/codex-rota"
args = ["mcp", "--root", "ROOT"]
env_vars = ["HTTPS_PROXY", "CODEX_ROTA_ROTATION"]
`

// codexConfigs are configs as people have them.
var codexConfigs = []struct{ name, text string }{
	{"an empty file", ""},
	{"comments only", "# mine\n"},
	{"odd formatting", "# c\n\n  model   =  \"m\" # why\n\n\n[tui]\n\ttheme = \"x\"   \n\n# end"},
	{"no line end", `model = "m"`},
	{"CRLF", "# c\r\nmodel = \"m\"\r\n\r\n[tui]\r\ntheme = \"x\"\r\n"},
	{"mixed line ends", "model = \"m\"\r\n[tui]\ntheme = \"x\"\r\n"},
	{"a byte order mark", "\ufeffmodel = \"m\"\n"},
	{"a default of its own", "model_provider = \"azure\" # mine\n[model_providers.azure]\nname = \"az\"\nbase_url = \"https://example.com\"\n"},
	{"inline tables", "model_providers = { azure = { name = \"az\", base_url = \"https://example.com\" } }\nmcp_servers = { a = { command = \"x\" } }\n"},
	{"dotted keys", "model_providers.azure.name = \"az\"\nmodel_providers.azure.base_url = \"https://example.com\"\nmcp_servers.a.command = \"x\"\n"},
	{"other MCP servers", "[mcp_servers]\n[mcp_servers.a]\ncommand = \"x\"\n\n[projects.\"/home/x\"]\ntrust_level = \"trusted\"\n"},
	{"an inline table over lines", "model_providers = {\n  azure = { name = \"az\", base_url = \"https://example.com\", },\n}\n"},
}

// TestCodexInstallAndUndo installs into each kind of config, twice, looks at what
// Codex would read, and takes it back, byte for byte.
func TestCodexInstallAndUndo(t *testing.T) {
	for _, tt := range append(codexConfigs, struct{ name, text string }{"nothing there", "-"}) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, nil)
			if tt.text != "-" {
				h.write(codexConfig, tt.text)
			}
			before := h.files()
			dry := h.installCodex(CodexInstall{DryRun: true})
			if !strings.Contains(dry.String(), "a dry run, nothing was changed") || !strings.Contains(dry.String(), "\n+[model_providers.codex-rota]") {
				t.Errorf("the dry run says\n%s", dry)
			}
			if diff := cmp.Diff(before, h.files()); diff != "" {
				t.Errorf("a dry run changed files (-before +after)\n%s", diff)
			}

			h.installCodex(CodexInstall{})
			h.mustBeRegistered(codexConfig)
			installed := h.files()
			for line := range strings.Lines(tt.text) {
				if strings.Contains(line, "#") && !strings.Contains(installed[codexConfig], strings.TrimSpace(line[strings.Index(line, "#"):])) {
					t.Errorf("the comment of %q is lost in\n%s", line, installed[codexConfig])
				}
			}
			if r := h.installCodex(CodexInstall{}); r.Changed() || r.String() != "nothing to do\n" {
				t.Errorf("a second install did\n%s", r)
			}
			if diff := cmp.Diff(installed, h.files()); diff != "" {
				t.Errorf("a second install changed files (-before +after)\n%s", diff)
			}

			h.uninstallCodex()
			if diff := cmp.Diff(before, h.files()); diff != "" {
				t.Errorf("uninstall did not restore (-before +after)\n%s", diff)
			}
			if r := h.uninstallCodex(); r.Changed() {
				t.Errorf("a second uninstall did\n%s", r)
			}
		})
	}
}

// mustBeRegistered looks at a file as Codex reads it.
func (h *home) mustBeRegistered(name string) {
	h.t.Helper()
	c := h.codex()
	f, err := readCodexFile(h.path(name))
	if err != nil {
		h.t.Fatal(err)
	}
	if differ := f.differing(c.Settings()); len(differ) > 0 {
		h.t.Errorf("%s lacks %v:\n%s", name, differ, f.text)
	}
}

func TestCodexConfigAsWritten(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: "# c\nmodel = \"m\"\n"})
	h.installCodex(CodexInstall{})
	want := "# c\nmodel = \"m\"\nmodel_provider = \"codex-rota\"\n" + strings.ReplaceAll(registration, "ROOT", h.path("pool"))
	if diff := cmp.Diff(want, mustRead(t, h.path(codexConfig))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]fs.FileMode{codexConfig: 0o640, codexBackup: 0o600, codexRecordFile: 0o600} {
			if info, err := os.Stat(h.path(name)); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	}
}

func TestCodexUndoOfAFileChangedSince(t *testing.T) {
	tests := []struct{ name, before, edit, with, want string }{
		{"a key was changed", "model = \"m\" # c\n", `"m"`, `"n"`, "model = \"n\" # c\n"},
		{"a table was added", "model = \"m\"\n", "\n[model_providers.codex-rota]", "\n[tui]\ntheme = \"x\"\n\n[model_providers.codex-rota]", "model = \"m\"\n\n[tui]\ntheme = \"x\"\n"},
		{"a key in our table", "model = \"m\"\n", "wire_api", "stream_max_retries = 3\nwire_api", "model = \"m\"\n"},
		{"the default of before comes back", "model_provider = \"azure\" # mine\n[model_providers.azure]\nname = \"az\"\nbase_url = \"https://example.com\"\n", "\n[model_providers.codex-rota]", "\n# later\n[model_providers.codex-rota]",
			"model_provider = \"azure\" # mine\n[model_providers.azure]\nname = \"az\"\nbase_url = \"https://example.com\"\n"},
		{"another default is kept", "model = \"m\"\n", `model_provider = "codex-rota"`, `model_provider = "oss"`, "model = \"m\"\nmodel_provider = \"oss\"\n"},
		{"our MCP server was taken out", "model = \"m\"\n", "\n[mcp_servers.codex-rota]\ncommand = \"/opt/codex-rota\"\nargs = [\"mcp\", \"--root\", \"ROOT\"]\nenv_vars = [\"HTTPS_PROXY\", \"CODEX_ROTA_ROTATION\"]\n", "", "model = \"m\"\n"},
		{"CRLF", "model = \"m\"\r\n[tui]\r\n", `"m"`, `"n"`, "model = \"n\"\r\n[tui]\r\n"},
		{"an empty file stays", "", "\n[mcp", "\n\n[mcp", ""},
		{"install made it, and a key came", "-", "model_provider", "model = \"m\"\nmodel_provider", "model = \"m\"\n"},
		{"install made it, and nothing else is in it", "-", "\n[mcp", "\n\n[mcp", "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, nil)
			if tt.before != "-" {
				h.write(codexConfig, tt.before)
			}
			h.installCodex(CodexInstall{})
			text := mustRead(t, h.path(codexConfig))
			changed := strings.Replace(text, strings.ReplaceAll(tt.edit, "ROOT", h.path("pool")), tt.with, 1)
			if changed == text {
				t.Fatalf("nothing to edit in\n%s", text)
			}
			h.write(codexConfig, changed)
			h.uninstallCodex()
			want := map[string]string{codexConfig: tt.want}
			if tt.want == "-" {
				want = map[string]string{}
			}
			if diff := cmp.Diff(want, h.files()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
