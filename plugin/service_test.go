package plugin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/auth"
	"codex-rota/instructions"
	"codex-rota/logging"
	"codex-rota/pool"
)

// setClock is a settable time.
type setClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *setClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *setClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rigStart is where a rig's clock begins, and rigLife how long its tokens last.
var rigStart = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

const rigLife = 10 * time.Hour

// serviceRig is a Service over accounts n0, n1 … with a clock of its own and a
// host that keeps what it is told. There is no network unless a test brings one.
type serviceRig struct {
	*Service
	t     testing.TB
	dir   string
	ids   []string // in the order of the list
	clock *setClock

	reclaimed atomic.Int64 // bodies given back

	mu   sync.Mutex
	told []string // "level: message" of toasts, the method of others
}

// rigOptions change a rig before it is built.
type rigOptions struct {
	start    time.Time        // of the rig's clock; rigStart when zero
	now      func() time.Time // instead of the rig's clock
	refresh  pool.RefreshFunc // no issuer answers when nil
	settings func(*Settings)
	github   *http.Client
	http     *http.Client // for everything else; http.DefaultClient when nil
}

func newServiceRig(t testing.TB, accounts int, o rigOptions) *serviceRig {
	t.Helper()
	if o.start.IsZero() {
		o.start = rigStart
	}
	r := &serviceRig{t: t, dir: t.TempDir(), clock: &setClock{at: o.start}}
	if o.now == nil {
		o.now = r.clock.now
	}
	if o.refresh == nil {
		o.refresh = func(context.Context, logging.Secret) (auth.Tokens, error) {
			return auth.Tokens{}, errors.New("no issuer here")
		}
	}
	if o.github == nil {
		o.github = &http.Client{Transport: offline{}}
	}
	if o.http == nil {
		o.http = http.DefaultClient
	}
	store := r.openStore(o.now, o.refresh)
	for i := range accounts {
		a, _, err := store.Add(t.Context(), seatTokens(i, "0", o.now().Add(rigLife)), fmt.Sprint("n", i), "test")
		if err != nil {
			t.Fatal(err)
		}
		r.ids = append(r.ids, a.ID)
	}
	settings, log := DefaultSettings(), hclog.NewNullLogger()
	if o.settings != nil {
		o.settings(&settings)
	}
	r.Service = NewService(Options{
		Version: "test", Root: r.dir, Store: store, Settings: settings, HTTP: o.http, Now: o.now, Log: log,
		Book: pool.OpenBook(pool.BookOptions{Path: filepath.Join(r.dir, "quota-cache.json"),
			LockPath: filepath.Join(store.LockDir(), "quota-cache.lock"), Now: o.now, Log: log}),
		Instructions: instructions.New(instructions.Options{Dir: filepath.Join(r.dir, "cache"), HTTP: o.github, Now: o.now, Log: log}),
	})
	r.SetNotifier(r.hear)
	r.SetReclaimer(func(body []byte) { // whoever still reads it is found out
		for i := range body {
			body[i] = '!'
		}
		r.reclaimed.Add(1)
	})
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// openStore opens the pool, as another process would too.
func (r *serviceRig) openStore(now func() time.Time, refresh pool.RefreshFunc) *pool.Store {
	r.t.Helper()
	store, err := pool.OpenStore(pool.Options{Dir: r.dir, Refresh: refresh, Now: now})
	if err != nil {
		r.t.Fatal(err)
	}
	return store
}

// offline is a network without anybody on it.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no network here")
}

// seatTokens are what a login of seat i gives; generation tells its logins apart.
func seatTokens(i int, generation string, expires time.Time) auth.Tokens {
	part := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	type claims struct {
		Account string `json:"chatgpt_account_id"`
		User    string `json:"chatgpt_user_id"`
	}
	access := part(struct {
		Alg string `json:"alg"`
	}{"none"}) + "." + part(struct {
		Exp  int64  `json:"exp"`
		ID   string `json:"jti"`
		Auth claims `json:"https://api.openai.com/auth"`
	}{expires.Unix(), generation, claims{fmt.Sprint("workspace-", i), fmt.Sprint("user-", i)}}) + ".x"
	return auth.Tokens{Access: logging.NewSecret(access), Refresh: logging.NewSecret(fmt.Sprintf("refresh-%d-%s", i, generation)), ExpiresAt: expires}
}

func (r *serviceRig) hear(method string, params any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if toast, ok := params.(ToastParams); ok {
		method = toast.Level + ": " + toast.Message
	}
	r.told = append(r.told, method)
}

// heard gives what the host was told since the last time.
func (r *serviceRig) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

const modelURL = "https://api.openai.com/v1/responses"

