package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// What the tests of the real hosts, opencode_*_test.go and codex_*_test.go, have
// in common: each runs the host's own binary in a home with a pool.

// hung is when a run that never ends is given up, however slow the machine.
const hung = 4 * time.Minute

// turns bounds how many of these tests run at once: each starts processes that
// fill a core for seconds.
var turns = make(chan struct{}, 3)

func takeTurn(t *testing.T) {
	turns <- struct{}{}
	t.Cleanup(func() { <-turns })
}

// hostPath gives the pinned host's binary, and never hides that its tests did not
// run.
func hostPath(t *testing.T, name string, find func(dir string) (string, error)) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var missing []error
	for _, dir := range []string{root, filepath.Join(root, ".hosts")} {
		path, err := find(dir)
		if err == nil {
			return path
		}
		missing = append(missing, err)
	}
	message := fmt.Sprintf("NOT TESTED: the real %s is not installed, and nothing else shows that codex-rota works with it. Type: make hosts\n%v", name, errors.Join(missing...))
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// folder makes a folder in the home.
func (r *rig) folder(name string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// running is a host that was started. Lines of its stderr that are its log, not
// what it says to the person, match logLine.
type running struct {
	t        *testing.T
	cmd      *exec.Cmd
	logLine  *regexp.Regexp
	out, err transcript
}

// startHost starts a host with this environment alone. It ends with the test.
func (r *rig) startHost(logLine *regexp.Regexp, dir string, env []string, program string, args ...string) *running {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), hung)
	r.t.Cleanup(cancel)
	run := &running{t: r.t, cmd: exec.CommandContext(ctx, program, args...), logLine: logLine}
	run.cmd.Env, run.cmd.Dir = env, dir
	run.cmd.Stdout, run.cmd.Stderr = &run.out, &run.err
	run.cmd.WaitDelay = time.Second // a child that keeps our pipes must not keep the test
	isolate(run.cmd)
	r.witness.watch(run.cmd)
	if err := run.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return run
}

// transcript is what a process has written so far.
type transcript struct {
	mu   sync.Mutex
	text []byte
}

func (tr *transcript) Write(b []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.text = append(tr.text, b...)
	return len(b), nil
}

// whole is the text as it was written.
func (tr *transcript) whole() []byte {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.text)
}

// String is the text without colour.
func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return uncoloured(string(tr.text))
}

// shown is what the person has before their eyes at the end. The host's log lines
// come with stderr, and are apart here.
type shown struct {
	out, err, log string
	code          int // -1: ended by a signal
}

func (r *running) wait() shown {
	r.t.Helper()
	name := filepath.Base(r.cmd.Path)
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%s: %v", name, err)
	}
	text := r.err.String()
	s := shown{r.out.String(), r.logLine.ReplaceAllString(text, ""), strings.Join(r.logLine.FindAllString(text, -1), ""), r.cmd.ProcessState.ExitCode()}
	r.t.Logf("%s ended with %d\nstdout: %q\nstderr: %q", name, s.code, s.out, s.err)
	return s
}

// logged is a line of the plugin's request log.
type logged struct {
	Event   string
	PID     int
	Call    string
	Attempt int
	Status  int
	Verdict string
	End     string
}

func (r *rig) log() []logged {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.root(), "logs", "codex-plugin", logging.RequestsLog))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	var lines []logged
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		var l logged
		if err := json.Unmarshal(line, &l); err != nil {
			r.t.Fatalf("request log: %v in %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// verdicts gives the plugin's word on each answer, "CALL.ATTEMPT STATUS VERDICT".
// A call is one fetch of OpenCode's; further attempts are the plugin's doing.
func (r *rig) verdicts() []string {
	r.t.Helper()
	var out []string
	for _, l := range r.log() {
		if l.Event == "response" && l.Verdict != plugin.VerdictMore {
			out = append(out, fmt.Sprintf("%s.%d %d %s", l.Call, l.Attempt, l.Status, l.Verdict))
		}
	}
	return out
}

func (r *rig) mustJudge(want ...string) {
	r.t.Helper()
	if got := r.verdicts(); !slices.Equal(got, want) {
		r.t.Errorf("the plugin's verdicts are %q, want %q", got, want)
	}
}

// arrived waits until the simulation's calls satisfy cond.
func (r *rig) arrived(what string, cond func([]sim.Call) bool) []sim.Call {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), hung)
	defer cancel()
	calls, err := r.sim.Wait(ctx, cond)
	if err != nil {
		r.t.Fatalf("waiting until %s: %v; calls: %s; verdicts: %q", what, err, summary(calls), r.verdicts())
	}
	return calls
}

// hold keeps the simulation from answering until its calls satisfy cond, or the
// test is over.
func (r *rig) hold(cond func([]sim.Call) bool) {
	if _, err := r.sim.Wait(r.t.Context(), cond); err != nil {
		r.t.Errorf("a call was held in vain: %v", err)
	}
}

// until waits for what no call at the simulation tells.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	for end := time.Now().Add(hung); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("waiting until %s: in vain; calls: %s; verdicts: %q", what, summary(r.sim.Calls()), r.verdicts())
		}
	}
}

func summary(calls []sim.Call) string {
	var out []string
	for _, c := range calls {
		out = append(out, fmt.Sprintf("%s %s %d %s %s", c.Kind, c.Seat, c.Status, c.Fault, cmp.Or(c.End, "…")))
	}
	return strings.Join(out, ", ")
}
