package cli

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

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

// openCodeLog is a line of the log that OpenCode shows with printLogs.
var openCodeLog = regexp.MustCompile("(?m)^timestamp=.*\n")

// openCode is a home with a pool, in which the plugin is registered with the real
// OpenCode.
type openCode struct {
	*rig
	path    string // OpenCode's own binary
	project string
}

func newOpenCode(t *testing.T, seats ...sim.Seat) *openCode {
	t.Helper()
	path := hostPath(t, "OpenCode", host.FindOpenCode)
	t.Parallel()
	takeTurn(t)
	o := &openCode{rig: newRig(t, seats...), path: path}
	if err := host.PrepareHome(o.dir); err != nil {
		t.Fatal(err)
	}
	o.register(binary)
	o.project = o.folder("project")
	return o
}

// register does what `codex-rota install opencode` does, for a plugin at path.
func (o *openCode) register(path string) {
	o.t.Helper()
	h := host.NewOpenCode(host.OpenCodeOptions{Home: o.dir, Env: func(string) string { return "" }, Binary: path, Version: plugin.Version})
	if _, err := h.Install(false); err != nil {
		o.t.Fatal(err)
	}
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
	clean := o.env([]string{"PATH=" + os.Getenv("PATH")}, "TZ=UTC", "ENABLE_PLUGIN_REQUEST_LOGGING=1")
	return o.startHost(openCodeLog, o.project, append(append(host.OpenCodeEnv(o.dir, clean...), "PWD="+o.project), env...), o.path, args...)
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
