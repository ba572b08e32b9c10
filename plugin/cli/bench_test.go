//go:build bench

package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/host"
)

// The benchmarks of `make bench` are tests behind a build tag: `go test ./...`
// neither builds nor runs them, `make check` vets them. Each bench*_test.go with
// the tag is one section of the table.

const benchmarking = true

// bench is what a section measures with.
type bench struct {
	t     *testing.T
	bin   string // the product, built as it is shipped
	floor string
	hello string
	notes []string
}

func (b *bench) note(format string, args ...any) {
	b.t.Helper()
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
	b.t.Logf(format, args...)
}

// sections in the order of the page. Each gives its rows.
var sections = []struct {
	name, title, about string
	run                func(*bench) []figure
}{
	{"host", "In the host's process", "From the host's fetch being entered to the upstream request being sent, in OpenCode's own runtime and in Node, with the shim as `install` writes it and three accounts. The bodies are sessions: hundreds of items, tool calls with their outputs, long code, escapes, and text that is not ASCII. *Whole call* is until the end of a tiny answer, from a loopback upstream; there the floor is the same call without any plugin.", (*bench).hostRows},
	{"functions", "Functions", "Go benchmarks: what one call costs by the size of its body, of the pool, of the affinity table and of the ledger.", (*bench).functionRows},
	{"wire", "Calls at once", "Whole calls (prepare, answer, done; bodies of 100 KB) through the pipe of one built `serve`, so many of them open at a time. CPU is the plugin's, without its start.", (*bench).wireRows},
	{"process", "Processes", "From outside: start of the process to its first answer, or to its end for a command.", (*bench).processRows},
	{"memory", "Memory and size", "Resident memory of `serve`, and of its host, through 1,000 calls of 1 MB; what the runtime needs for the same calls without a plugin is the floor.", (*bench).memoryRows},
	{"front", "The loopback front end", "The built `codex-rota proxy` between a client that speaks as Codex does and an upstream that streams 20 events, all on this machine. *At leisure* all clients together make 200 calls a second of 1 KB, or 40 of 1 MB, so that hardly ever two meet: what is added is the median through the front end less the median straight at the upstream, taken in turns, and is the front end's own and two more wake-ups of a process, without queueing. *Flat out* no client waits: clients, front end and upstream share the cores, and the time to the first byte is mostly that of waiting for the calls ahead (8 clients ÷ requests a second). There the floor is the same client straight at the same upstream. CPU is the front end's alone, by the system's count: a busy machine hardly changes it.", (*bench).frontRows},
}

// TestBench measures, prints each section's table, and writes the page when all
// sections ran.
func TestBench(t *testing.T) {
	b := &bench{t: t}
	b.busy()
	b.build()
	m := benchmarks{Date: time.Now().UTC().Format("2 January 2006"), Machine: machineKind(), Versions: b.versions()}
	for _, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			part := &bench{t: t, bin: b.bin, floor: b.floor, hello: b.hello}
			began := time.Now()
			done := benchSection{Title: s.title, About: s.about, Rows: s.run(part), Command: "go test -tags bench -count 1 -v -run '^TestBench$/^" + s.name + "$' ./plugin/cli"}
			fmt.Printf("\n%s (%s)\n%s", s.title, time.Since(began).Round(time.Second), done.table())
			m.Sections, m.Notes = append(m.Sections, done), append(m.Notes, part.notes...)
		})
	}
	if len(m.Sections) < len(sections) || t.Failed() {
		return // a part of a run is no run
	}
	m.Spread = b.spread()
	m.Notes = append(m.Notes, b.notes...)
	if err := m.write(); err != nil {
		t.Fatal(err)
	}
}

// build makes the product as the Makefile does, and the two floors the same way.
func (b *bench) build() {
	dir := b.t.TempDir()
	for path, pkg := range map[*string]string{&b.bin: "codex-rota", &b.floor: "codex-rota/testdata/bench/floor", &b.hello: "codex-rota/testdata/bench/hello"} {
		*path = filepath.Join(dir, filepath.Base(pkg))
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", *path, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
}

// busy notes a machine that did other things when the run began.
func (b *bench) busy() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return // another system
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err == nil && load > float64(runtime.NumCPU())/2 {
		b.note("the machine was busy with other things (load %.1f on %d cores): times are too long, and ratios uncertain.", load, runtime.NumCPU())
	}
}

// machineKind names no machine, only what it is like.
func machineKind() string {
	kind := fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	info, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return kind
	}
	defer info.Close()
	for lines := bufio.NewScanner(info); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "model name"); ok {
			return kind + ", " + strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return kind
}

func (b *bench) versions() string {
	node, err := exec.Command("node", "--version").Output()
	if err != nil {
		node = []byte("missing")
	}
	return fmt.Sprintf("%s, OpenCode %s, Node %s", runtime.Version(), host.OpenCodeVersion, strings.TrimSpace(string(node)))
}

// environment is a clean one for home, with a backend and nothing else of the
// caller's but PATH.
func environment(r *rig, backend string) []string {
	clean := r.env([]string{"PATH=" + os.Getenv("PATH")}, "CODEX_ROTA_BACKEND="+backend)
	return host.OpenCodeEnv(r.dir, clean...)
}

// command runs a program to its end and gives what it wrote.
func (b *bench) command(env []string, name string, args ...string) []byte {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var errOut bytes.Buffer
	cmd.Env, cmd.Stderr = env, &errOut
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, errOut.String())
	}
	return out
}

// residentOf is a process's resident memory in MiB, where the system tells it.
func residentOf(pid int) (float64, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib float64
	_, err = fmt.Sscan(rest, &kib)
	return kib / 1024, err == nil
}

// write keeps the figures, sections in the order in which they run, and the page.
func (m benchmarks) write() error {
	text, err := json.MarshalIndent(m, "", " ")
	if err == nil {
		err = os.WriteFile(benchFigures, append(text, '\n'), 0o644)
	}
	return cmp.Or(err, os.WriteFile(benchPage, []byte(m.page()), 0o644))
}
