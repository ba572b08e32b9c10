package host

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// home is a person's home with an OpenCode in it.
type home struct {
	t   *testing.T
	dir string
}

func newHome(t *testing.T, files map[string]string) *home {
	h := &home{t: t, dir: t.TempDir()}
	for name, text := range files {
		h.write(name, text)
	}
	return h
}

const (
	configFolder = ".config/opencode/"
	authFile     = ".local/share/opencode/auth.json"
	shimFile     = configFolder + "codex-rota/opencode.js"
)

func (h *home) path(name string) string { return filepath.Join(h.dir, filepath.FromSlash(name)) }

func (h *home) write(name, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.path(name), []byte(text), 0o640); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) openCode() *OpenCode {
	return NewOpenCode(OpenCodeOptions{Home: h.dir, Env: func(string) string { return "" }, Binary: "/opt/codex-rota", Version: "1.2.3"})
}

// files are all files below the home with what is in them.
func (h *home) files() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(h.dir, path)
			all[filepath.ToSlash(name)] = mustRead(h.t, path)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func (h *home) install() Report {
	h.t.Helper()
	r, err := h.openCode().Install(false)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *home) uninstall() Report {
	h.t.Helper()
	r, err := h.openCode().Uninstall(false)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

const otherLogin = `{"anthropic":{"type":"api","key":"k"}}`

func TestInstallAndUndo(t *testing.T) {
	tests := []struct {
		name   string
		files  map[string]string
		config string // the file that is edited
		want   string // SHIM stands for the shim's path
	}{
		{"nothing there", nil, "opencode.json", "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"plugin\": [\"SHIM\"]\n}\n"},
		{"an empty file", map[string]string{configFolder + "opencode.json": ""}, "opencode.json", "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"plugin\": [\"SHIM\"]\n}\n"},
		{"no plugin key", map[string]string{configFolder + "opencode.json": "{\n  // mine\n  \"model\": \"m\"\n}"}, "opencode.json", "{\n  // mine\n  \"model\": \"m\",\n  \"plugin\": [\"SHIM\"]\n}"},
		{"plugins of others", map[string]string{configFolder + "opencode.jsonc": "{\"plugin\": [\n  \"a\", // why\n]}"}, "opencode.jsonc", "{\"plugin\": [\n  \"a\", // why\n  \"SHIM\",\n]}"},
		{"jsonc before json", map[string]string{configFolder + "opencode.json": "{}", configFolder + "opencode.jsonc": "{\"a\": 1}"}, "opencode.jsonc", "{\"a\": 1, \"plugin\": [\"SHIM\"]}"},
		{"config.json", map[string]string{configFolder + "config.json": "{\"a\": 1}"}, "config.json", "{\"a\": 1, \"plugin\": [\"SHIM\"]}"},
		{"other logins", map[string]string{authFile: otherLogin}, "opencode.json", "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"plugin\": [\"SHIM\"]\n}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t, tt.files)
			before := h.files()
			dry, err := h.openCode().Install(true)
			if err != nil || !strings.Contains(dry.String(), "\n+") || !strings.Contains(dry.String(), "a dry run, nothing was changed") {
				t.Errorf("dry run: %v\n%s", err, dry)
			}
			if diff := cmp.Diff(before, h.files()); diff != "" {
				t.Errorf("a dry run changed files (-before +after)\n%s", diff)
			}

			if r := h.install(); !r.Changed() {
				t.Error("install says that there was nothing to do")
			}
			want := strings.ReplaceAll(tt.want, "SHIM", h.path(shimFile))
			if got := mustRead(t, h.path(configFolder+tt.config)); got != want {
				t.Errorf("config\n got %q\nwant %q", got, want)
			}
			s, err := h.openCode().State()
			if err != nil || !s.Registered || s.Binary != "/opt/codex-rota" || s.ShimVersion != "1.2.3" || s.ConfigPath != h.path(configFolder+tt.config) {
				t.Errorf("state %+v, %v", s, err)
			}
			var logins map[string]credential
			if err := json.Unmarshal([]byte(mustRead(t, h.path(authFile))), &logins); err != nil || logins["openai"] != sentinel {
				t.Errorf("auth.json: %v %v", logins, err)
			}

			installed := h.files()
			if r := h.install(); r.Changed() || r.String() != "nothing to do\n" {
				t.Errorf("a second install did\n%s", r)
			}
			if diff := cmp.Diff(installed, h.files()); diff != "" {
				t.Errorf("a second install changed files (-before +after)\n%s", diff)
			}

			h.uninstall()
			if diff := cmp.Diff(before, h.files()); diff != "" {
				t.Errorf("uninstall did not restore (-before +after)\n%s", diff)
			}
			if r := h.uninstall(); r.Changed() {
				t.Errorf("a second uninstall did\n%s", r)
			}
		})
	}
}

