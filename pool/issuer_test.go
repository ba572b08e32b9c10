package pool

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
)

// person is a seat as tokens name it.
type person struct{ account, user, email string }

// jwt makes an access token for p that ends at exp. Its mark lets a test find
// it in texts.
func (p person) jwt(exp time.Time, mark string) string {
	claims := map[string]any{
		"jti": mark, "exp": exp.Unix(),
		"https://api.openai.com/auth": map[string]string{
			"chatgpt_account_id": p.account, "chatgpt_account_user_id": p.user, "chatgpt_plan_type": "plus",
		},
		"https://api.openai.com/profile": map[string]string{"email": p.email},
	}
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + enc.EncodeToString(body) + ".c2ln"
}

// issuer is a token endpoint that rotates refresh tokens, and refuses one that
// was spent as the real one does.
type issuer struct {
	*httptest.Server
	now func() time.Time

	mu        sync.Mutex
	live      map[string]person // refresh token → whose it is
	spent     map[string]bool
	successor map[string]string // spent token → the one it was exchanged for
	exchanges map[string]exchange
	requests  map[string]int // account → exchanges asked for
	reused    int
	serial    int
	life      time.Duration

	// fail, when it says so, answers in the issuer's place; hold is called
	// after the token was rotated, before the answer is sent.
	fail func(w http.ResponseWriter) bool
	hold func()
}

// exchange is an answer of the issuer to a process: it gave got for a token.
// Tokens are told by their hash, as the pool remembers them.
type exchange struct {
	got string
	by  string // the first part of the path that was asked, "" for the test itself
}

func newIssuer(t testing.TB, now func() time.Time) *issuer {
	i := &issuer{now: now, live: map[string]person{}, spent: map[string]bool{}, successor: map[string]string{}, requests: map[string]int{}, exchanges: map[string]exchange{}, life: time.Hour}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

// login gives tokens for p, the access token ending after life.
func (i *issuer) login(p person, life time.Duration) auth.Tokens {
	i.mu.Lock()
	defer i.mu.Unlock()
	refresh, access := i.issue(p, life)
	return auth.Tokens{
		Access: logging.NewSecret(access), Refresh: logging.NewSecret(refresh), ExpiresAt: i.now().Add(life),
	}
}

func (i *issuer) issue(p person, life time.Duration) (refresh, access string) {
	i.serial++
	refresh = fmt.Sprintf("rt-MARK-%s-%d", p.user, i.serial)
	i.live[refresh] = p
	return refresh, p.jwt(i.now().Add(life), fmt.Sprintf("at-MARK-%d", i.serial))
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/login" {
		p := person{r.FormValue("account"), r.FormValue("user"), r.FormValue("user") + "@example.com"}
		tokens := i.login(p, time.Hour)
		fmt.Fprintf(w, "%s %s", tokens.Refresh.Reveal(), tokens.Access.Reveal())
		return
	}
	token := r.FormValue("refresh_token")
	i.mu.Lock()
	p, ok := i.live[token]
	if !ok && i.spent[token] {
		i.reused++
		i.mu.Unlock()
		http.Error(w, `{"error":"invalid_grant","code":"refresh_token_reused"}`, http.StatusBadRequest)
		return
	}
	i.requests[p.account]++
	if fail := i.fail; fail != nil && fail(w) {
		i.mu.Unlock()
		return
	}
	if !ok {
		i.mu.Unlock()
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	delete(i.live, token)
	i.spent[token] = true
	refresh, access := i.issue(p, i.life)
	i.successor[token] = refresh
	by, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "oauth/token"), "/")
	i.exchanges[logging.NewSecret(token).Hash()] = exchange{got: logging.NewSecret(refresh).Hash(), by: by}
	hold, life := i.hold, i.life
	i.mu.Unlock()
	if hold != nil {
		hold()
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"expires_in":%d,"token_type":"bearer"}`, access, refresh, int(life.Seconds()))
}

func (i *issuer) count(account string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[account]
}

// set changes how the issuer behaves.
func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

// presentedAgain is how many requests held a token that was spent.
func (i *issuer) presentedAgain() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reused
}

func (i *issuer) refresh(ctx context.Context, token logging.Secret) (auth.Tokens, error) {
	return (&auth.Client{Issuer: i.URL, Now: i.now}).Refresh(ctx, token)
}

// tick is a clock that moves when told.
type tick struct {
	mu sync.Mutex
	at time.Time
}

func newTick() *tick { return &tick{at: time.Now().Truncate(time.Millisecond)} }

func (c *tick) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *tick) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is a store with its clock and issuer.
type rig struct {
	*Store
	t      testing.TB
	dir    string
	clock  *tick
	issuer *issuer
	disk   disk // nil: the real one
}

func newRig(t testing.TB) *rig { return newRigOn(t, nil) }

// newRigOn is a rig whose stores are on d, unless they are opened on another disk.
func newRigOn(t testing.TB, d disk) *rig {
	r := &rig{t: t, dir: t.TempDir(), clock: newTick(), disk: d}
	r.issuer = newIssuer(t, r.clock.now)
	r.Store = r.open(Options{})
	return r
}

// open opens another store over the same folder.
func (r *rig) open(o Options) *Store {
	r.t.Helper()
	o.Dir, o.Now = r.dir, r.clock.now
	if o.disk == nil {
		o.disk = r.disk
	}
	if o.Refresh == nil {
		o.Refresh = r.issuer.refresh
	}
	s, err := OpenStore(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) add(p person, life time.Duration) Account {
	r.t.Helper()
	a, _, err := r.Add(r.t.Context(), r.issuer.login(p, life), "", "test")
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) account(s *Store, id string) Account {
	r.t.Helper()
	a, err := s.Account(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

var (
	anna = person{"W1", "u-anna", "anna@example.com"}
	bert = person{"W2", "u-bert", "bert@example.com"}
)
