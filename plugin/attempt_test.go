package plugin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
	"codex-rota/pool"
)

// block keeps an account out of service, as a refused call does.
func (r *serviceRig) block(account int, b pool.Block) {
	r.t.Helper()
	if err := r.book.Learn(r.t.Context(), pool.Event{Account: r.ids[account], At: r.now(), Block: &b}); err != nil {
		r.t.Fatal(err)
	}
}

// TestPrepareWaitsForThePool: for as long as the soonest account needs, not
// longer than maxWaitSeconds, and the person is told the time.
func TestPrepareWaitsForThePool(t *testing.T) {
	for _, test := range []struct {
		name   string
		limit  time.Duration
		cancel time.Duration // 0: the host waits
		waited time.Duration
		code   Code
		toasts int
	}{
		{"within maxWaitSeconds", 40 * time.Second, 0, 40 * time.Second, "", 1},
		{"longer: told at once", 61 * time.Second, 0, 0, CodeAllLimited, 0},
		{"the host gives up", 40 * time.Second, 15 * time.Second, 15 * time.Second, CodeCancelled, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newServiceRig(t, 1, rigOptions{now: time.Now})
				start := time.Now()
				r.block(0, pool.Block{Kind: pool.BlockRateLimit, Until: start.Add(test.limit)})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, cancel)
				}
				_, err := r.Prepare(ctx, PrepareParams{Call: callID("1"), URL: modelURL}, body("gpt-5.5"))
				if codeOf(err) != test.code || time.Since(start) != test.waited {
					t.Errorf("after %v: %v, want %q after %v", time.Since(start), err, test.code, test.waited)
				}
				told := r.heard()
				if len(told) != test.toasts {
					t.Errorf("told %q, want %d toasts", told, test.toasts)
				}
				if at := start.Add(test.limit).Format("15:04:05"); test.toasts > 0 && !strings.Contains(strings.Join(told, ""), at) {
					t.Errorf("told %q, want the time %s", told, at)
				}
			})
		})
	}
}

// TestRefusedRefreshGoesOn: nothing was presented yet, so the next account is
// taken, whatever the refusal says. Each token is presented once.
func TestRefusedRefreshGoesOn(t *testing.T) {
	for _, code := range []string{"invalid_grant", "refresh_token_reused"} {
		t.Run(code, func(t *testing.T) {
			var mu sync.Mutex
			var sent []string
			r := newServiceRig(t, 2, rigOptions{refresh: func(_ context.Context, token logging.Secret) (auth.Tokens, error) {
				mu.Lock()
				defer mu.Unlock()
				if sent = append(sent, token.Reveal()); token.Reveal() == "refresh-1-0" {
					return seatTokens(1, "1", rigStart.Add(3*rigLife)), nil
				}
				return auth.Tokens{}, &auth.RefreshError{Status: http.StatusBadRequest, Code: code}
			}})
			r.clock.add(rigLife)
			if got := r.prepare("1", "s").Account.ID; got != r.ids[1] {
				t.Errorf("the call goes to %s, want %s", got, r.ids[1])
			}
			r.wantStates("needs_login", "ready")
			if want := []string{"refresh-0-0", "refresh-1-0"}; !slices.Equal(sent, want) {
				t.Errorf("presented %q, want %q", sent, want)
			}
		})
	}
}

// TestFallbackChainEnds: a chain whose models are all blocked ends in an error,
// even one that names a model twice.
func TestFallbackChainEnds(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{settings: func(s *Settings) {
		s.ModelFallback = map[string][]string{"gpt-5.5": {"m2", "m3", "m2"}}
	}})
	for _, model := range []string{"gpt-5.5", "m2", "m3"} {
		r.block(0, pool.Block{Kind: pool.BlockEntitlement, Model: model, Until: rigStart.Add(time.Hour)})
	}
	ended := make(chan error, 1)
	go func() {
		_, err := r.try("1", "s", body("gpt-5.5"))
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a model that is not served was sent")
		}
	case <-time.After(20 * time.Second): // far beyond what a chain of four takes
		t.Fatal("prepare walks the chain for ever")
	}
}

// TestModelServedByNobody says so, and what to type.
func TestModelServedByNobody(t *testing.T) {
	r := newServiceRig(t, 2, rigOptions{settings: func(s *Settings) {
		s.AccountsForModel = map[string][]string{"gpt-5.5": {}}
	}})
	_, err := r.try("1", "s", body("gpt-5.5"))
	if codeOf(err) != CodeNoAccounts || !strings.Contains(err.Error(), "may use this model. Type: codex-rota explain") {
		t.Errorf("got %v", err)
	}
}
