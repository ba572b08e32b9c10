package cli

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// TestTermDuringExchange: SIGTERM ends serve, but not before the exchange in
// flight is stored.
func TestTermDuringExchange(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "a", Expired: true})
	r.fault("refresh-hang", times(1))
	h, _ := r.serve("")
	asked := make(chan error, 1)
	go func() {
		_, _, err := h.generate(context.Background(), hostCall{name: "1", session: "s"})
		asked <- err
	}()
	if _, err := r.sim.WaitCall(t.Context(), sim.KindRefresh, 1); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err == nil {
		t.Error("the call was answered after SIGTERM")
	}
	held := func(calls []sim.Call) bool {
		for _, c := range calls {
			if c.Kind == sim.KindRefresh && c.Held {
				return true
			}
		}
		return false
	}
	if _, err := r.sim.Wait(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	r.sim.Release()
	if err := h.close(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	if got := strings.TrimSpace(r.must("token")); got != r.seats[0].Tokens().Access {
		t.Error("the token that was exchanged is not the stored one")
	}
	if n := r.sim.RefreshCount(r.seats[0]); n != 1 {
		t.Errorf("%d refreshes, want the one that was in flight", n)
	}
}

// TestTokenGoesOn: a refresh that is refused for good costs that account its
// place; the next account's token is printed, and with none left the exit code
// says that a login is needed.
func TestTokenGoesOn(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b", Expired: true})
	r.fault("refresh-invalid-grant", onSeat("a"))
	if got := strings.TrimSpace(r.must("token")); got != r.seats[1].Tokens().Access {
		t.Error("token did not go on to the second account")
	}
	if got := r.states(); got["a"] != "needs_login" || got["b"] != "ready" {
		t.Errorf("states %v", got)
	}
	alone := newRig(t, sim.Seat{Name: "a", Expired: true})
	alone.fault("refresh-invalid-grant")
	if _, stderr, code := alone.exit("token"); code != exitLogin || strings.Count(stderr, "codex-rota:") != 1 {
		t.Errorf("exit %d, %q; want %d and one line", code, stderr, exitLogin)
	}
}

// exit runs a command and gives what it wrote and its exit code.
func (r *rig) exit(args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), binary, args...)
	cmd.Env = r.env(os.Environ())
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	r.witness.watch(cmd)
	err := cmd.Run()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// TestLateAnswer: the answer to an attempt that was judged already gets the same
// verdict again, and costs the account in use now nothing.
func TestLateAnswer(t *testing.T) {
	for name, first := range map[string]int{"counted from 1": 1, "counted from 0": 0} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, named("a", "b", "c")...)
			h, _ := r.serve("")
			body, err := demoBody("s")
			if err != nil {
				t.Fatal(err)
			}
			var prepared plugin.Prepared
			if err := h.ask(t.Context(), "request/prepare", map[string]any{"call": 1, "url": "https://api.openai.com/v1/responses", "body": string(body)}, &prepared); err != nil {
				t.Fatal(err)
			}
			limit := map[string]any{"call": 1, "attempt": first, "status": 429, "body": `{"error":{"type":"usage_limit_reached","resets_in_seconds":3600}}`}
			var verdict, again plugin.Verdict
			if err := h.ask(t.Context(), "request/response", limit, &verdict); err != nil {
				t.Fatal(err)
			}
			if err := h.ask(t.Context(), "request/response", limit, &again); err != nil {
				t.Fatal(err)
			}
			if again.Verdict != plugin.VerdictRetry || again.Request.Account.Label != "b" {
				t.Errorf("the late answer got %s for %v", again.Verdict, again.Request)
			}
			if got := r.states(); got["b"] != "ready" {
				t.Errorf("the late answer cost b its place: %v", got)
			}
			limit["attempt"] = first + 1
			var next plugin.Verdict
			if err := h.ask(t.Context(), "request/response", limit, &next); err != nil {
				t.Fatal(err)
			}
			if next.Verdict != plugin.VerdictRetry || next.Request.Account.Label != "c" {
				t.Errorf("the second attempt's answer got %s", next.Verdict)
			}
		})
	}
}

