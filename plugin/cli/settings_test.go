package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// TestEverySettingChangesSomething: a setting exists only when a test shows what
// it changes (DESIGN 8). One that is new fails until it has its own here.
func TestEverySettingChangesSomething(t *testing.T) {
	missing := map[string]bool{}
	for _, info := range plugin.SettingsInfo() {
		missing[info.Key] = true
	}
	setting := func(keys string, show func(*testing.T)) {
		for key := range strings.FieldsSeq(keys) {
			if !missing[key] {
				t.Errorf("there is no setting %q, or it was shown before", key)
			}
			delete(missing, key)
		}
		t.Run(keys, show)
	}
	setting("rotation", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, named("a", "b")...)
		h, _ := r.serve("", "CODEX_ROTA_ROTATION=round-robin")
		var got []string
		for _, session := range []string{"1", "2", "3", "4"} {
			text, _, err := r.call(h, hostCall{name: session, session: session})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimPrefix(text, "Hello from "))
		}
		if want := []string{"a", "b", "a", "b"}; !slices.Equal(got, want) {
			t.Errorf("sessions went to %v, want %v", got, want)
		}
	})
	setting("maskEmail", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, sim.Seat{Name: "a", Email: "person@example.com"})
		r.writeSettings(`{"maskEmail": true}`)
		h, _ := r.serve("")
		var updated plugin.AccountResult
		if err := h.ask(t.Context(), "accounts/update", map[string]any{"account": 1, "label": ""}, &updated); err != nil {
			t.Fatal(err)
		}
		if out := r.must("list"); !strings.Contains(out, "pe***@example.com") {
			t.Errorf("not masked:\n%s", out)
		}
		r.writeSettings(`{}`)
		if out := r.must("list"); !strings.Contains(out, "person@example.com") {
			t.Errorf("masked although it is off:\n%s", out)
		}
		if out := r.must("list", "--json"); strings.Contains(out, "person@example.com") {
			t.Errorf("JSON is to be masked always:\n%s", out)
		}
	})
	setting("transform", func(t *testing.T) {
		t.Parallel()
		for mode, want := range map[string]string{"native": `"model":"gpt-5.5"`, "codex": "You are a demonstration.", "off": `"model":"openai/gpt-5.5"`} {
			r := newRig(t, named("a")...)
			h, _ := r.serve("", "CODEX_ROTA_TRANSFORM="+mode)
			body, err := demoBody("s")
			if err != nil {
				t.Fatal(err)
			}
			body = []byte(strings.Replace(string(body), demoModel, "openai/"+demoModel, 1))
			_, _, err = r.call(h, hostCall{name: mode, session: mode, body: body})
			calls := r.sim.Calls(sim.KindResponses)
			sent := calls[len(calls)-1].Body
			if !strings.Contains(sent, want) {
				t.Errorf("%s: sent %s (%v)", mode, sent, err)
			}
			if lite := strings.Contains(sent, `"role":"developer"`); lite != (mode == "codex") {
				t.Errorf("%s: the host's instructions as a developer message: %v", mode, lite)
			}
		}
	})
	setting("modelFallback", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, named("a")...)
		r.fault("model-not-supported", func(f *sim.Fault) { f.Model = demoModel })
		h, _ := r.serve("", `CODEX_ROTA_MODEL_FALLBACK={"gpt-5.5": ["gpt-5.6-luna"]}`)
		text, attempts, err := r.call(h, hostCall{name: "1", session: "s"})
		calls := r.sim.Calls(sim.KindResponses)
		if text != "Hello from a" || calls[len(calls)-1].Model != "gpt-5.6-luna" {
			t.Errorf("got %q %v %v, last model %s", text, attempts, err, calls[len(calls)-1].Model)
		}
	})
	setting("maxWaitSeconds", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, named("a")...)
		r.fault("rate-limit-long", times(1), func(f *sim.Fault) { f.Seconds = 30 })
		h, waits := r.serve("", "CODEX_ROTA_MAX_WAIT_SECONDS=40")
		if text, _, err := r.call(h, hostCall{name: "1", session: "s"}); text != "Hello from a" || len(*waits) != 1 || (*waits)[0] != 30*time.Second {
			t.Errorf("got %q %v, waits %v", text, err, *waits)
		}
		r = newRig(t, named("a")...)
		r.fault("rate-limit-long", times(1), func(f *sim.Fault) { f.Seconds = 30 })
		h, _ = r.serve("", "CODEX_ROTA_MAX_WAIT_SECONDS=0")
		if _, _, err := r.call(h, hostCall{name: "2", session: "s"}); codeOf(err) != "all_limited" {
			t.Errorf("with 0 seconds: %v", err)
		}
	})
	setting("refreshBeforeMinutes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, sim.Seat{Name: "a", ExpiresIn: 20 * time.Minute})
		r.must("token")
		if n := r.sim.RefreshCount(r.seats[0]); n != 0 {
			t.Errorf("20 minutes left, and %d refreshes by default", n)
		}
		r.writeSettings(`{"refreshBeforeMinutes": 30}`)
		r.must("token")
		if n := r.sim.RefreshCount(r.seats[0]); n != 1 {
			t.Errorf("20 of 30 minutes left, and %d refreshes", n)
		}
	})
	setting("requestLogging logBodies", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, named("a")...)
		for _, step := range []struct {
			env    []string
			logged bool
			bodies bool
		}{{nil, false, false}, {[]string{"CODEX_ROTA_REQUEST_LOGGING=1"}, true, false}, {[]string{"CODEX_ROTA_REQUEST_LOGGING=1", "CODEX_ROTA_LOG_BODIES=1"}, true, true}} {
			h, _ := r.serve("", step.env...)
			if _, _, err := r.call(h, hostCall{name: "1", session: "s"}); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(r.root(), "logs", "codex-plugin", "requests.jsonl"))
			if (err == nil) != step.logged {
				t.Errorf("%v: log there: %v", step.env, err == nil)
			}
			if strings.Contains(string(text), demoPrompt) != step.bodies {
				t.Errorf("%v: the prompt in the log: %v", step.env, !step.bodies)
			}
			tokens := r.seats[0].Tokens()
			for _, secret := range []string{tokens.Access, tokens.Refresh} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%v: a token is in the log", step.env)
				}
			}
		}
	})
	setting("notifications", func(t *testing.T) {
		t.Parallel()
		const info, failure = "Going on with b", "all 2 ChatGPT accounts have reached their limit"
		for setting, want := range map[string][]string{"all": {info, failure}, "errors": {failure}, "none": nil} {
			r := newRig(t, named("a", "b")...)
			r.fault("weekly-limit")
			h, _ := r.serve("", "CODEX_ROTA_NOTIFICATIONS="+setting)
			if _, _, err := r.call(h, hostCall{name: "1", session: "s"}); codeOf(err) != "all_limited" {
				t.Fatal(err)
			}
			// A toast waits for no answer, and no answer for a toast.
			for end := time.Now().Add(hung); time.Now().Before(end); {
				var list plugin.AccountsResult
				if err := h.ask(t.Context(), "accounts/list", nil, &list); err != nil {
					t.Fatal(err)
				}
				if len(h.toasts) >= len(want) {
					break
				}
			}
			if !slices.EqualFunc(h.toasts, want, strings.HasPrefix) {
				t.Errorf("%s: toasts %q, want %q", setting, h.toasts, want)
			}
		}
	})
	setting("accountsForModel", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, named("a", "b")...)
		r.writeSettings(`{"accountsForModel": {"gpt-5.5": ["b"]}}`)
		h, _ := r.serve("")
		if text, _, err := r.call(h, hostCall{name: "1", session: "s"}); text != "Hello from b" {
			t.Errorf("got %q %v", text, err)
		}
	})
	setting("callbackPort", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		seat, port := r.sim.AddSeat(sim.Seat{Name: "a"}), freePort(t)
		h, _ := r.serve("", "CODEX_ROTA_CALLBACK_PORT="+port)
		started := startLogin(t, h, plugin.LoginStartParams{Method: plugin.LoginBrowser})
		if !strings.Contains(started.URL, "localhost%3A"+port+"%2F") {
			t.Errorf("the browser is sent back to %s", started.URL)
		}
		browse(t, started.URL)
		var result plugin.LoginResult
		if err := h.ask(t.Context(), "login/wait", plugin.LoginParams{Login: started.Login}, &result); err != nil {
			t.Errorf("nothing came back to port %s for %s: %v", port, seat.Name, err)
		}
	})
	setting("clientId", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, sim.Seat{Name: "a", Expired: true})
		r.writeSettings(`{"clientId": "app_other"}`)
		if _, err := r.command(t.Context(), "token"); err == nil {
			t.Error("the issuer took a client that it does not know")
		}
		refreshes := r.sim.Calls(sim.KindRefresh)
		if len(refreshes) != 1 || !strings.Contains(refreshes[0].Body, "client_id=app_other") {
			t.Errorf("refreshes %+v", refreshes)
		}
	})
	for key, ask := range map[string]hostRequest{
		"issuer":    {"request/prepare", plugin.PrepareParams{URL: "https://api.openai.com/v1/responses"}},
		"backend":   {"quota/refresh", plugin.QuotaRefreshParams{}},
		"githubApi": {"instructions/get", plugin.InstructionsParams{Model: demoModel}},
		"githubRaw": {"instructions/get", plugin.InstructionsParams{Model: demoModel}},
	} {
		setting(key, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			defer elsewhere.Close()
			r := newRig(t, sim.Seat{Name: "fresh"}, sim.Seat{Name: "stale", Expired: true})
			r.must("switch", "stale")
			h, _ := r.serve("", plugin.EnvironmentName(key)+"="+elsewhere.URL)
			var result json.RawMessage
			_ = h.ask(t.Context(), ask.method, ask.params, &result) // whom it asks counts, and not what comes of it
			if asked.Load() == 0 {
				t.Errorf("%s asks somebody else", ask.method)
			}
		})
	}
	for key := range missing {
		t.Errorf("no test shows what setting %q changes", key)
	}
}

// hostRequest is one request of a host's.
type hostRequest struct {
	method string
	params any
}

func (r *rig) writeSettings(text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.root(), "settings.json"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// must runs a command that has to succeed.
func (r *rig) must(args ...string) string {
	r.t.Helper()
	out, err := r.command(r.t.Context(), args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}
