package cli

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

// planted is one token put somewhere, and what the search must say of it.
type planted struct {
	name  string
	plant func(w *witness, tokens sim.Tokens) error
	told  string // "" when it belongs there
}

// TestWitness: the search that ends every test is not blind. A token is put into
// each kind of place that is searched; each that is where it must not be is told.
func TestWitness(t *testing.T) {
	file := func(name string) func(*witness, sim.Tokens) error {
		return func(w *witness, tokens sim.Tokens) error {
			path := filepath.Join(w.p.dir, filepath.FromSlash(name))
			return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"+tokens.Refresh), 0o600))
		}
	}
	say := func(may speech, format string, token func(sim.Tokens) string) func(*witness, sim.Tokens) error {
		return func(w *witness, tokens sim.Tokens) error {
			_, err := fmt.Fprintf(w.hear("a stream", may), format+"\n", token(tokens))
			return err
		}
	}
	refresh := func(t sim.Tokens) string { return t.Refresh }
	access := func(t sim.Tokens) string { return t.Access }
	for _, test := range append(plantedByProcesses(),
		planted{"an answer", say(saysProtocol, `{"result":{"text":%q}}`, refresh), "a stream holds"},
		planted{"a toast", say(saysProtocol, `{"method":"host/toast","params":{"message":%q}}`, access), "a stream holds"},
		planted{"a prepared request", say(saysProtocol, `{"result":{"account":{},"headers":[["authorization","Bearer %s"]]}}`, access), ""},
		planted{"a prepared request's address", say(saysProtocol, `{"result":{"account":{},"url":"https://x/?t=%s"}}`, access), "a stream holds"},
		planted{"a refresh token in a prepared request", say(saysProtocol, `{"result":{"account":{},"headers":[["authorization","Basic %s"]]}}`, refresh), "a stream holds"},
		planted{"what token prints", say(saysToken, "%s", access), ""},
		planted{"what token prints beside a word", say(saysToken, "token: %s", access), "a stream holds"},
		planted{"a refresh token printed by token", say(saysToken, "%s", refresh), "a stream holds"},
		planted{"a part of an id token", say(saysNothing, "%s", func(t sim.Tokens) string { return strings.Split(t.ID, ".")[1] }), "a stream holds"},
		planted{"the accounts file", file("pool/openai-codex-accounts.json"), ""},
		planted{"a backup", file("pool/backups/x.json"), ""},
		planted{"an intent", file("pool/locks/acct_x.intent"), ""},
		planted{"a lock", file("pool/locks/acct_x.lock"), "acct_x.lock holds"},
		planted{"the quota cache", file("pool/quota-cache.json"), "quota-cache.json holds"},
		planted{"a log", file("pool/logs/codex-plugin/requests.jsonl"), "requests.jsonl holds"},
		planted{"a temporary file", file("pool/.openai-codex-accounts.json.tmp-1"), ".tmp-1 holds"},
		planted{"accounts elsewhere", file("openai-codex-accounts.json"), "openai-codex-accounts.json holds"},
		planted{"the test's own folder", func(w *witness, tokens sim.Tokens) error {
			return os.WriteFile(filepath.Join(w.temp, "x"), []byte(tokens.Access), 0o600)
		}, "x holds"},
	) {
		t.Run(test.name, func(t *testing.T) {
			p, err := newPlayground()
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			w := newWitness(p, t.TempDir())
			if err := test.plant(w, p.sim.AddSeat(sim.Seat{}).Tokens()); err != nil {
				t.Fatal(err)
			}
			leaks := strings.Join(w.leaks(), "\n")
			if (leaks == "") != (test.told == "") || !strings.Contains(leaks, test.told) {
				t.Errorf("it tells %q, want %q", leaks, test.told)
			}
		})
	}
}

