package cli

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"codex-rota/plugin/proxy"
	"codex-rota/plugin/sim"
)

// fakeCodex puts a shell script of this name into PATH, in a folder of its own.
func (r *rig) fakeCodex(name, script string, mode os.FileMode) {
	r.t.Helper()
	if runtime.GOOS == "windows" {
		r.t.Skip("NOT RUN: a shell script stands in for codex")
	}
	dir := r.t.TempDir()
	r.do(os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), mode))
	r.path = dir + string(os.PathListSeparator) + os.Getenv("PATH")
	r.t.Cleanup(r.endFrontEnd)
}

// TestRunArguments: codex gets the settings of install codex before its own
// arguments, our stdin and environment, and the end is its own.
func TestRunArguments(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.fakeCodex("codex", `printf '%s\n' "$@"; printf 'stdin: '; cat; echo "home: $HOME" >&2; exit 7`, 0o755)
	out, errOut, code := r.run("typed", "run", "--", "codex", "exec", "--json", "say \"hi\"", "--", "-c", "")
	if code != 7 || errOut != "home: "+r.dir+"\n" {
		t.Errorf("exit %d, stderr %q", code, errOut)
	}
	pinned := *r.app
	pinned.pinned = r.root()
	codex, err := pinned.codex(r.port())
	r.do(err)
	var want []string
	for _, s := range codex.Settings() {
		want = append(want, "-c", s.String())
	}
	want = append(want, "exec", "--json", `say "hi"`, "--", "-c", "", "stdin: typed")
	if got := strings.Split(out, "\n"); !slices.Equal(got, want) {
		t.Errorf("arguments\n%q, want\n%q", got, want)
	}
	if !slices.Contains(want, `model_providers.codex-rota.base_url="http://127.0.0.1:`+strconv.Itoa(r.port())+proxy.BasePath+`"`) {
		t.Errorf("the settings lack the front end: %q", want)
	}
	for name := range r.homeFiles() {
		if strings.HasPrefix(name, ".codex/") {
			t.Errorf("%s was made", name)
		}
	}
}

// TestRunRoot: --root names the pool for the front end and for all that codex starts.
func TestRunRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.fakeCodex("codex", `printf '%s\n' "$@"`, 0o755)
	cmd := exec.Command(binary, "run", "--root", r.root(), "--", "codex")
	elsewhere := filepath.Join(r.dir, "elsewhere")
	cmd.Env = append(r.env(os.Environ()), "CODEX_MULTI_AUTH_DIR="+elsewhere)
	var out transcript
	cmd.Stdout = &out
	r.witness.watch(cmd)
	if err := cmd.Run(); err != nil || strings.Count(out.String(), `"--root","`+r.root()+`"`) != 2 {
		t.Errorf("%v:\n%s", err, &out)
	}
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Errorf("the environment's folder was touched: %v", err)
	}
}

// TestRunBesideAProxy: what is for the front end does not go to the person's proxy.
func TestRunBesideAProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.fakeCodex("codex", `echo "$HTTP_PROXY $NO_PROXY $no_proxy"`, 0o755)
	cmd := exec.Command(binary, "run", "--", "codex")
	cmd.Env = append(r.env(os.Environ()), "HTTP_PROXY=http://proxy.example:1", "NO_PROXY=", "no_proxy=a.example")
	var out transcript
	cmd.Stdout = &out
	r.witness.watch(cmd)
	if err := cmd.Run(); err != nil || out.String() != "http://proxy.example:1 a.example,127.0.0.1 a.example,127.0.0.1\n" {
		t.Errorf("%v: %q", err, out.String())
	}
}

