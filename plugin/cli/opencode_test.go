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

	"github.com/tidwall/gjson"

	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/plugin/host"
	"codex-rota/plugin/sim"
)

// The tests in opencode_*_test.go run the real OpenCode through the plugin
// against the simulation, and look at what the person sees and at what the
// simulation received (DESIGN 11).

// untitled keeps OpenCode from asking the model for a title beside the answer,
// where a test needs to know which call met a fault.
var untitled = []string{"--title", "untitled"}

// printLogs has OpenCode show its log, for fetches.
const printLogs = "--print-logs"

// hung is when a run that never ends is given up, however slow the machine.
const hung = 4 * time.Minute

// openCodes bounds how many of these tests run at once: each starts processes
// that fill a core for seconds.
var openCodes = make(chan struct{}, 3)

// openCode is a home with a pool, in which the plugin is registered with the real
// OpenCode.
type openCode struct {
	*rig
	path    string // OpenCode's own binary
	project string
}

func newOpenCode(t *testing.T, seats ...sim.Seat) *openCode {
	t.Helper()
	path := openCodePath(t)
	t.Parallel()
	openCodes <- struct{}{}
	t.Cleanup(func() { <-openCodes })
	o := &openCode{rig: newRig(t, seats...), path: path}
	if err := host.PrepareHome(o.dir); err != nil {
		t.Fatal(err)
	}
	o.register(binary)
	o.project = o.folder("project")
	return o
}

// openCodePath gives the pinned OpenCode's binary, and never hides that these
// tests did not run.
func openCodePath(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var missing []error
	for _, dir := range []string{root, filepath.Join(root, ".hosts")} {
		path, err := host.FindOpenCode(dir)
		if err == nil {
			return path
		}
		missing = append(missing, err)
	}
	message := fmt.Sprintf("NOT TESTED: the real OpenCode is not installed, and nothing else shows that the plugin works in it. Type: make hosts\n%v", errors.Join(missing...))
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// register does what `codex-rota install opencode` does, for a plugin at path.
func (o *openCode) register(path string) {
	o.t.Helper()
	h := host.NewOpenCode(host.OpenCodeOptions{Home: o.dir, Env: func(string) string { return "" }, Binary: path, Version: plugin.Version})
	if _, err := h.Install(false); err != nil {
		o.t.Fatal(err)
	}
}

// folder makes a folder in the home.
func (o *openCode) folder(name string) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// ask runs `opencode run PROMPT` to its end.
func (o *openCode) ask(prompt string, args ...string) shown {
	o.t.Helper()
	return o.start(prompt, args...).wait()
}

// start starts `opencode run PROMPT`.
func (o *openCode) start(prompt string, args ...string) *running {
	o.t.Helper()
	return o.startWith(nil, append([]string{"run", prompt, "--model", "openai/gpt-5.5"}, args...)...)
}

// startWith starts OpenCode with more in its environment. It ends with the test.
func (o *openCode) startWith(env []string, args ...string) *running {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), hung)
	o.t.Cleanup(cancel)
	r := &running{o: o, cmd: exec.CommandContext(ctx, o.path, args...)}
	clean := o.env([]string{"PATH=" + os.Getenv("PATH")}, "TZ=UTC", "ENABLE_PLUGIN_REQUEST_LOGGING=1")
	r.cmd.Env = append(append(host.OpenCodeEnv(o.dir, clean...), "PWD="+o.project), env...)
	r.cmd.Dir = o.project
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.err
	r.cmd.WaitDelay = time.Second // a child that keeps our pipes must not keep the test
	isolate(r.cmd)
	o.witness.watch(r.cmd)
	if err := r.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	return r
}

// running is an OpenCode that was started.
type running struct {
	o        *openCode
	cmd      *exec.Cmd
	out, err transcript
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
	return colour.ReplaceAllString(string(tr.text), "")
}

// shown is what the person has before their eyes at the end. With printLogs
// OpenCode's log lines come with stderr, and are apart here.
type shown struct {
	out, err, log string
	code          int // -1: ended by a signal
}

var logLine = regexp.MustCompile("(?m)^timestamp=.*\n")

func (r *running) wait() shown {
	r.o.t.Helper()
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.o.t.Fatalf("opencode: %v", err)
	}
	text := r.err.String()
	s := shown{r.out.String(), logLine.ReplaceAllString(text, ""), strings.Join(logLine.FindAllString(text, -1), ""), r.cmd.ProcessState.ExitCode()}
	r.o.t.Logf("opencode ended with %d\nstdout: %q\nstderr: %q", s.code, s.out, s.err)
	return s
}

