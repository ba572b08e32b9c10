package plugin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"codex-rota/pool"
)

// usageBackend answers the usage endpoint alone, and keeps which workspaces were
// asked about.
type usageBackend struct {
	*httptest.Server
	mu    sync.Mutex
	used  int // percent of the week
	asked []string
}

func newUsageBackend(t *testing.T, used int) *usageBackend {
	b := &usageBackend{used: used}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked = append(b.asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("chatgpt-account-id"))
		fmt.Fprintf(w, `{"plan_type":"plus","rate_limit":{"primary_window":{"used_percent":1,"limit_window_seconds":18000,"reset_at":%d},"secondary_window":{"used_percent":%d,"limit_window_seconds":604800,"reset_at":%d}}}`,
			rigStart.Add(5*time.Hour).Unix(), b.used, rigStart.Add(100*time.Hour).Unix())
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *usageBackend) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

func (b *usageBackend) settings(s *Settings) { s.Backend = b.URL }

var weeklyBlock = pool.Block{Kind: pool.BlockQuota, Window: pool.WindowSecondary, Until: rigStart.Add(48 * time.Hour)}

func (b *usageBackend) use(percent int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = percent
}

// TestCallProbesBlockedAccount: a call that another account serves has a blocked
// one looked at, ten minutes after its block and then every ten minutes, until an
// early reset is noticed.
func TestCallProbesBlockedAccount(t *testing.T) {
	usage := newUsageBackend(t, 100)
	r := newServiceRig(t, 2, rigOptions{settings: usage.settings})
	r.block(0, weeklyBlock)
	for _, step := range []struct {
		pass  time.Duration
		used  int
		looks int // so far
		state string
	}{
		{9 * time.Minute, 100, 0, "limited"},
		{time.Minute, 100, 1, "limited"},
		{9 * time.Minute, 1, 1, "limited"},
		{time.Minute, 1, 2, "ready"},
		{time.Hour, 1, 2, "ready"},
	} {
		r.clock.add(step.pass)
		usage.use(step.used)
		name := r.clock.now().Format("15:04")
		if got := r.prepare(name, "s").Account.ID; got != r.ids[1] {
			t.Fatalf("at %s the call goes to %s, want the other account", name, got)
		}
		r.background.Wait()
		asked := usage.requests()
		if len(asked) != step.looks || slices.ContainsFunc(asked, func(s string) bool { return s != "GET /wham/usage workspace-0" }) {
			t.Errorf("by %s the backend was asked %q, want %d looks at the blocked one", name, asked, step.looks)
		}
		r.wantStates(step.state, "ready")
	}
}

// TestCallWaitsForItsProbe: when every account is blocked the call itself goes
// on with what the look shows; calls that come together share one look.
func TestCallWaitsForItsProbe(t *testing.T) {
	usage := newUsageBackend(t, 1)
	r := newServiceRig(t, 1, rigOptions{settings: usage.settings})
	r.block(0, weeklyBlock)
	r.clock.add(11 * time.Minute)
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			if _, err := r.try(fmt.Sprint(i), "s", body("gpt-5.5")); err != nil {
				t.Errorf("refused although the look showed an early reset: %v", err)
			}
		})
	}
	calls.Wait()
	if got := usage.requests(); len(got) != 1 {
		t.Errorf("asked %q, want one look", got)
	}
}
