package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codex-rota/logging"
	"codex-rota/plugin/sim"
)

// A callback counts even when nobody waits for it, and its outcome can be asked
// for as often as one likes.
func TestLoginWithoutWaiter(t *testing.T) {
	r := newLoginRig(t, "ann")
	ctx, cancel := context.WithCancel(t.Context())
	started, err := r.LoginStart(ctx, LoginStartParams{Method: LoginBrowser, Label: "work"})
	if err != nil {
		t.Fatal(err)
	}
	cancel() // the request is over; the login is not
	if started.Method != LoginBrowser || started.Notice != "" || time.Until(started.ExpiresAt) > 5*time.Minute {
		t.Errorf("started %+v", started)
	}
	if page := browse(t, started.URL); !strings.Contains(page, "You are signed in") {
		t.Errorf("the browser ends on %s", page)
	}
	for range 2 {
		if got := r.wait(started); got.Account.Label != "work" || got.Account.Source != LoginBrowser || got.Added != "new" || got.Account.Position != 1 {
			t.Errorf("got %+v", got)
		}
	}
	if got := r.labels(); got != "work" {
		t.Errorf("the pool has %q", got)
	}
}

func TestLoginByPaste(t *testing.T) {
	r := newLoginRig(t, "ann")
	started := r.start(LoginStartParams{Method: LoginPaste})
	address := signIn(t, started.URL)
	for _, text := range []string{"", "what?", strings.Replace(address, "state=", "state=another", 1)} {
		if _, err := r.LoginPaste(t.Context(), LoginPasteParams{started.Login, text}); failed(err) != "params" {
			t.Errorf("%q: %v", text, err)
		}
	}
	got, err := r.LoginPaste(t.Context(), LoginPasteParams{started.Login, address})
	if err != nil || got.Account.Source != LoginPaste {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := r.LoginPaste(t.Context(), LoginPasteParams{started.Login, address}); failed(err) != "params" {
		t.Errorf("the same again: %v", err)
	}
	if n := len(r.sim.Calls(sim.KindExchange)); n != 1 {
		t.Errorf("%d exchanges", n)
	}
}

func TestLoginByDevice(t *testing.T) {
	r := newLoginRig(t, "ann", "bob")
	started := r.start(LoginStartParams{Method: LoginDevice})
	if !strings.Contains(started.Instructions, started.UserCode) || started.UserCode == "" {
		t.Errorf("the person reads %q, the code is %q", started.Instructions, started.UserCode)
	}
	if err := r.sim.ApproveDevice(started.UserCode, r.sim.Seats()[1]); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(started); got.Account.Email != logging.MaskEmail(r.sim.Seats()[1].Email) || got.Account.Source != LoginDevice {
		t.Errorf("got %+v", got)
	}
}

// TestFresh: somebody who has an account wants another one, so the browser asks
// who signs in.
func TestFresh(t *testing.T) {
	r := newLoginRig(t, "ann")
	yes, no := true, false
	prompt := func(fresh *bool) string {
		started := r.start(LoginStartParams{Method: LoginPaste, Fresh: fresh})
		u, err := url.Parse(started.URL)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("prompt")
	}
	if a, b := prompt(nil), prompt(&yes); a != "" || b != "login" {
		t.Errorf("empty pool: prompt %q by default, %q when asked for", a, b)
	}
	started := r.start(LoginStartParams{Method: LoginBrowser})
	browse(t, started.URL)
	r.wait(started)
	if a, b := prompt(nil), prompt(&no); a != "login" || b != "" {
		t.Errorf("one account: prompt %q by default, %q when not wanted", a, b)
	}
}

func TestLoginParams(t *testing.T) {
	r := newLoginRig(t)
	for name, try := range map[string]func() error{
		"no method":      func() error { _, err := r.LoginStart(t.Context(), LoginStartParams{}); return err },
		"unknown method": func() error { _, err := r.LoginStart(t.Context(), LoginStartParams{Method: "telepathy"}); return err },
		"bad label": func() error {
			_, err := r.LoginStart(t.Context(), LoginStartParams{Method: LoginPaste, Label: "a\nb"})
			return err
		},
		"wait for nothing": func() error { _, err := r.LoginWait(t.Context(), LoginParams{}); return err },
		"paste to nothing": func() error { _, err := r.LoginPaste(t.Context(), LoginPasteParams{"login_1", "ac_1"}); return err },
		"cancel nothing":   func() error { _, err := r.LoginCancel(t.Context(), LoginParams{"login_1"}); return err },
	} {
		if err := try(); failed(err) != "params" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A login that could not be kept is not begun.
func TestLoginNeedsReadablePool(t *testing.T) {
	r := newLoginRig(t, "ann")
	if err := os.WriteFile(filepath.Join(r.dir, "openai-codex-accounts.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.LoginStart(t.Context(), LoginStartParams{Method: LoginDevice}); failed(err) != string(CodeStoreUnreadable) {
		t.Errorf("got %v", err)
	}
	if calls := r.sim.Calls(); len(calls) != 0 {
		t.Errorf("the issuer was asked: %+v", calls)
	}
}

func TestLoginFails(t *testing.T) {
	for _, tc := range []struct{ name, method, fault, code string }{
		{"denied", LoginBrowser, "authorize-denied", "login_required"},
		{"no tokens", LoginBrowser, "exchange-500", "upstream_unreachable"},
		{"device login not enabled", LoginDevice, "device-disabled", "login_required"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newLoginRig(t, "ann")
			if err := r.sim.AddFault(sim.Fault{Name: tc.fault}); err != nil {
				t.Fatal(err)
			}
			started, err := r.LoginStart(t.Context(), LoginStartParams{Method: tc.method})
			if err == nil {
				browse(t, started.URL)
				_, err = r.LoginWait(t.Context(), LoginParams{started.Login})
			}
			if failed(err) != tc.code {
				t.Errorf("got %v", err)
			}
			if got := r.labels(); got != "" {
				t.Errorf("the pool has %q", got)
			}
		})
	}
}

// There is one callback port: the newest login has it.
func TestSecondBrowserLogin(t *testing.T) {
	r := newLoginRig(t, "ann")
	first := r.start(LoginStartParams{Method: LoginBrowser})
	second := r.start(LoginStartParams{Method: LoginBrowser})
	if _, err := r.LoginWait(t.Context(), LoginParams{first.Login}); failed(err) != string(CodeCancelled) {
		t.Errorf("the first: %v", err)
	}
	if second.Method != LoginBrowser {
		t.Fatalf("the second goes on by %s: %s", second.Method, second.Notice)
	}
	browse(t, second.URL)
	r.wait(second)
	for range 20 { // the port of a login that is just over is free again
		next := r.start(LoginStartParams{Method: LoginBrowser})
		if next.Method != LoginBrowser {
			t.Fatalf("the next goes on by %s: %s", next.Method, next.Notice)
		}
		browse(t, next.URL)
		r.wait(next)
	}
}

// The code of the earlier login is on its way: it is not lost to the later one.
func TestSecondBrowserLoginWaitsForExchange(t *testing.T) {
	r := newLoginRig(t, "ann")
	if err := r.sim.AddFault(sim.Fault{Name: "exchange-hang", Times: 1}); err != nil {
		t.Fatal(err)
	}
	first := r.start(LoginStartParams{Method: LoginBrowser, Label: "first"})
	go browse(t, first.URL)
	r.held(sim.KindExchange)
	begun := make(chan *LoginStarted)
	go func() {
		second, err := r.LoginStart(t.Context(), LoginStartParams{Method: LoginBrowser})
		if err != nil {
			t.Error(err)
		}
		begun <- second
	}()
	r.sim.Release()
	if second := <-begun; second.Method != LoginBrowser {
		t.Errorf("the second goes on by %s: %s", second.Method, second.Notice)
	}
	if got := r.wait(first); got.Account.Label != "first" {
		t.Errorf("got %+v", got)
	}
}

// held waits until a call of this kind is held.
func (r *loginRig) held(kind sim.Kind) {
	r.t.Helper()
	_, err := r.sim.Wait(r.t.Context(), func(calls []sim.Call) bool {
		for _, c := range calls {
			if c.Kind == kind && c.Held {
				return true
			}
		}
		return false
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestPortTaken(t *testing.T) {
	r := newLoginRig(t, "ann")
	other := r.open()
	defer r.close(other)
	r.settings.CallbackPort = other.settings.CallbackPort
	if _, err := other.LoginStart(t.Context(), LoginStartParams{Method: LoginBrowser}); err != nil {
		t.Fatal(err)
	}
	started := r.start(LoginStartParams{Method: LoginBrowser})
	taken := fmt.Sprintf("port %d is taken by ", r.settings.CallbackPort)
	if started.Method != LoginPaste || !strings.HasPrefix(started.Notice, taken) || !strings.Contains(started.Instructions, taken) {
		t.Errorf("started %+v", started)
	}
	if _, err := r.LoginPaste(t.Context(), LoginPasteParams{started.Login, signIn(t, started.URL)}); err != nil {
		t.Error(err)
	}
}

// Half of the port is another program's: the browser may end there.
func TestHalfPort(t *testing.T) {
	r := newLoginRig(t)
	other, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", r.settings.CallbackPort))
	if err != nil {
		t.Skipf("SKIPPED: there is no IPv6 here, so nothing was tested: %v", err)
	}
	defer other.Close()
	started := r.start(LoginStartParams{Method: LoginBrowser})
	if started.Method != LoginBrowser || !strings.Contains(started.Notice, "is taken by") || !strings.Contains(started.Instructions, "pastes the address") {
		t.Errorf("started %+v", started)
	}
}

func TestLoginCancel(t *testing.T) {
	r := newLoginRig(t, "ann")
	for _, method := range []string{LoginBrowser, LoginPaste, LoginDevice} {
		started := r.start(LoginStartParams{Method: method})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.LoginWait(ctx, LoginParams{started.Login}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: a waiting that ended: %v", method, err)
		}
		for range 2 {
			if _, err := r.LoginCancel(t.Context(), LoginParams{started.Login}); err != nil {
				t.Errorf("%s: %v", method, err)
			}
		}
		if _, err := r.LoginWait(t.Context(), LoginParams{started.Login}); failed(err) != string(CodeCancelled) {
			t.Errorf("%s: %v", method, err)
		}
		if _, err := r.LoginPaste(t.Context(), LoginPasteParams{started.Login, "ac_1"}); failed(err) == "" {
			t.Errorf("%s: a paste afterwards was taken", method)
		}
	}
}

// Who asks for a login and is gone before it has begun gets none.
func TestLoginStartIsCancelled(t *testing.T) {
	r := newLoginRig(t, "ann")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, method := range []string{LoginBrowser, LoginPaste, LoginDevice} {
		if _, err := r.LoginStart(ctx, LoginStartParams{Method: method}); failed(err) != string(CodeCancelled) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if started := r.start(LoginStartParams{Method: LoginBrowser}); started.Method != LoginBrowser {
		t.Errorf("the port is not free: %s", started.Notice)
	}
}

// TestCloseFinishesLogin: a code that is on its way becomes an account, whoever
// ends the process; a login that only waits is cancelled.
func TestCloseFinishesLogin(t *testing.T) {
	r := newLoginRig(t, "ann")
	if err := r.sim.AddFault(sim.Fault{Name: "exchange-hang"}); err != nil {
		t.Fatal(err)
	}
	s := r.open()
	if _, err := s.LoginStart(t.Context(), LoginStartParams{Method: LoginDevice}); err != nil {
		t.Fatal(err)
	}
	waiting, err := s.LoginStart(t.Context(), LoginStartParams{Method: LoginPaste})
	if err != nil {
		t.Fatal(err)
	}
	started, err := s.LoginStart(t.Context(), LoginStartParams{Method: LoginBrowser, Label: "late"})
	if err != nil {
		t.Fatal(err)
	}
	go browse(t, started.URL)
	r.held(sim.KindExchange)
	closed := make(chan error)
	go func() { closed <- s.Close(context.Background()) }()
	if _, err := s.LoginWait(t.Context(), LoginParams{waiting.Login}); failed(err) != string(CodeCancelled) {
		t.Errorf("the one that waits: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("closed with %v before the exchange was over", err)
	default:
	}
	r.sim.Release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got := r.labels(); got != "late" {
		t.Errorf("the pool has %q", got)
	}
}
