package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// TestFaultsOverTheWire has the simulation go wrong in each way, and looks at the
// attempts that the plugin asked for, the answer, and the accounts afterwards.
func TestFaultsOverTheWire(t *testing.T) {
	for _, test := range []struct {
		name     string
		fault    string
		times    int
		host     string
		attempts []string
		answer   string // of which seat, "" for none
		code     string
		waits    []time.Duration
		states   map[string]string
		refresh  int // requests for the first seat's token
	}{
		{name: "weekly limit", fault: "weekly-limit", attempts: []string{"a 429 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "limited", "b": "ready"}},
		{name: "limit told as 404", fault: "limit-404", attempts: []string{"a 404 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "limited", "b": "ready"}},
		{name: "limit in the stream before output", fault: "limit-in-stream", attempts: []string{"a 200 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "limited", "b": "ready"}},
		{name: "limit after output is not replayed", fault: "limit-after-output", attempts: []string{"a 200 deliver"}, answer: "", states: map[string]string{"a": "limited", "b": "ready"}},
		{name: "cut after output is not replayed", fault: "stream-cut", attempts: []string{"a 200 deliver"}, states: map[string]string{"a": "ready", "b": "ready"}},
		{name: "401 renews once", fault: "unauthorized", times: 1, attempts: []string{"a 401 retry", "a 200 deliver"}, answer: "a", waits: []time.Duration{0}, states: map[string]string{"a": "ready", "b": "ready"}, refresh: 1},
		{name: "401 for ever", fault: "unauthorized", attempts: []string{"a 401 retry", "a 401 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0, 0}, states: map[string]string{"a": "needs_login", "b": "ready"}, refresh: 1},
		{name: "tokens invalidated: the call stops", fault: "token-invalidated", attempts: []string{"a 401 reply"}, code: "login_required", states: map[string]string{"a": "needs_login", "b": "ready"}},
		{name: "workspace deactivated", fault: "workspace-deactivated", attempts: []string{"a 402 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "suspended", "b": "ready"}},
		{name: "workspace disabled", fault: "workspace-disabled", attempts: []string{"a 403 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "suspended", "b": "ready"}},
		{name: "short rate limit: same account", fault: "rate-limit-short", times: 1, attempts: []string{"a 429 retry", "a 200 deliver"}, answer: "a", waits: []time.Duration{3 * time.Second}, states: map[string]string{"a": "ready", "b": "ready"}},
		{name: "long rate limit: next account", fault: "rate-limit-long", attempts: []string{"a 429 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "cooling", "b": "ready"}},
		{name: "overload is delivered to OpenCode", fault: "overload-503", host: plugin.HostOpenCode, attempts: []string{"a 503 deliver"}, states: map[string]string{"a": "ready", "b": "ready"}},
		{name: "overload for another host", fault: "overload-429", attempts: []string{"a 429 retry", "a 429 retry", "a 429 deliver"}, states: map[string]string{"a": "ready", "b": "ready"}},
		{name: "model not supported", fault: "model-not-supported", attempts: []string{"a 400 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "ready", "b": "ready"}},
		{name: "not in the plan", fault: "not-in-plan", attempts: []string{"a 429 retry", "b 200 deliver"}, answer: "b", waits: []time.Duration{0}, states: map[string]string{"a": "cooling", "b": "ready"}},
		{name: "context length is the host's to see", fault: "context-length", attempts: []string{"a 400 deliver"}, states: map[string]string{"a": "ready", "b": "ready"}},
		{name: "a 502 page for OpenCode", fault: "html-502", host: plugin.HostOpenCode, attempts: []string{"a 502 deliver"}, states: map[string]string{"a": "ready", "b": "ready"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, named("a", "b")...)
			r.fault(test.fault, onSeat("a"), times(test.times))
			h, waits := r.serve(test.host)
			text, attempts, err := r.call(h, hostCall{name: "1", session: "s"})
			if !slices.Equal(attempts, test.attempts) {
				t.Errorf("attempts %q, want %q (%v)", attempts, test.attempts, err)
			}
			if test.answer != "" && text != "Hello from "+test.answer {
				t.Errorf("the person reads %q (%v), want it from %s", text, err, test.answer)
			}
			if code := codeOf(err); code != test.code {
				t.Errorf("error code %q, want %q", code, test.code)
			}
			if test.waits != nil && !slices.Equal(*waits, test.waits) {
				t.Errorf("waits %v, want %v", *waits, test.waits)
			}
			if got := r.states(); !equalMaps(got, test.states) {
				t.Errorf("states %v, want %v", got, test.states)
			}
			if n := r.sim.RefreshCount(r.seats[0]); n != test.refresh {
				t.Errorf("%d refresh requests, want %d", n, test.refresh)
			}
			r.mustBeObedient()
		})
	}
}

func equalMaps(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// TestAllLimited learns every limit once, and then tells the time without asking
// the backend again.
func TestAllLimited(t *testing.T) {
	r := newRig(t, named("a", "b")...)
	r.fault("weekly-limit")
	h, _ := r.serve(plugin.HostOpenCode)
	_, attempts, err := r.call(h, hostCall{name: "1", session: "s"})
	if want := []string{"a 429 retry", "b 429 reply"}; !slices.Equal(attempts, want) || codeOf(err) != "all_limited" {
		t.Fatalf("attempts %q, error %v", attempts, err)
	}
	_, _, err = r.call(h, hostCall{name: "2", session: "s"})
	if codeOf(err) != "all_limited" {
		t.Errorf("second call: %v", err)
	}
	if calls := r.sim.Calls(sim.KindResponses); len(calls) != 2 {
		t.Errorf("the backend got %d calls, want 2", len(calls))
	}
	// Another process knows it too: the block was on disk before the verdict.
	other, _ := r.serve(plugin.HostOpenCode)
	if _, _, err = r.call(other, hostCall{name: "3", session: "t"}); codeOf(err) != "all_limited" {
		t.Errorf("another process: %v", err)
	}
	r.mustBeObedient()
}

// TestSessionStaysOnGuest: after a fail-over the session keeps the account it
// went to, in another process too, while new sessions go elsewhere.
func TestSessionStaysOnGuest(t *testing.T) {
	r := newRig(t, named("a", "b", "c")...)
	r.fault("weekly-limit", onSeat("a"))
	want := func(h *miniHost, call, session, seat string) {
		t.Helper()
		if text, _, err := r.call(h, hostCall{name: call, session: session}); text != "Hello from "+seat {
			t.Errorf("call %s of session %s: %q, %v, want it from %s", call, session, text, err, seat)
		}
	}
	h, _ := r.serve("")
	want(h, "1", "s", "b")
	r.must("switch", "c")
	want(h, "2", "s", "b")
	want(h, "3", "new", "c")
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	h, _ = r.serve("")
	want(h, "4", "s", "b")
	want(h, "5", "newer", "c")
}

// TestHerd: several processes meet expired tokens at once; each account that is
// used is refreshed exactly once, and no other is.
func TestHerd(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b", Expired: true}, sim.Seat{Name: "c", Expired: true})
	const processes = 4
	done := make(chan error, processes)
	for i := range processes {
		h, _ := r.serve("", "CODEX_ROTA_ROTATION=round-robin")
		go func() {
			for j := range 2 {
				session := fmt.Sprint(i, " ", j)
				if _, _, err := h.generate(t.Context(), hostCall{name: session, session: session}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range processes {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	used := map[string]bool{}
	for _, call := range r.sim.Calls(sim.KindResponses) {
		used[call.Seat] = true
	}
	if len(used) < 2 {
		t.Errorf("only %v was used: this is no herd", used)
	}
	for _, seat := range r.seats {
		want := 0
		if used[seat.Name] {
			want = 1
		}
		if n := r.sim.RefreshCount(seat); n != want {
			t.Errorf("%s was refreshed %d times, want %d", seat.Name, n, want)
		}
	}
	r.mustBeObedient()
}

func TestEmptyPool(t *testing.T) {
	r := newRig(t)
	h, _ := r.serve(plugin.HostOpenCode)
	_, _, err := r.call(h, hostCall{name: "1"})
	if codeOf(err) != "no_accounts" || !strings.Contains(err.Error(), "codex-rota add") {
		t.Errorf("got %v", err)
	}
}