// TestRunRefuses: what is not one run of codex, with the code that a shell would
// give. No front end is started for it.
func TestRunRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no program", nil, 2, "the program stands behind --"},
		{"no dashes", []string{"codex", "exec", "hi"}, 2, "the program stands behind --"},
		{"nothing behind the dashes", []string{"--"}, 2, "there is no program behind --"},
		{"something before the dashes", []string{"exec", "--", "codex"}, 2, `"exec" does`},
		{"another program", []string{"--", "node", "codex.js"}, 2, `"node" is not codex`},
		{"codex-rota itself", []string{"--", binary}, 2, "is not codex"},
		{"a program that begins alike", []string{"--", "codexx"}, 2, `"codexx" is not codex`},
		{"not in PATH", []string{"--", "codex-x86_64-unknown-linux-musl"}, 127, "npm install -g @openai/codex"},
		{"no such file", []string{"--", "/nowhere/codex"}, 127, "/nowhere/codex was not found"},
		{"no program at all", []string{"--", "codex"}, 126, "cannot be started"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, named("a")...)
			r.fakeCodex("other", "", 0o755)
			if test.code == 126 {
				bad := r.write("bad/codex", "\x00\x01 no program")
				r.do(os.Chmod(bad, 0o600))
				test.args = []string{"--", bad}
			}
			out, errOut, code := r.run("", append([]string{"run"}, test.args...)...)
			if code != test.code || out != "" || !strings.Contains(errOut, test.says) || strings.Count(errOut, "\n") != 1 {
				t.Errorf("exit %d, want %d; stdout %q, stderr %q", code, test.code, out, errOut)
			}
			if _, err := os.Stat(r.file(proxy.PortFile)); err == nil {
				t.Error("a front end was started")
			}
		})
	}
}

func TestIsCodex(t *testing.T) {
	for name, want := range map[string]bool{
		"codex": true, "/usr/bin/codex": true, "codex.exe": true, "CODEX.EXE": true, "codex.cmd": true, "bin/codex.js": true,
		"codex-x86_64-unknown-linux-musl": true, "codex-aarch64-apple-darwin": true, "codex-x86_64-pc-windows-msvc.exe": true,
		"codex-rota": false, "codex-rota.exe": false, "codex-code-mode-host": false, "opencode": false, "node": false, "": false, "codex/": true,
	} {
		if isCodex(name) != want {
			t.Errorf("isCodex(%q) is %t", name, !want)
		}
	}
}

// TestRunPortIsTaken: another program sits on the front end's port, and codex is
// told another from the first.
func TestRunPortIsTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	r.fakeCodex("codex", `printf '%s\n' "$@"`, 0o755)
	stranger, err := proxy.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	taken := stranger.Addr().String()
	_, port, _ := strings.Cut(taken, ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	r.do((proxy.Place{Root: r.root()}).KeepPort(t.Context(), number))
	out, errOut, code := r.run("", "run", "--", "codex")
	if code != 0 || strings.Contains(out, taken) || !strings.Contains(out, fmt.Sprintf("127.0.0.1:%d/", r.port())) {
		t.Errorf("exit %d, the front end is on port %d, %s is taken:\n%s%s", code, r.port(), taken, out, errOut)
	}
}

// TestRunRealCodex: two turns of one thread with the real Codex, whose first
// account meets its weekly limit: its own config, with another default, stays as
// it is and is not asked.
func TestRunRealCodex(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a", "b")...)
	r.withCodex()
	const config = "# mine\nmodel_provider = \"oss\" # usually\nmodel = \"gpt-5.5\"\n"
	r.write(codexConfig, config)
	r.fault("weekly-limit", onSeat("a"))
	for _, args := range [][]string{
		{"exec", "--skip-git-repo-check", "hello"},
		{"exec", "--skip-git-repo-check", "resume", "--last", "again"},
		{"-c", `model="gpt-6-sol"`, "exec", "--skip-git-repo-check", "-c", `model_reasoning_effort="low"`, "with settings of its own"},
	} {
		out, errOut, code := r.run("", append([]string{"run", "--", "codex"}, args...)...)
		if code != 0 || out != "Hello from b\n" || !strings.Contains(errOut, "provider: codex-rota\n") {
			t.Errorf("%q: exit %d, %q\n%s", args, code, out, errOut)
		}
	}
	if got := r.seatsAsked(); !slices.Equal(got, []string{"a", "b", "b", "b"}) {
		t.Errorf("asked %q", got)
	}
	models := map[string]bool{}
	for _, c := range r.sim.Calls(sim.KindResponses) {
		models[c.Model] = true
	}
	if got := slices.Sorted(maps.Keys(models)); !slices.Equal(got, []string{"gpt-5.5", "gpt-6-sol"}) {
		t.Errorf("models %q", got)
	}
	r.mustBeObedient()
	if got := r.read(codexConfig); got != config {
		t.Errorf("config.toml is now %q", got)
	}
	if out, errOut, code := r.run("", "run", "--", "codex", "exec", "--no-such-flag"); code != 2 || !strings.Contains(errOut, "--no-such-flag") {
		t.Errorf("a mistake in Codex's own arguments: exit %d, %q %q", code, out, errOut)
	}
}
