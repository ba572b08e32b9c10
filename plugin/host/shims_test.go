package host

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherShims: a second copy is found wherever OpenCode would load it from,
// and the installed one is not taken for it.
func TestOtherShims(t *testing.T) {
	source := strings.NewReplacer(`"__CODEX_ROTA_BINARY__"`, `"/old/codex-rota"`, `"__CODEX_ROTA_VERSION__"`, `"0.9.0"`).Replace(mustRead(t, shimMain))
	for _, c := range []struct {
		name  string
		files map[string]string
		in    string // "" when there is none
	}{
		{"none", nil, ""},
		{"another plugin", map[string]string{configFolder + "plugin/notes.js": "export default {}", configFolder + "opencode.json": `{"plugin": ["./x.js", "some-package", 1]}`}, ""},
		{"in the folder of plugins", map[string]string{configFolder + "plugin/rota.js": source}, configFolder + "plugin"},
		{"named by another config", map[string]string{configFolder + "old/opencode.js": source, configFolder + "config.json": `{"plugin": [["./old/opencode.js", {}]]}`}, configFolder + "config.json"},
		{"in the project", map[string]string{"work/.opencode/plugin/rota.ts": source}, "work/.opencode/plugin"},
		{"named by the project", map[string]string{"old.js": source, "work/opencode.json": "{\"plugin\": [\"../old.js\"]} // mine\n"}, "work/opencode.json"},
		{"in OPENCODE_CONFIG_DIR", map[string]string{"extra/plugins/rota.js": source}, "extra/plugins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHome(t, c.files)
			env := map[string]string{"PWD": h.path("work"), "OPENCODE_CONFIG_DIR": h.path("extra")}
			o := NewOpenCode(OpenCodeOptions{Home: h.dir, Env: func(name string) string { return env[name] }, Binary: "/opt/codex-rota", Version: "1.2.3"})
			if _, err := o.Install(false); err != nil {
				t.Fatal(err)
			}
			found, err := o.OtherShims()
			if err != nil {
				t.Fatal(err)
			}
			if c.in == "" {
				if len(found) > 0 {
					t.Errorf("found %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].In != h.path(c.in) || found[0].Version != "0.9.0" || found[0].Binary != "/old/codex-rota" {
				t.Errorf("found %+v, want one in %s", found, h.path(c.in))
			}
		})
	}
	h := newHome(t, map[string]string{configFolder + "config.json": "{"})
	if _, err := h.openCode().OtherShims(); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("a config that does not parse: %v", err)
	}
}

// TestStaleShim: a part that is missing, edited or of another version shows.
func TestStaleShim(t *testing.T) {
	for name, change := range map[string]func(*home){
		"":               func(*home) {},
		"an edited part": func(h *home) { h.write(filepath.Dir(shimFile)+"/wire.js", "export class Link {}") },
		"a later version": func(h *home) {
			h.write(shimFile, strings.Replace(mustRead(t, h.path(shimFile)), `VERSION = "1.2.3"`, `VERSION = "1.3.0"`, 1))
		},
	} {
		h := newHome(t, nil)
		h.install()
		change(h)
		s, err := h.openCode().State()
		if err != nil || s.Stale != (name != "") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}
