package host

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const azure = "model_provider = \"azure\" # mine\n[model_providers.azure]\nname = \"az\"\nbase_url = \"https://example.com\"\n"

// replace edits a file as a person would.
func (h *home) replace(name, old, new string) {
	h.t.Helper()
	text := mustRead(h.t, h.path(name))
	changed := strings.Replace(text, strings.ReplaceAll(old, "ROOT", h.path("pool")), new, 1)
	if changed == text {
		h.t.Fatalf("no %q in\n%s", old, text)
	}
	h.write(name, changed)
}

// TestCodexRegistrationIsRenewed: another binary, pool or port, and keys that were
// changed, are written anew, and the undo is still byte for byte.
func TestCodexRegistrationIsRenewed(t *testing.T) {
	moved := func(o *CodexOptions) { o.Binary = "/usr/local/bin/codex-rota" }
	port := func(o *CodexOptions) { o.Port = 4242 }
	pool := func(o *CodexOptions) { o.Root = "/elsewhere" }
	for name, change := range map[string]func(*CodexOptions){"the binary moved": moved, "the port changed": port, "another pool": pool} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.TrimSuffix(azure, "\n") // only the backup knows that
			h := newHome(t, map[string]string{codexConfig: text})
			h.installCodex(CodexInstall{})
			o := h.codexOptions(realCodex(t))
			change(&o)
			c := NewCodex(o)
			if r, err := c.Install(t.Context(), CodexInstall{}); err != nil || !r.Changed() {
				t.Fatalf("%v\n%s", err, r)
			}
			s, err := c.State()
			if err != nil || s.Config == nil || s.Config.Binary != o.Binary || s.Config.Root != o.Root || s.Config.Port != o.Port || !s.Config.Default() || len(s.Config.Differs) > 0 {
				t.Errorf("state %+v, %v", s.Config, err)
			}
			f, err := readCodexFile(h.path(codexConfig))
			if err != nil || len(f.differing(c.Settings())) > 0 {
				t.Errorf("%v\n%s", err, f.text)
			}
			h.uninstallCodex()
			if diff := cmp.Diff(map[string]string{codexConfig: text}, h.files()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestCodexRenewalKeepsWhatIsTheirs: keys that the person added to our tables, and
// what they wrote elsewhere, outlive a second install and the undo.
func TestCodexRenewalKeepsWhatIsTheirs(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: azure})
	h.installCodex(CodexInstall{})
	h.replace(codexConfig, "wire_api = \"responses\"", "stream_max_retries = 9 # mine")
	h.replace(codexConfig, "name = \"az\"", "name = \"azure\"")
	if s, err := h.codex().State(); err != nil || len(s.Config.Differs) != 1 || s.Config.Differs[0] != keyProvider+".wire_api" {
		t.Errorf("state %+v, %v", s.Config, err)
	}
	h.installCodex(CodexInstall{})
	h.mustBeRegistered(codexConfig)
	if text := mustRead(t, h.path(codexConfig)); !strings.Contains(text, "stream_max_retries = 9 # mine\n") {
		t.Errorf("the person's key is lost:\n%s", text)
	}
	h.uninstallCodex()
	want := map[string]string{codexConfig: strings.Replace(azure, "\"az\"", "\"azure\"", 1)}
	if diff := cmp.Diff(want, h.files()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestCodexDefaultOfThePerson: who chose another default keeps it when the rest is
// renewed; a new install takes the place of that choice, and the undo gives it
// back.
func TestCodexDefaultOfThePerson(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: "model = \"m\"\n"})
	h.installCodex(CodexInstall{})
	h.replace(codexConfig, `model_provider = "codex-rota"`, `model_provider = "oss"`)
	s, err := h.codex().State()
	if err != nil || s.Config.Default() || s.Config.Provider != "oss" || !strings.Contains(s.Detail, "not as the default") {
		t.Errorf("state %+v, %v", s, err)
	}
	if r := h.installCodex(CodexInstall{KeepDefault: true}); r.Changed() {
		t.Errorf("the renewal did\n%s", r)
	}
	h.installCodex(CodexInstall{})
	h.mustBeRegistered(codexConfig)
	h.uninstallCodex()
	if diff := cmp.Diff(map[string]string{codexConfig: "model = \"m\"\nmodel_provider = \"oss\"\n"}, h.files()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestCodexMovePort(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: "# c\nmodel = \"m\"\r\n"})
	if r, err := h.codex().MovePort(t.Context(), 5000); err != nil || r.Changed() {
		t.Errorf("with nothing registered: %v\n%s", err, r)
	}
	before := h.files()
	h.installCodex(CodexInstall{})
	h.installCodex(CodexInstall{ProfileOnly: true})
	other := h.codexOptions(realCodex(t))
	other.Root = "/elsewhere"
	if r, err := NewCodex(other).MovePort(t.Context(), 5000); err != nil || r.Changed() {
		t.Errorf("for another pool: %v\n%s", err, r)
	}
	for range 2 {
		if _, err := h.codex().MovePort(t.Context(), 5000); err != nil {
			t.Fatal(err)
		}
		s, err := h.codex().State()
		if err != nil || s.Config.Port != 5000 || s.Profile.Port != 5000 || len(s.Config.Differs)+len(s.Profile.Differs) > 0 {
			t.Errorf("state %+v %+v, %v", s.Config, s.Profile, err)
		}
	}
	h.uninstallCodex()
	if diff := cmp.Diff(before, h.files()); diff != "" {
		t.Errorf("the undo (-before +after)\n%s", diff)
	}
}