func TestUndoOfAFileChangedSince(t *testing.T) {
	tests := []struct{ name, before, edit, with, want string }{
		{"the host added $schema", "{\n  \"model\": \"m\"\n}\n", "{\n", "{\n  \"$schema\": \"s\",\n", "{\n  \"$schema\": \"s\",\n  \"model\": \"m\"\n}\n"},
		{"another plugin came behind ours", "{\n  \"plugin\": [\n    \"a\"\n  ]\n}\n", "opencode.js\"", "opencode.js\",\n    \"later\"", "{\n  \"plugin\": [\n    \"a\",\n    \"later\"\n  ]\n}\n"},
		{"another plugin in the array we made", "{\"a\": 1}", "opencode.js\"", "opencode.js\", \"later\"", "{\"a\": 1, \"plugin\": [\"later\"]}"},
		{"a comment was added", "{\"plugin\": []}", "{", "{ /* mine */ ", "{ /* mine */ \"plugin\": []}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t, map[string]string{configFolder + "opencode.json": tt.before})
			h.install()
			path := configFolder + "opencode.json"
			h.write(path, strings.Replace(mustRead(t, h.path(path)), tt.edit, tt.with, 1))
			h.uninstall()
			if diff := cmp.Diff(map[string]string{path: tt.want}, h.files()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestUndoWithoutARecord(t *testing.T) {
	for _, damage := range []string{"", "{", `{"schema":9}`} {
		h := newHome(t, map[string]string{configFolder + "opencode.json": `{"plugin": ["a"]}`})
		h.install()
		if damage == "" {
			os.Remove(h.path(configFolder + "codex-rota/install.json"))
		} else {
			h.write(configFolder+"codex-rota/install.json", damage)
		}
		h.uninstall()
		if got := mustRead(t, h.path(configFolder+"opencode.json")); got != `{"plugin": ["a"]}` {
			t.Errorf("record %q: left %s", damage, got)
		}
	}
}

// A broken backup is not put in place of the person's config.
func TestUndoWithABrokenBackup(t *testing.T) {
	h := newHome(t, map[string]string{configFolder + "opencode.json": `{"a": 1}`})
	h.install()
	h.write(configFolder+"codex-rota/config.backup", "garbage")
	h.uninstall()
	if got := mustRead(t, h.path(configFolder+"opencode.json")); got != `{"a": 1}` {
		t.Errorf("left %s", got)
	}
}

func TestWhatCannotBeEditedIsLeftAlone(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"a config that does not parse", configFolder + "opencode.jsonc", "{\n  \"plugin\": [\"a\" \"b\"]\n}", "opencode.jsonc: line 2, column 18: "},
		{"plugin is no array", configFolder + "opencode.json", "{\n  \"plugin\": \"a\"\n}", "opencode.json: line 2, column 13: plugin is not an array"},
		{"the second config does not parse", configFolder + "config.json", "{", "config.json: line 1, column 2: "},
		{"auth.json does not parse", authFile, "{\"a\":", "auth.json: line 1, column 6: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t, map[string]string{tt.file: tt.text})
			before := h.files()
			for _, do := range []func(bool) (Report, error){h.openCode().Install, h.openCode().Uninstall} {
				if _, err := do(false); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
			}
			if diff := cmp.Diff(before, h.files()); diff != "" {
				t.Errorf("files changed (-before +after)\n%s", diff)
			}
		})
	}
}

func TestEntriesThatAreOurs(t *testing.T) {
	tests := []struct {
		name, entry string
		want        bool
	}{
		{"absolute", `"HOME/.config/opencode/codex-rota/opencode.js"`, true},
		{"file URL", `"file://HOME/.config/opencode/codex-rota/opencode.js"`, true},
		{"relative", `"./codex-rota/opencode.js"`, true},
		{"with options", `["./codex-rota/opencode.js", {"a": 1}]`, true},
		{"an npm plugin", `"opencode-other"`, false},
		{"elsewhere", `"/x/codex-rota/opencode.js"`, false},
		{"no string", `[]`, false},
		{"a number", `1`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t, nil)
			h.write(configFolder+"opencode.json", `{"plugin": [`+strings.ReplaceAll(tt.entry, "HOME", filepath.ToSlash(h.dir))+`]}`)
			s, err := h.openCode().State()
			if err != nil || s.Registered != tt.want {
				t.Errorf("registered %v, %v", s.Registered, err)
			}
		})
	}
}

func TestLoginsOfOpenCode(t *testing.T) {
	const real = `{"openai":{"type":"oauth","refresh":"rt_secret","access":"at_secret","expires":1}}`
	const key = `{"openai":{"type":"api","key":"sk-secret"}}`
	tests := []struct{ name, auth, note string }{
		{"a ChatGPT login", real, "ChatGPT login of its own, which is left as it is"},
		{"an API key", key, "API key for openai, which is left alone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t, map[string]string{authFile: tt.auth})
			text := h.install().String()
			if !strings.Contains(text, tt.note) || strings.Contains(text, "secret") {
				t.Errorf("install said\n%s", text)
			}
			h.uninstall()
			if got := mustRead(t, h.path(authFile)); got != tt.auth {
				t.Errorf("auth.json became %s", got)
			}
		})
	}
}