// TestVerdictThatCannotBeWritten: with a flagged file that nobody can read, a
// revoked account is still not presented again.
func TestVerdictThatCannotBeWritten(t *testing.T) {
	r := newRig(t, named("a", "b")...)
	if err := os.WriteFile(filepath.Join(r.root(), "openai-codex-flagged-accounts.json"), []byte("xx{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.fault("token-invalidated", onSeat("a"))
	h, _ := r.serve(plugin.HostOpenCode)
	if _, _, err := r.call(h, hostCall{name: "1", session: "s"}); codeOf(err) != "login_required" {
		t.Errorf("the revoked call got %v", err)
	}
	if text, _, err := r.call(h, hostCall{name: "2", session: "s"}); text != "Hello from b" {
		t.Errorf("the next call got %q, %v", text, err)
	}
	if _, stderr, _ := r.exit("list"); !strings.Contains(stderr, "openai-codex-flagged-accounts.json") {
		t.Errorf("list does not name the file: %q", stderr)
	}
}

func TestWarningsReachThePerson(t *testing.T) {
	r := newRig(t, named("a")...)
	r.writeSettings(`{"rotaton": "spread"}`)
	if err := os.Chmod(filepath.Join(r.root(), "openai-codex-accounts.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := r.exit("list", "--json")
	if code != exitDone || !json.Valid([]byte(stdout)) {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	for _, want := range []string{`unknown setting "rotaton"`, "had mode 0644"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr %q lacks %q", stderr, want)
		}
	}
}

func TestQuotaRefreshSaysWhatFailed(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "a"}, sim.Seat{Name: "b", Expired: true})
	h, _ := r.serve("")
	var result plugin.QuotaResult
	if err := h.ask(t.Context(), "quota/refresh", nil, &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Accounts) != 2 || len(result.Accounts[0].Windows) == 0 || len(result.Failures) != 1 || result.Failures[0].Account != result.Accounts[1].ID {
		t.Errorf("got %+v", result)
	}
	if n := len(r.sim.Calls(sim.KindRefresh, sim.KindResponses)); n != 0 {
		t.Errorf("looking at the quota made %d refreshes or model calls", n)
	}
	r.fault("usage-500")
	if err := h.ask(t.Context(), "quota/refresh", nil, &result); codeOf(err) != "upstream_unreachable" {
		t.Errorf("an endpoint that fails gave %v", err)
	}
}

func TestMissingURL(t *testing.T) {
	r := newRig(t)
	h, _ := r.serve("")
	var prepared plugin.Prepared
	err := h.ask(t.Context(), "request/prepare", nil, &prepared)
	if wire, ok := err.(*wireError); !ok || wire.Code != -32602 {
		t.Errorf("got %v", err)
	}
	if err := h.ask(t.Context(), "request/prepare", map[string]any{"url": "https://example.com/"}, &prepared); err != nil || !prepared.Pass {
		t.Errorf("another URL got %+v, %v", prepared, err)
	}
}

// TestSuffixWithoutNetwork: a model name with an effort suffix is understood on a
// machine that has never reached GitHub.
func TestSuffixWithoutNetwork(t *testing.T) {
	r := newRig(t, named("a")...)
	r.fault("github-500")
	h, _ := r.serve("")
	body, err := demoBody("s")
	if err != nil {
		t.Fatal(err)
	}
	body = []byte(strings.Replace(string(body), demoModel, "openai/"+demoModel+"-high", 1))
	if _, _, err := r.call(h, hostCall{name: "1", session: "s", body: body}); err != nil {
		t.Fatal(err)
	}
	if c := r.sim.Calls(sim.KindResponses)[0]; c.Model != demoModel || !strings.Contains(c.Body, `"effort":"high"`) {
		t.Errorf("sent %s", c.Body)
	}
}

// TestImportedAndExpired: a login whose access token ran out before it was taken
// over is renewed at its first use.
func TestImportedAndExpired(t *testing.T) {
	r := newRig(t)
	seat := r.sim.AddSeat(sim.Seat{Name: "a", Expired: true})
	tokens := seat.Tokens()
	file := filepath.Join(r.dir, "node.json")
	text, err := json.Marshal(map[string]any{"version": 3, "activeIndex": 0, "accounts": []any{map[string]any{
		"accountId": seat.AccountID, "email": seat.Email, "accessToken": tokens.Access, "refreshToken": tokens.Refresh, "expiresAt": tokens.ExpiresAt.UnixMilli(), "addedAt": 1, "lastUsed": 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.witness.allow(file)
	r.must("import", file, "--yes")
	if got := strings.TrimSpace(r.must("token")); got != seat.Tokens().Access || r.sim.RefreshCount(seat) != 1 {
		t.Errorf("%d refreshes, and the token is not the newest", r.sim.RefreshCount(seat))
	}
}

// TestRemoveScrubsOldBackups: backups made before the accounts file became a
// symlink lose the seat's tokens too.
func TestRemoveScrubsOldBackups(t *testing.T) {
	r := newRig(t, named("a", "b")...)
	tokens := r.seats[0].Tokens()
	dots := t.TempDir()
	accounts := filepath.Join(r.root(), "openai-codex-accounts.json")
	if err := os.Rename(accounts, filepath.Join(dots, "accounts.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dots, "accounts.json"), accounts); err != nil {
		t.Fatal(err)
	}
	r.must("remove", "a", "--yes")
	left, err := filepath.Glob(filepath.Join(r.root(), "backups", "*"))
	if err != nil || len(left) == 0 {
		t.Fatalf("no backup was made before: %v", err)
	}
	for _, path := range left {
		if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), tokens.Refresh) || strings.Contains(string(text), tokens.Access) {
			t.Errorf("%s still holds a token of the removed seat (%v)", path, err)
		}
	}
}

// TestPinnedExitCodes: 4 says that waiting helps.
func TestPinnedExitCodes(t *testing.T) {
	r := newRig(t, named("a", "b")...)
	r.must("pin", "a")
	r.must("disable", "a")
	if _, stderr, code := r.exit("token"); code != exitFailed || !strings.Contains(stderr, "disabled") {
		t.Errorf("pinned and disabled: exit %d, %q", code, stderr)
	}
	if out := r.must("explain"); !strings.Contains(out, "the pinned account is disabled") {
		t.Errorf("explain says\n%s", out)
	}
	r.must("enable", "a")
	r.must("logout", "a", "--yes")
	if _, stderr, code := r.exit("token"); code != exitLogin {
		t.Errorf("pinned and logged out: exit %d, %q", code, stderr)
	}
}

// TestReplyIsNoUsage: a limit told inside a 200 stream ends in an error of ours;
// what came was given to nobody, so the ledger has no line for it.
func TestReplyIsNoUsage(t *testing.T) {
	r := newRig(t, named("a")...)
	r.fault("limit-in-stream")
	h, _ := r.serve("")
	if _, _, err := r.call(h, hostCall{name: "1", session: "s"}); codeOf(err) != "all_limited" {
		t.Fatalf("got %v", err)
	}
	var nothing plugin.Empty
	if err := h.ask(t.Context(), "request/done", map[string]any{"call": "1", "end": "failed"}, &nothing); err != nil {
		t.Fatal(err)
	}
	if lines, err := filepath.Glob(filepath.Join(r.root(), "usage", "*")); err != nil || len(lines) != 0 {
		t.Errorf("the ledger has %v, %v", lines, err)
	}
}
