package host

import (
	"os"
	"path/filepath"
	"testing"
)

// A comment may end the file without an end of line: it is JSONC all the same,
// and undoing gives it back byte for byte.
func TestCommentWithoutEndOfLine(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, ".config", "opencode", "opencode.jsonc")
	before := `{"a": 1} // end`
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	o := NewOpenCode(OpenCodeOptions{Home: home, Env: func(string) string { return "" }, Binary: "/bin/codex-rota", Version: "1"})
	if _, err := o.Install(false); err != nil {
		t.Fatal(err)
	}
	if state, err := o.State(); err != nil || !state.Registered {
		t.Fatalf("%+v, %v", state, err)
	}
	if _, err := o.Uninstall(false); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != before {
		t.Errorf("%q, %v", after, err)
	}
}