func TestSentinelKeepsOthersAndTheMode(t *testing.T) {
	const others = "{\n  \"anthropic\": {\"type\": \"api\", \"key\": \"k\"}\n}"
	h := newHome(t, map[string]string{authFile: others})
	if err := os.Chmod(h.path(authFile), 0o600); err != nil {
		t.Fatal(err)
	}
	h.install()
	want := strings.Replace(others, "}\n}", "},\n  \"openai\": {\"type\":\"oauth\",\"refresh\":\"codex-rota\",\"access\":\"codex-rota\",\"expires\":253402300799000}\n}", 1)
	if got := mustRead(t, h.path(authFile)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	info, err := os.Stat(h.path(authFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestConfigKeepsItsModeAndItsLink(t *testing.T) {
	h := newHome(t, map[string]string{"dotfiles/opencode.json": `{"a": 1}`})
	if err := os.MkdirAll(h.path(configFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	link := h.path(configFolder + "opencode.json")
	if err := os.Symlink(h.path("dotfiles/opencode.json"), link); err != nil {
		t.Skip(err)
	}
	h.install()
	info, err := os.Stat(h.path("dotfiles/opencode.json"))
	if err != nil || info.Mode().Perm() != 0o640 || !strings.Contains(mustRead(t, link), "opencode.js") {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	h.uninstall()
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
	if got := mustRead(t, h.path("dotfiles/opencode.json")); got != `{"a": 1}` {
		t.Errorf("left %s", got)
	}
}

func TestXDGFolders(t *testing.T) {
	dir := t.TempDir()
	o := NewOpenCode(OpenCodeOptions{Home: "/nowhere", Binary: "/b", Version: "v", Env: func(name string) string {
		return map[string]string{"XDG_CONFIG_HOME": filepath.Join(dir, "c"), "XDG_DATA_HOME": filepath.Join(dir, "d")}[name]
	}})
	if _, err := o.Install(false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"c/opencode/opencode.json", "c/opencode/codex-rota/opencode.js", "d/opencode/auth.json"} {
		if !isFile(filepath.Join(dir, filepath.FromSlash(name))) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestAnotherVersionRenewsTheShimOnly(t *testing.T) {
	h := newHome(t, map[string]string{configFolder + "opencode.json": `{"a": 1}`})
	h.install()
	o := NewOpenCode(OpenCodeOptions{Home: h.dir, Env: func(string) string { return "" }, Binary: h.path("bin/codex-rota"), Version: "2.0.0"})
	r, err := o.Install(false)
	if err != nil || r.String() != "write the shim "+h.path(shimFile)+"\n" {
		t.Errorf("%v\n%s", err, r)
	}
	s, err := o.State()
	if err != nil || s.ShimVersion != "2.0.0" || s.Binary != h.path("bin/codex-rota") || !strings.Contains(s.Detail, "is missing; codex-rota install opencode mends it") {
		t.Errorf("state %+v, %v", s, err)
	}
	h.write("bin/codex-rota", "")
	if s, _ := o.State(); strings.Contains(s.Detail, "missing") {
		t.Errorf("state %+v", s)
	}
	h.uninstall()
	if got := mustRead(t, h.path(configFolder+"opencode.json")); got != `{"a": 1}` {
		t.Errorf("left %s", got)
	}
}

func TestShimConstants(t *testing.T) {
	binary := "C:\\Users\\\"o\"\\codex-rota.exe\u2028"
	o := NewOpenCode(OpenCodeOptions{Home: t.TempDir(), Env: func(string) string { return "" }, Binary: binary, Version: "1"})
	if _, err := o.Install(false); err != nil {
		t.Fatal(err)
	}
	if got, version := readShim(o.shimPath()); got != binary || version != "1" {
		t.Errorf("read back %q %q", got, version)
	}
	if strings.Contains(mustRead(t, o.shimPath()), "__CODEX_ROTA") {
		t.Error("a placeholder is left")
	}
}

// A path in a message must not make OpenCode repeat the call.
func TestUnrepeatedPaths(t *testing.T) {
	var fixture struct{ Patterns []string }
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "opencode-retry-pattern.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &fixture); err != nil {
		t.Fatal(err)
	}
	repeats := regexp.MustCompile("(?i)" + strings.Join(fixture.Patterns, "|"))
	for _, path := range []string{"/home/u/bin/codex-rota", "/tmp/Test1502429500/001/codex-rota", "/50429/x", "/5005045005/x"} {
		got := unrepeated(path)
		if repeats.MatchString(got) {
			t.Errorf("%q still matches", got)
		}
		if strings.ReplaceAll(got, "\u2060", "") != path {
			t.Errorf("%q became %q", path, got)
		}
	}
}
