package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// doctorCase breaks one thing and says which line tells of it.
type doctorCase struct {
	name  string
	seats []sim.Seat // nil: one, "a"
	spoil func(r *rig) (env []string)
	line  string // name of the check
	level string
	says  string // in its detail
	mend  string // in what to type
	exit  int
	fixed string // what --fix says it did; "" when it mends nothing of it
}

// TestDoctor: each line fails when what it names breaks, --fix mends what is
// safe, and nothing but questions without credentials is ever sent.
func TestDoctor(t *testing.T) {
	cases := append(append(doctorFiles(), doctorState()...), append(append(doctorWorld(), doctorHosts()...), doctorCodex()...)...)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			seats := c.seats
			if seats == nil {
				seats = named("a")
			}
			r := newRig(t, seats...)
			env := c.spoil(r)
			r.sim.Reset()
			before, code := r.doctor(env)
			if code != c.exit || before.Passed != (code == 0) {
				t.Errorf("exit code %d (passed %v), want %d", code, before.Passed, c.exit)
			}
			found := false
			for _, check := range before.Checks {
				if check.Name == c.line && check.Result == c.level && strings.Contains(check.Detail, c.says) {
					found = true
					if !strings.Contains(check.Mend, c.mend) {
						t.Errorf("to mend it: %q, want %q", check.Mend, c.mend)
					}
				} else if check.Result == "fail" && check.Name != c.line {
					t.Errorf("%s fails too: %s", check.Name, check.Detail)
				}
			}
			if !found {
				t.Fatalf("want %s %s: …%s…; got\n%s", c.level, c.line, c.says, lines(before))
			}
			r.mustHaveSpentNothing()

			after, _ := r.doctor(env, "--fix")
			did := ""
			for _, check := range after.Checks {
				if check.Fixed != "" {
					did += check.Name + ": " + check.Fixed + "\n"
				}
			}
			if c.fixed == "" && did != "" || !strings.Contains(did, c.fixed) {
				t.Errorf("--fix did %q, want %q", did, c.fixed)
			}
			r.mustHaveSpentNothing()
			again, code := r.doctor(env)
			for _, check := range again.Checks {
				if c.fixed != "" && check.Name == c.line && check.Result != "ok" && strings.Contains(check.Detail, c.says) {
					t.Errorf("after --fix (exit code %d): %s", code, check.Detail)
				}
			}
		})
	}
}

func lines(d *plugin.Diagnosis) string {
	var out strings.Builder
	for _, c := range d.Checks {
		fmt.Fprintf(&out, "%s %s: %s → %s\n", c.Result, c.Name, c.Detail, c.Mend)
	}
	return out.String()
}

// doctor runs the command with --json.
func (r *rig) doctor(env []string, args ...string) (*plugin.Diagnosis, int) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), binary, append([]string{"doctor", "--json"}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = r.env(os.Environ(), append([]string{"PWD=" + r.dir}, env...)...)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	r.witness.watch(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if exit != nil && said.Len() > 0 {
		r.t.Errorf("it complains: %s", said.String())
	}
	d := decode[plugin.Diagnosis](r.t, out.String())
	return &d, cmd.ProcessState.ExitCode()
}

// mustHaveSpentNothing fails for anything that arrived but questions for the
// headers of an origin.
func (r *rig) mustHaveSpentNothing() {
	r.t.Helper()
	for _, c := range r.sim.Calls() {
		if c.Kind != sim.KindHead || c.Body != "" || len(c.Notes) > 0 || c.Headers.Get("Authorization") != "" || c.Headers.Get("Cookie") != "" {
			r.t.Errorf("the doctor sent %s %s %v %s", c.Method, c.Path, c.Headers, c.Body)
		}
	}
}

// file is a path in the pool.
func (r *rig) file(name string) string { return filepath.Join(r.root(), name) }

func (r *rig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *rig) do(errs ...error) {
	r.t.Helper()
	if err := errors.Join(errs...); err != nil {
		r.t.Fatal(err)
	}
}

// TestDoctorForPeople: what to type stands below its line, and the tool gives
// the same text.
func TestDoctorForPeople(t *testing.T) {
	r := newRig(t, named("a")...)
	r.do(os.Chmod(r.file("openai-codex-accounts.json"), 0o644))
	out := r.must("doctor")
	if !strings.Contains(out, "has mode 0644, which lets others in\n") || !strings.Contains(out, "→ codex-rota doctor --fix\n") {
		t.Errorf("it says\n%s", out)
	}
	h, _ := r.serve(plugin.HostOpenCode)
	var tool plugin.ToolResult
	if err := h.ask(t.Context(), "tool/run", plugin.ToolParams{Name: "codex-doctor"}, &tool); err != nil || !strings.Contains(tool.Text, "ok   accounts") {
		t.Errorf("the tool says %q (%v)", tool.Text, err)
	}
}
