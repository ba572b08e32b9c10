//go:build bench

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"codex-rota/plugin/host"
)

// benchPlan is what latency.mjs is told.
type benchPlan struct {
	Upstream    string            `json:"upstream"`
	Result      string            `json:"result"` // the file that latency.mjs writes
	Shims       map[string]string `json:"shims"`
	Alternative any               `json:"alternative,omitempty"`
	WarmUp      int               `json:"warmUp"`
	Rounds      []benchRound      `json:"rounds,omitempty"`
	Memory      any               `json:"memory,omitempty"`
}

type benchRound struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Rounds int    `json:"rounds"`
}

// hostSizes are the bodies, and how often each is sent in each way.
var hostSizes = []struct {
	name   string
	size   int
	rounds int
}{{"3 KB", 3 << 10, 400}, {"100 KB", 100 << 10, 300}, {"1 MB", 1 << 20, 100}, {"5 MB", 5 << 20, 40}}

// benchRuntime is a program that runs latency.mjs.
type benchRuntime struct {
	name    string
	command []string
	env     []string
}

func (b *bench) runtimes() []benchRuntime {
	b.t.Helper()
	all := []benchRuntime{{"OpenCode (Bun)", []string{hostPath(b.t, "OpenCode", host.FindOpenCode)}, []string{"BUN_BE_BUN=1"}}}
	if node, err := exec.LookPath("node"); err == nil {
		return append(all, benchRuntime{"Node", []string{node, "--expose-gc"}, nil})
	}
	b.note("Node: it is not installed.")
	return all
}

func (b *bench) hostRows() []figure {
	r, plan := b.hostPlan()
	plan.Alternative = b.alternative(r)
	plan.WarmUp = 20
	for _, s := range hostSizes {
		plan.Rounds = append(plan.Rounds, benchRound{s.name, b.file(r, s.name+".json", session(s.size)), s.rounds})
	}
	var sent, whole []figure
	for _, rt := range b.runtimes() {
		var result struct {
			Samples map[string]map[string]struct{ Sent, Whole []float64 }
		}
		b.runPlan(r, rt, plan, &result)
		for _, s := range hostSizes {
			ways := result.Samples[s.name]
			name := fmt.Sprintf("%s, %s", rt.name, s.name)
			sent = append(sent, sample(name, "ms", ways["ours"].Sent, ways["floor"].Sent, ways["alternative"].Sent).besides(1.5, 0.5))
			whole = append(whole, sample(name+", whole call", "ms", ways["ours"].Whole, ways["none"].Whole, ways["alternative"].Whole))
		}
	}
	return append(sent, whole...)
}

// hostPlan is a pool of three accounts, with the shim that `install` writes, and
// the same shim for the floor.
func (b *bench) hostPlan() (*rig, *benchPlan) {
	b.t.Helper()
	r := b.newPool(3)
	backend := b.upstream(0)
	b.command(environment(r, backend), b.bin, "install", "opencode")
	ours := filepath.Join(r.dir, ".config", "opencode", "codex-rota")
	floor := filepath.Join(r.dir, "floor")
	for _, name := range []string{"opencode.js", "call.js", "wire.js"} {
		text, err := os.ReadFile(filepath.Join(ours, name))
		if err != nil {
			b.t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte(strconv.Quote(b.bin)), []byte(strconv.Quote(b.floor)))
		if err := os.MkdirAll(floor, 0o700); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(floor, name), text, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, dir := range []string{ours, floor} { // these are modules, as OpenCode takes them
		if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
			b.t.Fatal(err)
		}
		// As there is one in OpenCode's config folders. Without it Bun goes looking for
		// what the shim imports in the npm registry, and keeps 54 MiB from doing so.
		if err := os.MkdirAll(filepath.Join(dir, "node_modules"), 0o700); err != nil {
			b.t.Fatal(err)
		}
	}
	return r, &benchPlan{Upstream: backend, Shims: map[string]string{"ours": filepath.Join(ours, "opencode.js"), "floor": filepath.Join(floor, "opencode.js")}}
}

func (b *bench) file(r *rig, name string, text []byte) string {
	b.t.Helper()
	path := filepath.Join(r.dir, strings.ReplaceAll(name, " ", ""))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *bench) runPlan(r *rig, rt benchRuntime, plan *benchPlan, result any) {
	b.t.Helper()
	plan.Result = filepath.Join(r.dir, "result.json")
	text, err := json.Marshal(plan)
	if err != nil {
		b.t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join("..", "..", "testdata", "bench", "latency.mjs"))
	if err != nil {
		b.t.Fatal(err)
	}
	args := append(rt.command[1:], script, b.file(r, "plan.json", text))
	b.command(append(environment(r, plan.Upstream), rt.env...), rt.command[0], args...)
	if text, err = os.ReadFile(plan.Result); err == nil {
		err = json.Unmarshal(text, result)
	}
	if err != nil {
		b.t.Fatalf("%s: %v", rt.name, err)
	}
}

// alternative is the npm plugin, brought by npm into the git-ignored .tools, with
// a login and with its caches filled, so that it asks the network for nothing.
func (b *bench) alternative(r *rig) any {
	b.t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".tools", "bench"))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	name, version, _ := strings.Cut(alternativePackage, "@")
	home := filepath.Join(dir, "node_modules", name)
	if text, err := os.ReadFile(filepath.Join(home, "package.json")); err != nil || !strings.Contains(string(text), `"version": "`+version+`"`) {
		cmd := exec.CommandContext(b.t.Context(), "npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix", dir, alternativePackage)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.note("the alternative: npm could not bring %s (%v): %.200s", alternativePackage, err, out)
			return nil
		}
	}
	cache := filepath.Join(r.dir, ".opencode", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		b.t.Fatal(err)
	}
	meta := fmt.Sprintf(`{"etag":"x","tag":"rust-v0.0.0","lastChecked":%d}`, time.Now().Add(time.Hour).UnixMilli()) // fresh to the end of the run
	for _, file := range []string{"gpt-5.1-instructions", "gpt-5.2-instructions", "codex-instructions", "codex-max-instructions", "gpt-5.2-codex-instructions"} {
		b.file(r, ".opencode/cache/"+file+".md", []byte(code(200)))
		b.file(r, ".opencode/cache/"+file+"-meta.json", []byte(meta))
	}
	b.file(r, ".opencode/cache/opencode-codex.txt", []byte(code(100)))
	b.file(r, ".opencode/cache/opencode-codex-meta.json", []byte(meta))
	return map[string]string{"path": filepath.Join(home, "dist", "index.js"), "access": benchToken(0, time.Now().Add(time.Hour))}
}