// body is a model call as a host sends it.
func body(model string, input ...string) []byte {
	return []byte(`{"model":"` + model + `","instructions":"x","store":false,"stream":true,"include":["reasoning.encrypted_content"],"input":[` + strings.Join(input, ",") + `]}`)
}

func (r *serviceRig) try(call, session string, data []byte, headers ...Header) (*Prepared, error) {
	return r.Prepare(r.t.Context(), PrepareParams{Call: callID(call), URL: modelURL, Session: session, Headers: headers}, bytes.Clone(data))
}

func callID(call string) CallID { return CallID(`"` + call + `"`) }

func (r *serviceRig) prepare(call, session string, headers ...Header) *Prepared {
	r.t.Helper()
	prepared, err := r.try(call, session, body("gpt-5.5"), headers...)
	if err != nil {
		r.t.Fatalf("call %s: %v", call, err)
	}
	return prepared
}

// respond reports an answer whose stream, if it is one, is told from its start.
func (r *serviceRig) respond(call string, status int, data string, headers ...Header) *Verdict {
	r.t.Helper()
	return r.report(ResponseParams{Call: callID(call), Status: status, Headers: headers}, data)
}

func (r *serviceRig) report(p ResponseParams, data string) *Verdict {
	r.t.Helper()
	v, err := r.Response(r.t.Context(), p, []byte(data))
	if err != nil {
		r.t.Fatalf("call %s: %v", p.Call, err)
	}
	return v
}

// wantRetry fails unless v sends the call again to the account at this position.
func (r *serviceRig) wantRetry(v *Verdict, account int) {
	r.t.Helper()
	if v.Verdict != VerdictRetry || v.Request.Account.ID != r.ids[account] {
		r.t.Fatalf("verdict %s, want a retry with n%d", show(v), account)
	}
}

// wantReply fails unless v is our own answer with this code.
func (r *serviceRig) wantReply(v *Verdict, code Code) {
	r.t.Helper()
	if v.Verdict != VerdictReply || !strings.Contains(v.Response.Body, `"codex_rota_`+string(code)+`"`) {
		r.t.Fatalf("verdict %s, want a reply %s", show(v), code)
	}
}

func (r *serviceRig) wantDeliver(v *Verdict) {
	r.t.Helper()
	if v.Verdict != VerdictDeliver {
		r.t.Fatalf("verdict %s, want deliver", show(v))
	}
}

func show(v *Verdict) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// wantStates compares every account's state, in the order of ids.
func (r *serviceRig) wantStates(want ...string) {
	r.t.Helper()
	got := make([]string, len(r.ids))
	for _, a := range r.accountStates() {
		got[slices.Index(r.ids, a.ID)] = a.State
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("states %v, want %v", got, want)
	}
}

// limited is a refusal for so long.
func limited(d time.Duration) string {
	return fmt.Sprintf(`{"error":{"type":"usage_limit_reached","resets_in_seconds":%d}}`, int(d.Seconds()))
}

func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// TestNotifications: what the person is told of, by setting. An error is told
// unless there are to be no toasts at all.
func TestNotifications(t *testing.T) {
	for setting, want := range map[string][]string{
		"all":    {"info", "error"},
		"errors": {"error"},
		"none":   nil,
	} {
		t.Run(setting, func(t *testing.T) {
			r := newServiceRig(t, 2, rigOptions{settings: func(s *Settings) { s.Notifications = setting }})
			r.prepare("1", "s")
			r.wantRetry(r.respond("1", 429, limited(time.Hour)), 1)
			r.wantReply(r.respond("1", 429, limited(time.Hour)), CodeAllLimited)
			var levels []string
			for _, told := range r.heard() {
				level, _, _ := strings.Cut(told, ": ")
				levels = append(levels, level)
			}
			if !slices.Equal(levels, want) {
				t.Errorf("toasts %q, want %q", levels, want)
			}
		})
	}
}

// TestChangesOfOthersAreAnnounced: the host learns at its next call that another
// process changed the accounts, once, and hears nothing when none did.
func TestChangesOfOthersAreAnnounced(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{})
	r.prepare("1", "s")
	r.prepare("2", "s")
	if told := r.heard(); len(told) != 0 {
		t.Errorf("told of %q although nothing changed", told)
	}
	other := r.openStore(r.clock.now, func(context.Context, logging.Secret) (auth.Tokens, error) { return auth.Tokens{}, errors.New("none") })
	defer other.Close(t.Context())
	if err := other.Pin(t.Context(), r.ids[0]); err != nil {
		t.Fatal(err)
	}
	r.prepare("3", "s")
	r.prepare("4", "s")
	if told := r.heard(); !slices.Equal(told, []string{"accounts/changed"}) {
		t.Errorf("told of %q, want one accounts/changed", told)
	}
}