// TestCodexIsGone: without Codex a file that nobody touched is restored, and for
// another one the person is told what to take out.
func TestCodexIsGone(t *testing.T) {
	gone := func(h *home) *Codex {
		h.replace(codexRecordFile, realCodex(t), "/nowhere/codex")
		t.Setenv("PATH", t.TempDir())
		return NewCodex(h.codexOptions(""))
	}
	h := newHome(t, map[string]string{codexConfig: azure})
	h.installCodex(CodexInstall{})
	if _, err := gone(h).Uninstall(t.Context(), CodexUninstall{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{codexConfig: azure}, h.files()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	h = newHome(t, map[string]string{codexConfig: azure})
	h.installCodex(CodexInstall{})
	h.replace(codexConfig, "\"az\"", "\"azure\"")
	edited := h.files()
	delete(edited, codexRecordFile)
	_, err := gone(h).Uninstall(t.Context(), CodexUninstall{})
	for _, says := range []string{"config.toml was edited since", "not in PATH", `set model_provider="azure", [model_providers.codex-rota], [mcp_servers.codex-rota]`} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %s", err, says)
		}
	}
	after := h.files()
	delete(after, codexRecordFile)
	if diff := cmp.Diff(edited, after); diff != "" {
		t.Errorf("files changed (-before +after)\n%s", diff)
	}
}

// TestCodexProgramOfTheRecord: a front end runs with whatever PATH Codex has.
func TestCodexProgramOfTheRecord(t *testing.T) {
	h := newHome(t, nil)
	h.installCodex(CodexInstall{})
	t.Setenv("PATH", t.TempDir())
	c := NewCodex(h.codexOptions(""))
	path, version, err := c.Program(t.Context())
	if err != nil || path != realCodex(t) || version != CodexVersion {
		t.Errorf("%s %s %v", path, version, err)
	}
	if _, err := c.MovePort(t.Context(), 5000); err != nil {
		t.Error(err)
	}
}

