//go:build !windows

package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"codex-rota/plugin/sim"
)

// The labels of the shim's ways to log in, as `opencode auth login -m` takes them.
const (
	openCodeBrowser = "ChatGPT account for codex-rota (browser)"
	openCodeDevice  = "ChatGPT account for codex-rota (code on another device)"
)

// logIn starts `opencode auth login` and gives what the pattern finds in its
// output.
func (o *openCode) logIn(label string, pattern *regexp.Regexp) (*running, string) {
	o.t.Helper()
	r := o.startWith([]string{"CODEX_ROTA_CALLBACK_PORT=" + freePort(o.t)}, "auth", "login", "-p", "openai", "-m", label)
	var found []string
	o.until("OpenCode shows the login", func() bool {
		found = pattern.FindStringSubmatch(r.out.String() + r.err.String())
		return found != nil
	})
	return r, found[1]
}

// TestOpenCodeLogin logs in from the real OpenCode: by browser and by device code.
// The account is in the pool, and OpenCode itself has only the sentinel.
func TestOpenCodeLogin(t *testing.T) {
	o := newOpenCode(t)
	ann, bob := o.sim.AddSeat(sim.Seat{Name: "ann"}), o.sim.AddSeat(sim.Seat{Name: "bob"})
	o.sim.SignInAs(ann, bob)

	run, address := o.logIn(openCodeBrowser, regexp.MustCompile(`(http://\S+/oauth/authorize\S+)`))
	if page := browse(t, address); !strings.Contains(page, "You are signed in") {
		t.Errorf("the browser ends on %s", page)
	}
	if got := run.wait(); got.code != 0 || !strings.Contains(got.out+got.err, "It comes back by itself.") {
		t.Errorf("exit code %d", got.code)
	}

	run, code := o.logIn(openCodeDevice, regexp.MustCompile(`type the code (\S+) there`))
	if err := o.sim.ApproveDevice(code, bob); err != nil {
		t.Fatal(err)
	}
	if got := run.wait(); got.code != 0 {
		t.Errorf("exit code %d", got.code)
	}

	o.seats = []*sim.Seat{ann, bob}
	for _, seat := range o.seats {
		if o.account(seat).Refresh.Reveal() != seat.Tokens().Refresh {
			t.Errorf("%s's stored token is not the login's", seat.Name)
		}
	}
	o.mustHoldSentinel()
	if got := o.ask("Say hello.", untitled...); got.code != 0 || !strings.HasPrefix(got.out, "Hello from ") {
		t.Errorf("the person sees %q", got.out)
	}
}

// mustHoldSentinel fails unless OpenCode's own login is our sentinel.
func (o *openCode) mustHoldSentinel() {
	o.t.Helper()
	text, err := os.ReadFile(filepath.Join(o.dir, ".local", "share", "opencode", "auth.json"))
	if err != nil || strings.Count(string(text), `"codex-rota"`) != 2 {
		o.t.Errorf("OpenCode's auth.json holds %s, %v", text, err)
	}
}

// TestOpenCodeLoginDenied: OpenCode says that it failed, nothing is added, and why
// is in its log.
func TestOpenCodeLoginDenied(t *testing.T) {
	o := newOpenCode(t)
	o.sim.AddSeat(sim.Seat{Name: "ann"})
	o.fault("authorize-denied")
	run, address := o.logIn(openCodeBrowser, regexp.MustCompile(`(http://\S+/oauth/authorize\S+)`))
	browse(t, address)
	if got := run.wait(); !strings.Contains(got.out+got.err, "Failed to authorize") {
		t.Errorf("the person sees %q %q", got.out, got.err)
	}
	if n := len(o.accounts()); n != 0 {
		t.Errorf("%d accounts", n)
	}
	o.mustHoldSentinel()
}

// TestOpenCodeLoginOverHTTP does what OpenCode's TUI and other clients do: they
// start a login at its server, and give it the code.
func TestOpenCodeLoginOverHTTP(t *testing.T) {
	o := newOpenCode(t)
	ann := o.sim.AddSeat(sim.Seat{Name: "ann"})
	server := o.startWith([]string{"CODEX_ROTA_CALLBACK_PORT=" + freePort(t)}, "serve", "--port", "0", "--hostname", "127.0.0.1")
	address := regexp.MustCompile(`listening on (http://\S+)\n`)
	o.until("the server listens", func() bool { return address.MatchString(server.out.String()) })
	base := address.FindStringSubmatch(server.out.String())[1]
	where := "?directory=" + url.QueryEscape(o.project)
	const paste = 2
	started := o.request(http.MethodPost, base+"/provider/openai/oauth/authorize"+where, fmt.Sprintf(`{"method":%d,"inputs":{}}`, paste))
	if started.Method != "code" || !strings.Contains(started.Instructions, "copy that page's whole address") {
		t.Errorf("started %+v", started)
	}
	var done bool
	o.exchange(http.MethodPost, base+"/provider/openai/oauth/callback"+where, fmt.Sprintf(`{"method":%d,"code":%q}`, paste, signIn(t, started.URL)), &done)
	if !done {
		t.Error("OpenCode did not take the login")
	}
	if o.account(ann).Refresh.Reveal() != ann.Tokens().Refresh {
		t.Error("the stored token is not the login's")
	}
	o.mustHoldSentinel()
	server.signal(t, false, syscall.SIGTERM)
	server.wait()
}