// mustSay fails unless the person reads this answer and nothing beside it.
func (s shown) mustSay(t *testing.T, answer string) {
	t.Helper()
	if s.code != 0 || s.out != answer+"\n" || strings.TrimSpace(s.err) != "> build · gpt-5.5" {
		t.Errorf("the person sees %q and %q (exit code %d), want %q alone", s.out, s.err, s.code, answer)
	}
}

// mustRefuse fails unless the person reads this error and no answer.
func (s shown) mustRefuse(t *testing.T, message string) {
	t.Helper()
	_, said, _ := strings.Cut(s.err, "> build · gpt-5.5")
	said = strings.ReplaceAll(strings.TrimSpace(said), "\u2060", "") // nobody sees a word joiner
	if s.code != 1 || s.out != "" || said != "Error: "+message {
		t.Errorf("the person sees %q and %q (exit code %d), want the error %q alone", s.out, s.err, s.code, message)
	}
}

// fetches counts OpenCode's model calls, its repetitions too, of an agent: build
// answers, title names the session. Its log tells, if the run was given printLogs.
func (s shown) fetches(agent string) int {
	n := 0
	for line := range strings.Lines(s.log) {
		if strings.Contains(line, " message=stream ") && strings.Contains(line, " agent="+agent+" ") {
			n++
		}
	}
	return n
}

// isTitle tells the call that names a session from those that answer: it offers
// no tools.
func isTitle(c sim.Call) bool { return !gjson.Get(c.Body, "tools").Exists() }

// talk gives the model calls that answer the person, in order of arrival.
func (o *openCode) talk() []sim.Call {
	return slices.DeleteFunc(o.sim.Calls(sim.KindResponses), isTitle)
}

// mustTalk fails unless the model calls that answer went like this: "ACCOUNT
// STATUS" each.
func (o *openCode) mustTalk(want ...string) {
	o.t.Helper()
	var got []string
	for _, c := range o.talk() {
		got = append(got, fmt.Sprint(c.Seat, " ", c.Status))
	}
	if !slices.Equal(got, want) {
		o.t.Errorf("the backend got %q, want %q", got, want)
	}
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

func (o *openCode) log() []logged {
	o.t.Helper()
	b, err := os.ReadFile(filepath.Join(o.root(), "logs", "codex-plugin", logging.RequestsLog))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		o.t.Fatal(err)
	}
	var lines []logged
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		var l logged
		if err := json.Unmarshal(line, &l); err != nil {
			o.t.Fatalf("request log: %v in %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// verdicts gives the plugin's word on each answer, "CALL.ATTEMPT STATUS VERDICT".
// A call is one fetch of OpenCode's; further attempts are the plugin's doing.
func (o *openCode) verdicts() []string {
	o.t.Helper()
	var out []string
	for _, l := range o.log() {
		if l.Event == "response" && l.Verdict != plugin.VerdictMore {
			out = append(out, fmt.Sprintf("%s.%d %d %s", l.Call, l.Attempt, l.Status, l.Verdict))
		}
	}
	return out
}

func (o *openCode) mustJudge(want ...string) {
	o.t.Helper()
	if got := o.verdicts(); !slices.Equal(got, want) {
		o.t.Errorf("the plugin's verdicts are %q, want %q", got, want)
	}
}

// arrived waits until the simulation's calls satisfy cond.
func (o *openCode) arrived(what string, cond func([]sim.Call) bool) []sim.Call {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), hung)
	defer cancel()
	calls, err := o.sim.Wait(ctx, cond)
	if err != nil {
		o.t.Fatalf("waiting until %s: %v; calls: %s; verdicts: %q", what, err, summary(calls), o.verdicts())
	}
	return calls
}

// hold keeps the simulation from answering until its calls satisfy cond, or the
// test is over.
func (o *openCode) hold(cond func([]sim.Call) bool) {
	if _, err := o.sim.Wait(o.t.Context(), cond); err != nil {
		o.t.Errorf("a call was held in vain: %v", err)
	}
}

// until waits for what no call at the simulation tells.
func (o *openCode) until(what string, cond func() bool) {
	o.t.Helper()
	for end := time.Now().Add(hung); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("waiting until %s: in vain; calls: %s; verdicts: %q", what, summary(o.sim.Calls()), o.verdicts())
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