// Without a usable record only what is ours by name goes.
func TestCodexUndoWithoutARecord(t *testing.T) {
	for name, damage := range map[string]func(*home){
		"no record":        func(h *home) { os.RemoveAll(h.path(".codex/codex-rota")) },
		"no JSON":          func(h *home) { h.write(codexRecordFile, "{") },
		"a later schema":   func(h *home) { h.write(codexRecordFile, `{"schema":9}`) },
		"no backup":        func(h *home) { os.Remove(h.path(codexBackup)) },
		"a broken backup":  func(h *home) { h.write(codexBackup, "garbage") },
		"an empty folder":  func(h *home) { os.Remove(h.path(codexRecordFile)); os.Remove(h.path(codexBackup)) },
		"another's record": func(h *home) { h.write(codexRecordFile, `{"schema":1,"after":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, map[string]string{codexConfig: "# c\nmodel = \"m\"\n"})
			h.installCodex(CodexInstall{})
			damage(h)
			h.uninstallCodex()
			if diff := cmp.Diff(map[string]string{codexConfig: "# c\nmodel = \"m\"\n"}, h.files()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestCodexProfileOnly(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: azure})
	before := h.files()
	if r := h.installCodex(CodexInstall{ProfileOnly: true, DryRun: true}); !strings.Contains(r.String(), "+model_provider = \"codex-rota\"") {
		t.Errorf("the dry run says\n%s", r)
	}
	if diff := cmp.Diff(before, h.files()); diff != "" {
		t.Errorf("a dry run changed files (-before +after)\n%s", diff)
	}
	h.installCodex(CodexInstall{ProfileOnly: true})
	h.mustBeRegistered(codexProfile)
	if text := mustRead(t, h.path(codexProfile)); !strings.HasPrefix(text, "# Written by codex-rota") || !strings.Contains(text, "codex -p codex-rota\n") {
		t.Errorf("the profile is\n%s", text)
	}
	if mustRead(t, h.path(codexConfig)) != azure {
		t.Error("config.toml was changed")
	}
	if r := h.installCodex(CodexInstall{ProfileOnly: true}); r.Changed() {
		t.Errorf("a second install did\n%s", r)
	}
	if s, err := h.codex().State(); err != nil || s.Config != nil || s.Profile == nil || !s.Registered() || !strings.Contains(s.Detail, "codex -p codex-rota") {
		t.Errorf("state %+v, %v", s, err)
	}
	h.uninstallCodex()
	if diff := cmp.Diff(before, h.files()); diff != "" {
		t.Errorf("the undo (-before +after)\n%s", diff)
	}
}

// TestCodexProfileBesideTheConfig: each is undone by itself.
func TestCodexProfileBesideTheConfig(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: azure})
	h.installCodex(CodexInstall{ProfileOnly: true})
	h.installCodex(CodexInstall{})
	installed := h.files()
	delete(installed, codexProfile)
	if _, err := h.codex().Uninstall(t.Context(), CodexUninstall{ProfileOnly: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(installed, h.files()); diff != "" {
		t.Errorf("the undo of the profile (-want +got)\n%s", diff)
	}
	h.uninstallCodex()
	if diff := cmp.Diff(map[string]string{codexConfig: azure}, h.files()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A profile that the person made their own is not deleted, and one of another tool
// not touched.
func TestCodexProfileOfThePerson(t *testing.T) {
	h := newHome(t, nil)
	h.installCodex(CodexInstall{ProfileOnly: true})
	h.replace(codexProfile, "model_provider =", "model = \"mine\"\nmodel_provider =")
	text := mustRead(t, h.path(codexProfile))
	if r := h.uninstallCodex(); !strings.Contains(r.String(), "is not what install wrote, and is left as it is") {
		t.Errorf("uninstall says\n%s", r)
	}
	if diff := cmp.Diff(map[string]string{codexProfile: text}, h.files()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	h = newHome(t, map[string]string{codexProfile: "model = \"theirs\"\n"})
	before := h.files()
	if _, err := h.codex().Install(t.Context(), CodexInstall{ProfileOnly: true}); err == nil || !strings.Contains(err.Error(), "is a profile that is not ours") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, h.files()); diff != "" {
		t.Errorf("files changed (-before +after)\n%s", diff)
	}
}

// What goes round the pool, or holds a login of its own, is said and left alone.
func TestCodexInstallTells(t *testing.T) {
	const login = `{"auth_mode":"chatgpt","tokens":{"refresh_token":"rt_secret","access_token":"at_secret"}}`
	for _, tt := range []struct{ name, file, text, says string }{
		{"a profile with a provider", ".codex/work.config.toml", "model_provider = \"azure\"\n", "with codex -p work the provider is azure, and not the pool"},
		{"a profile without one", ".codex/fast.config.toml", "model = \"m\"\n", ""},
		{"a profile that does not parse", ".codex/work.config.toml", "model = = 1\n", "work.config.toml: line 1, column 9"},
		{"a profile in use", codexConfig, "profile = \"work\"\n", "chooses the profile work, with which Codex 0.169.0 does not start"},
		{"a login", ".codex/auth.json", login, "codex-rota import codex"},
		{"an API key", ".codex/auth.json", `{"OPENAI_API_KEY":"sk-secret","tokens":null}`, ""},
		{"no JSON", ".codex/auth.json", `{`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, map[string]string{tt.file: tt.text})
			text := h.installCodex(CodexInstall{}).String()
			if tt.says == "" && strings.Contains(text, "note:") || !strings.Contains(text, tt.says) || strings.Contains(text, "secret") {
				t.Errorf("install says\n%s\nwant %q", text, tt.says)
			}
			h.uninstallCodex()
			if diff := cmp.Diff(map[string]string{tt.file: tt.text}, h.files()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A config that another program writes meanwhile is not overwritten.
func TestCodexConfigChangedMeanwhile(t *testing.T) {
	h := newHome(t, map[string]string{codexConfig: "model = \"m\"\n"})
	program := h.fakeCodex("echo 'model = \"n\"' > " + h.path(codexConfig) + "\nexec " + realCodex(t) + " \"$@\"\n")
	_, err := NewCodex(h.codexOptions(program)).Install(t.Context(), CodexInstall{})
	if err == nil || !strings.Contains(err.Error(), "was changed by another program just now") {
		t.Errorf("got %v", err)
	}
	delete(h.files(), "bin/codex")
	if got := mustRead(t, h.path(codexConfig)); got != "model = \"n\"\n" {
		t.Errorf("config.toml is %q", got)
	}
	if _, err := os.Stat(h.path(".codex/codex-rota")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something of ours stays: %v", err)
	}
}

// TestCodexSettingsAsArguments: what -c takes is TOML, whatever is in a path.
func TestCodexSettingsAsArguments(t *testing.T) {
	c := NewCodex(CodexOptions{Home: "/h", Env: func(string) string { return "" }, Binary: `C:\o"p\codex-rota.exe`, Root: "/a b/\x7f", Port: 4141})
	var got []string
	for _, s := range c.Settings() {
		got = append(got, s.String())
	}
	want := []string{
		`model_provider="codex-rota"`,
		`model_providers.codex-rota.name="codex-rota"`,
		`model_providers.codex-rota.base_url="http://127.0.0.1:4141/backend-api/codex"`,
		`model_providers.codex-rota.wire_api="responses"`,
		`model_providers.codex-rota.supports_standalone_web_search=true`,
		`model_providers.codex-rota.auth.command="C:\\o\"p\\codex-rota.exe"`,
		`model_providers.codex-rota.auth.args=["token","--front-end","--root","/a b/\u007f","--port","4141"]`,
		`model_providers.codex-rota.auth.refresh_interval_ms=1000`,
		`mcp_servers.codex-rota.command="C:\\o\"p\\codex-rota.exe"`,
		`mcp_servers.codex-rota.args=["mcp","--root","/a b/\u007f"]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
