package cli

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportsGoOneWay holds `go list` against DESIGN 2's table: what each package
// may import of ours.
func TestImportsGoOneWay(t *testing.T) {
	pure := []string{}
	foundation := []string{"logging", "pool/atomicfile"}
	allowed := map[string][]string{
		"":                {"plugin/cli"},
		"rpc":             {"plugin", "plugin/request", "logging"},
		"plugin/proxy":    {"plugin", "plugin/request", "logging", "pool/atomicfile"},
		"plugin/mcp":      {"plugin", "logging"},
		"plugin":          {"pool", "auth", "instructions", "plugin/request", "plugin/response", "logging"},
		"plugin/request":  pure,
		"plugin/response": pure,
		"plugin/host":     foundation,
		"plugin/sim":      foundation,
		"auth":            foundation,
		"instructions":    foundation,
		"pool":            {"auth", "logging", "pool/atomicfile"},
		"pool/atomicfile": pure,
		"logging":         pure,
	}
	standard := []string{"github.com/tidwall/gjson"} // the one JSON library of the pure packages
	for _, p := range listPackages(t) {
		name := strings.Trim(strings.TrimPrefix(p.ImportPath, "codex-rota"), "/")
		if name == "plugin/cli" {
			continue // it builds everything
		}
		permitted, known := allowed[name]
		if !known {
			t.Errorf("package %s is not in DESIGN 2's table", p.ImportPath)
		}
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, "codex-rota/")
			if isOurs && !slices.Contains(permitted, ours) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			foreign := !isOurs && strings.Contains(strings.Split(imported, "/")[0], ".")
			if (name == "plugin/request" || name == "plugin/response") && foreign && !slices.Contains(standard, imported) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			if impure := []string{"os", "net", "net/http", "log"}; (name == "plugin/request" || name == "plugin/response") && slices.Contains(impure, imported) {
				t.Errorf("%s is to be pure and imports %s", p.ImportPath, imported)
			}
		}
	}
}

// TestNoTemplates: a template finds methods by name, so with one the linker keeps
// every method of every package, a fifth of the binary. cobra's own, which come
// with that price too, are for programs that ask for them.
func TestNoTemplates(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, imported := range p.Imports {
			if imported == "text/template" || imported == "html/template" {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "codex-rota/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listedPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for decoder.More() {
		var p listedPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}
