package cli

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"codex-rota/plugin/host"
	"codex-rota/plugin/sim"
)

// The tests in codex_*_test.go run the real Codex CLI through the front end
// against the simulation, and look at what the person sees and at what the
// simulation received (DESIGN 11).

// codexLog is a line of the log that Codex writes among what it says.
// codexOwnLog is one that it writes with its own login too, when a process ends
// while it stores the list of models.
var (
	codexLog    = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\S+Z +[A-Z]+ .*\n`)
	codexOwnLog = regexp.MustCompile(`.*failed to load models cache: EOF.*\n`)
	// codexModelsLog is one on a list of models that came too late.
	codexModelsLog = regexp.MustCompile(`.*failed to refresh available models: request timed out\n`)
	// codexTokenLog is one on the token command.
	codexTokenLog = regexp.MustCompile(`.*Failed to resolve external auth: provider auth command .*\n`)
)

// ownCodexConfig is the person's: what would look for something on the network,
// stay behind or run a shell is off.
const ownCodexConfig = `# mine
model = "gpt-5.5"
check_for_update_on_startup = false

[features]
plugins = false # from GitHub
daemon_auto_start = false # by the terminal's Codex
shell_snapshot = false
`

// codexCLI is a home with a pool, in which the front end is registered with the
// real Codex.
type codexCLI struct {
	*rig
	path    string // Codex's own binary
	project string
}

func newCodex(t *testing.T, seats ...sim.Seat) *codexCLI {
	t.Helper()
	path := codexPath(t)
	t.Parallel()
	takeTurn(t)
	return newRig(t, seats...).codexCLI(path)
}

// codexCLI registers with Codex in the rig's home.
func (r *rig) codexCLI(path string) *codexCLI {
	r.t.Helper()
	c := &codexCLI{rig: r, path: path, project: r.folder("project")}
	c.withCodex()
	c.write(codexConfig, ownCodexConfig)
	c.must("install", "codex")
	return c
}

// codexPath gives the pinned Codex's binary.
func codexPath(t *testing.T) string {
	t.Helper()
	return hostPath(t, "Codex CLI", host.FindCodex)
}

// exec is `codex exec PROMPT`.
func (c *codexCLI) exec(prompt string, flags ...string) codexShown {
	c.t.Helper()
	return c.start(prompt, flags...).shown()
}

// resume is `codex exec resume --last PROMPT`.
func (c *codexCLI) resume(prompt string) codexShown {
	c.t.Helper()
	return c.startWith(nil, "exec", "resume", "--skip-git-repo-check", "--last", prompt).shown()
}

func (c *codexCLI) start(prompt string, flags ...string) codexRun {
	c.t.Helper()
	return c.startWith(nil, append(append([]string{"exec", "--skip-git-repo-check"}, flags...), prompt)...)
}

// startWith starts Codex with more in its environment, which does not name the
// pool: the registration does.
func (c *codexCLI) startWith(env []string, args ...string) codexRun {
	c.t.Helper()
	clean := c.env([]string{"PATH=" + os.Getenv("PATH")}, "TZ=UTC", "ENABLE_PLUGIN_REQUEST_LOGGING=1")
	clean = slices.DeleteFunc(clean, func(s string) bool { return strings.HasPrefix(s, "CODEX_MULTI_AUTH_DIR=") })
	return codexRun{c.startHost(codexLog, c.project, append(clean, env...), c.path, args...)}
}

type codexRun struct{ *running }

func (r codexRun) shown() codexShown {
	r.t.Helper()
	s := r.wait()
	s.log = codexOwnLog.ReplaceAllString(s.log, "")
	return codexShown{s}
}

// codexShown is what the person has before their eyes: the answer is on stdout,
// all else on stderr.
type codexShown struct{ shown }

// codexTrouble is a line by which Codex tells of trouble. That it has no sandbox
// program of this system's does not concern us.
var codexTrouble = regexp.MustCompile(`(?m)^(?:ERROR|warning): (.*)$`)

// troubles are those lines, each once: Codex says why a turn failed as it happens
// and at the end again.
func (s codexShown) troubles() []string {
	var out []string
	for _, line := range codexTrouble.FindAllStringSubmatch(s.err, -1) {
		if !strings.Contains(line[1], "bubblewrap") && !slices.Contains(out, line[1]) {
			out = append(out, line[1])
		}
	}
	return out
}

// mustSay fails unless the person reads this answer and nothing beside it but
// this trouble.
func (s codexShown) mustSay(t *testing.T, answer string, troubles ...string) {
	t.Helper()
	if s.code != 0 || s.out != answer+"\n" || s.log != "" || !slices.Equal(s.troubles(), troubles) {
		t.Errorf("the person sees %q and %q, with log %q (exit code %d), want %q and trouble %q alone", s.out, s.err, s.log, s.code, answer, troubles)
	}
}

// mustRefuse fails unless the person reads this one line in place of an answer. In
// its log Codex may say that it was refused the list of models with the same words.
func (s codexShown) mustRefuse(t *testing.T, message string) {
	t.Helper()
	log := regexp.MustCompile(`.*failed to refresh available models: `+regexp.QuoteMeta(message)+`\n`).ReplaceAllString(s.log, "")
	if s.code != 1 || s.out != "" || log != "" || !slices.Equal(s.troubles(), []string{message}) {
		t.Errorf("the person sees %q and %q, with log %q (exit code %d), want the line %q alone", s.out, s.err, s.log, s.code, message)
	}
}

// mustTalk fails unless the model calls went like this: "ACCOUNT STATUS" each.
func (c *codexCLI) mustTalk(want ...string) {
	c.t.Helper()
	var got []string
	for _, call := range c.sim.Calls(sim.KindResponses) {
		got = append(got, fmt.Sprint(call.Seat, " ", call.Status))
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("the backend got %q, want %q", got, want)
	}
}

// mustRefresh fails unless the token endpoint was asked this often for each seat
// named, and for no other.
func (c *codexCLI) mustRefresh(want map[string]int) {
	c.t.Helper()
	for _, seat := range c.seats {
		if n := c.sim.RefreshCount(seat); n != want[seat.Name] {
			c.t.Errorf("%s was refreshed %d times, want %d", seat.Name, n, want[seat.Name])
		}
	}
}