// plantedByProcesses are those that need a process or a request.
func plantedByProcesses() []planted {
	shell := func(w *witness, script string, env ...string) error {
		cmd := exec.Command("sh", "-c", script)
		cmd.Env = append(os.Environ(), append(env, "HOME="+w.p.dir)...)
		w.watch(cmd)
		return cmd.Run()
	}
	request := func(w *witness, method, address, token, body string) error {
		req, err := http.NewRequest(method, address, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", token)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
	return []planted{
		{"stdout", func(w *witness, t sim.Tokens) error {
			w.allow(filepath.Join(w.p.dir, "t"))
			return errors.Join(os.WriteFile(filepath.Join(w.p.dir, "t"), []byte(t.Access), 0o600), shell(w, `cat "$HOME/t"`))
		}, "stdout of -c"},
		{"stderr", func(w *witness, t sim.Tokens) error {
			w.allow(filepath.Join(w.p.dir, "t"))
			return errors.Join(os.WriteFile(filepath.Join(w.p.dir, "t"), []byte(t.Access), 0o600), shell(w, `cat "$HOME/t" >&2`))
		}, "stderr of -c"},
		{"an argument", func(w *witness, t sim.Tokens) error { return shell(w, "true "+t.Refresh) }, "arguments or environment"},
		{"the environment", func(w *witness, t sim.Tokens) error { return shell(w, "true", "X="+t.Refresh) }, "arguments or environment"},
		{"the environment of a child", func(w *witness, t sim.Tokens) error {
			w.allow(filepath.Join(w.p.dir, "t"))
			if _, err := os.Stat("/proc/self/environ"); err != nil {
				return fmt.Errorf("NOT TESTED: there is no /proc here: %w", err)
			}
			return errors.Join(os.WriteFile(filepath.Join(w.p.dir, "t"), []byte(t.Access), 0o600), shell(w, `X=$(cat "$HOME/t") sleep 0.3`))
		}, "arguments or environment"},
		{"a refresh", func(w *witness, t sim.Tokens) error {
			return request(w, "POST", w.p.sim.Issuer()+"/oauth/token", "", "grant_type=refresh_token&refresh_token="+t.Refresh)
		}, ""},
		{"a refresh by address", func(w *witness, t sim.Tokens) error {
			return request(w, "POST", w.p.sim.Issuer()+"/oauth/token?refresh_token="+t.Refresh, "", "grant_type=refresh_token")
		}, "the refresh request"},
		{"the usage endpoint", func(w *witness, t sim.Tokens) error {
			return request(w, "GET", w.p.sim.Backend()+"/wham/usage", "Bearer "+t.Access, "")
		}, ""},
		{"GitHub", func(w *witness, t sim.Tokens) error {
			return request(w, "GET", w.p.sim.GitHubAPI()+"/repos/openai/codex/releases/latest", "Bearer "+t.Access, "")
		}, "the release request"},
		{"a model call's body", func(w *witness, t sim.Tokens) error {
			return request(w, "POST", w.p.sim.Backend()+"/codex/responses", "", t.Refresh)
		}, "the responses request"},
	}
}

// TestEveryProcessHasAWitness: a test that starts the binary in a way of its own
// lets the witness listen.
func TestEveryProcessHasAWitness(t *testing.T) {
	starts := regexp.MustCompile(`(exec\.Command(Context)?|startMiniHost)\(.*\bbinary\b`)
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, function := range strings.Split(string(text), "\nfunc ")[1:] {
			if !starts.MatchString(function) || strings.HasPrefix(function, "buildAndRun(") {
				continue
			}
			found++
			if !strings.Contains(function, ".watch(") && !strings.Contains(function, ".started(") {
				head, _, _ := strings.Cut(function, "\n")
				t.Errorf("%s: %s starts the binary without a witness", name, head)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d functions start the binary: this search is blind", found)
	}
}

// TestChildOfToken: the process that `token` starts for an exchange, which runs
// for as long as the issuer takes, shows no token to others on the machine.
func TestChildOfToken(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skipf("SKIPPED: there is no /proc on this system: %v", err)
	}
	r := newRig(t, sim.Seat{Name: "a", Expired: true})
	r.fault("refresh-hang", times(1))
	ended := make(chan error, 1)
	go func() {
		_, err := r.command(t.Context(), "token")
		ended <- err
	}()
	held := func(calls []sim.Call) bool { return len(calls) > 0 && calls[len(calls)-1].Held }
	if _, err := r.sim.Wait(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	seenProcesses.look()
	r.sim.Release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !seenProcesses.saw(r.dir, "\x00exchange\x00acct_") {
		t.Error("the child was not seen, so nothing was searched")
	}
}
