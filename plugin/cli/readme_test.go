package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
)

// TestReadme runs the README: each command of its shell blocks, in order, in a
// home of its own; make targets must exist; tables of commands, settings, files
// and destinations must be the code's.
func TestReadme(t *testing.T) {
	text := readProjectFile(t, "README.md")
	r := newRig(t, named("personal")...)
	_, noCodex := host.FindCodex(filepath.Join("..", ".."))
	if noCodex == nil {
		r.withCodex()
	}
	makefile := readProjectFile(t, "Makefile")
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			fields := strings.Fields(line)
			switch {
			case len(fields) == 2 && fields[0] == "make":
				if !strings.Contains(makefile, "\n"+fields[1]+":") {
					t.Errorf("README: there is no make target %s", fields[1])
				}
			case strings.HasPrefix(line, "codex-rota add"):
				x := r.startAdd(nil, fields[1:]...)
				browse(t, x.address())
				x.ends(0, "Updated personal")
			case len(fields) > 2 && fields[2] == "codex" && noCodex != nil:
				t.Logf("NOT RUN: %s: %v", strings.TrimSpace(line), noCodex)
			case len(fields) > 0 && fields[0] == "codex-rota":
				r.must(fields[1:]...)
			case len(fields) > 0:
				t.Errorf("README: this test cannot run %q", strings.TrimSpace(line))
			}
		}
	}
	t.Run("commands", func(t *testing.T) {
		var documented, known []string
		for _, m := range regexp.MustCompile("(?m)^\\| `codex-rota ([a-z-]+)").FindAllStringSubmatch(text, -1) {
			documented = append(documented, m[1])
		}
		for _, c := range newRoot(r.app).Commands() {
			if !c.Hidden && c.Name() != "help" {
				known = append(known, c.Name())
			}
		}
		slices.Sort(documented)
		slices.Sort(known)
		if !slices.Equal(documented, known) {
			t.Errorf("README has %v, the binary %v", documented, known)
		}
	})
	t.Run("settings", func(t *testing.T) {
		rows := map[string][]string{}
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-zA-Z]+)` \\| `(CODEX_ROTA_[A-Z_]+)` \\| (.*?) \\| (.*?) \\|$").FindAllStringSubmatch(text, -1) {
			rows[m[1]] = m[2:]
		}
		for _, s := range plugin.SettingsInfo() {
			row, ok := rows[s.Key]
			if !ok || row[0] != s.Environment {
				t.Errorf("README: setting %s (%s) is missing or differs: %v", s.Key, s.Environment, row)
				continue
			}
			if text, err := json.Marshal(s.Default); err == nil && strings.HasPrefix(row[1], "`") && strings.Trim(row[1], "`") != strings.Trim(string(text), `"`) {
				t.Errorf("README: default of %s is %s, the code's is %s", s.Key, row[1], text)
			}
			delete(rows, s.Key)
		}
		for key := range rows {
			t.Errorf("README has a setting %s that does not exist", key)
		}
	})
	t.Run("files and destinations", func(t *testing.T) {
		for _, f := range manifestFiles() {
			if !strings.Contains(text, "`"+f.Path+"`") {
				t.Errorf("README does not name the file %s", f.Path)
			}
		}
		for _, d := range manifestDestinations() {
			if !strings.Contains(text, "| "+d.URL+" |") {
				t.Errorf("README does not name the destination %s", d.URL)
			}
		}
	})
	t.Run("what is added to Codex's config", func(t *testing.T) {
		block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(text)
		codex, err := r.app.codex(4141)
		if err != nil || block == nil {
			t.Fatalf("README has no such block (%v)", err)
		}
		var documented, known []string
		table := ""
		for line := range strings.Lines(block[1]) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
				table = strings.TrimSuffix(name, "]") + "."
			} else if key, _, ok := strings.Cut(line, " = "); ok {
				documented = append(documented, table+key)
			}
		}
		for _, s := range codex.Settings() {
			known = append(known, s.Key)
		}
		if !slices.Equal(documented, known) {
			t.Errorf("README has %v, install writes %v", documented, known)
		}
	})
	t.Run("paths", func(t *testing.T) {
		for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"} {
			for _, m := range regexp.MustCompile("`((?:plugin|rpc|auth|pool|instructions|logging|testdata)/[A-Za-z0-9_./-]*)`").FindAllStringSubmatch(readProjectFile(t, name), -1) {
				if _, err := os.Stat(filepath.Join("..", "..", m[1])); err != nil {
					t.Errorf("%s names %s: %v", name, m[1], err)
				}
			}
		}
	})
}

func readProjectFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTopLevel holds the top level against DESIGN 2.
func TestTopLevel(t *testing.T) {
	allowed := []string{"main.go", "go.mod", "go.sum", "manifest.json", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
		"RELIABILITY.md", "BENCHMARKS.md", "Makefile", "package.json", "package-lock.json",
		"rpc", "plugin", "auth", "pool", "instructions", "logging", "testdata"}
	out, err := exec.Command("git", "-C", filepath.Join("..", ".."), "ls-files").Output()
	if err != nil {
		t.Skipf("NOT RUN: this is no git checkout: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		top, _, _ := strings.Cut(strings.TrimSpace(line), "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(allowed, top) {
			t.Errorf("%s is not in DESIGN 2's layout", top)
		}
	}
}
