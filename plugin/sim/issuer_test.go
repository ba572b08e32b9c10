package sim_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

const (
	verifier = "a-verifier-of-more-than-forty-three-characters-012345"
	state    = "0123456789abcdef0123456789abcdef"
	callback = "http://localhost:1455/auth/callback"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func authorizeParams() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {sim.DefaultClientID}, "redirect_uri": {callback},
		"scope": {"openid profile email offline_access"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
		"state": {state}, "id_token_add_organizations": {"true"}, "codex_cli_simplified_flow": {"true"}, "originator": {"codex_cli_rs"},
	}
}

// authorize gives where the browser is sent.
func (r *rig) authorize(change func(url.Values)) (reply, url.Values) {
	r.t.Helper()
	q := authorizeParams()
	if change != nil {
		change(q)
	}
	got := r.do("GET", r.Issuer()+"/oauth/authorize?"+q.Encode(), "")
	to, err := url.Parse(got.header.Get("Location"))
	if err != nil {
		r.t.Fatal(err)
	}
	return got, to.Query()
}

func (r *rig) token(form url.Values, headers ...string) reply {
	r.t.Helper()
	return r.do("POST", r.Issuer()+"/oauth/token", form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {sim.DefaultClientID}, "refresh_token": {token}}
}

func (r *rig) refresh(token string) reply { return r.token(refreshForm(token)) }

func exchangeForm(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {sim.DefaultClientID}, "code": {code},
		"code_verifier": {verifier}, "redirect_uri": {callback},
	}
}

type tokens struct {
	Access    string `json:"access_token"`
	ID        string `json:"id_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int    `json:"expires_in"`
	Error     string `json:"error"`
	Code      string `json:"code"`
}

func TestAuthorizeChecks(t *testing.T) {
	set := func(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }
	drop := func(name string) func(url.Values) { return func(v url.Values) { v.Del(name) } }
	cases := []struct {
		name     string
		change   func(url.Values)
		redirect bool // the error travels back to the client
		refused  string
	}{
		{"another client", set("client_id", "Iv1.b507a08c87ecfe98"), false, "client_id"},
		{"redirect to 127.0.0.1", set("redirect_uri", "http://127.0.0.1:1455/auth/callback"), false, "redirect_uri"},
		{"redirect to another port", set("redirect_uri", "http://localhost:1456/auth/callback"), false, "redirect_uri"},
		{"redirect to another path", set("redirect_uri", "http://localhost:1455/callback"), false, "redirect_uri"},
		{"redirect over https", set("redirect_uri", "https://localhost:1455/auth/callback"), false, "redirect_uri"},
		{"redirect with a query", set("redirect_uri", callback+"?x=1"), false, "redirect_uri"},
		{"no response type", drop("response_type"), true, "response_type"},
		{"less scope", set("scope", "openid"), true, "scope"},
		{"plain challenge", set("code_challenge_method", "plain"), true, "code_challenge_method"},
		{"no challenge", drop("code_challenge"), true, "code_challenge"},
		{"short state", set("state", "abc"), true, "state"},
		{"no organizations", drop("id_token_add_organizations"), true, "id_token_add_organizations"},
		{"no simplified flow", drop("codex_cli_simplified_flow"), true, "codex_cli_simplified_flow"},
		{"no originator", drop("originator"), true, "originator"},
		{"unknown prompt", set("prompt", "none"), true, "prompt"},
	}
	r := start(t, sim.Options{})
	r.AddSeat(sim.Seat{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, back := r.authorize(c.change)
			if c.redirect != (got.status == 302) || c.redirect && back.Get("error") != "invalid_request" || back.Has("code") {
				t.Errorf("status %d, back %v", got.status, back)
			}
			if !strings.Contains(r.last().Refused, c.refused) {
				t.Errorf("refused: %q, want %q", r.last().Refused, c.refused)
			}
		})
	}
	got, back := r.authorize(nil)
	if got.status != 302 || back.Get("state") != state || back.Get("code") == "" || !strings.HasPrefix(got.header.Get("Location"), callback+"?") {
		t.Errorf("a good request: %d %v", got.status, back)
	}
}

func TestAnyCallbackPort(t *testing.T) {
	r := start(t, sim.Options{AnyCallbackPort: true})
	r.AddSeat(sim.Seat{})
	if got, _ := r.authorize(func(v url.Values) { v.Set("redirect_uri", "http://localhost:40123/auth/callback") }); got.status != 302 {
		t.Errorf("status %d", got.status)
	}
}

func TestWhoSignsIn(t *testing.T) {
	r := start(t, sim.Options{})
	r.AddSeat(sim.Seat{Name: "ann"})
	bob := r.AddSeat(sim.Seat{Name: "bob"})
	r.SignInAs(bob)
	for i, c := range []struct{ prompt, want string }{{"login", "bob"}, {"", "bob"}, {"login", "ann"}} {
		r.authorize(func(v url.Values) {
			if c.prompt != "" {
				v.Set("prompt", c.prompt)
			}
		})
		if got := r.last().Seat; got != c.want {
			t.Errorf("login %d: %s, want %s", i, got, c.want)
		}
	}
}

func TestExchangeChecks(t *testing.T) {
	cases := []struct {
		name    string
		change  func(r *rig, f url.Values)
		refused string
	}{
		{"good", func(*rig, url.Values) {}, ""},
		{"wrong verifier", func(_ *rig, f url.Values) { f.Set("code_verifier", verifier+"x") }, "does not match"},
		{"short verifier", func(_ *rig, f url.Values) { f.Set("code_verifier", "abc") }, "malformed"},
		{"another redirect", func(_ *rig, f url.Values) { f.Set("redirect_uri", callback+"/") }, "redirect_uri"},
		{"unknown code", func(_ *rig, f url.Values) { f.Set("code", "ac_nope") }, "unknown code"},
		{"expired code", func(r *rig, _ url.Values) { r.clock.advance(11 * time.Minute) }, "expired"},
		{"another client", func(_ *rig, f url.Values) { f.Set("client_id", "x") }, "client_id"},
		{"a secret", func(_ *rig, f url.Values) { f.Set("client_secret", "x") }, "secret"},
		{"a field twice", func(_ *rig, f url.Values) { f.Add("code_verifier", verifier) }, "twice"},
		{"unknown grant", func(_ *rig, f url.Values) { f.Set("grant_type", "password") }, "grant_type"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, sim.Options{})
			r.AddSeat(sim.Seat{})
			_, back := r.authorize(nil)
			f := exchangeForm(back.Get("code"))
			c.change(r, f)
			got := r.token(f)
			if good := c.refused == ""; good != (got.status == 200) || !strings.Contains(r.last().Refused, c.refused) {
				t.Errorf("%d %s, refused %q", got.status, got.body, r.last().Refused)
			}
		})
	}
}

func TestTokenEndpointTakesFormsOnly(t *testing.T) {
	r := start(t, sim.Options{})
	token := r.AddSeat(sim.Seat{}).Tokens().Refresh
	form := refreshForm(token).Encode()
	cases := map[string]reply{
		"json":          r.do("POST", r.Issuer()+"/oauth/token", `{"grant_type":"refresh_token","refresh_token":"`+token+`"}`, "Content-Type", "application/json"),
		"no type":       r.do("POST", r.Issuer()+"/oauth/token", form),
		"in the query":  r.do("POST", r.Issuer()+"/oauth/token?"+form, form, "Content-Type", "application/x-www-form-urlencoded"),
		"a get":         r.do("GET", r.Issuer()+"/oauth/token?"+form, ""),
		"basic auth":    r.token(refreshForm(token), "Authorization", "Basic eDp5"),
		"a bearer sent": r.token(refreshForm(token), "Authorization", "Bearer x"),
	}
	for name, got := range cases {
		if got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := r.refresh(token); got.status != 200 {
		t.Errorf("refused requests must not spend the token: %d %s", got.status, got.body)
	}
}

func TestCodeWorksOnce(t *testing.T) {
	r := start(t, sim.Options{})
	r.AddSeat(sim.Seat{})
	_, back := r.authorize(nil)
	first, second := r.token(exchangeForm(back.Get("code"))), r.token(exchangeForm(back.Get("code")))
	if first.status != 200 || second.status != 400 || decode[tokens](t, second.body).Error != "invalid_grant" {
		t.Errorf("first %d, second %d %s", first.status, second.status, second.body)
	}
}

func TestClaims(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{Email: "ann@example.com", AccountID: "acc", AccountUserID: "au", UserID: "u", Plan: "team", Residency: "us"})
	first := seat.Tokens()
	parts := strings.Split(first.Access, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %s", first.Access)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	got := decode[struct {
		Exp  int64
		Auth struct {
			AccountID     string `json:"chatgpt_account_id"`
			AccountUserID string `json:"chatgpt_account_user_id"`
			UserID        string `json:"chatgpt_user_id"`
			Plan          string `json:"chatgpt_plan_type"`
			Residency     string `json:"chatgpt_compute_residency"`
		} `json:"https://api.openai.com/auth"`
		Profile struct{ Email string } `json:"https://api.openai.com/profile"`
	}](t, string(raw))
	if got.Exp != first.ExpiresAt.Unix() || got.Auth.AccountID != "acc" || got.Auth.AccountUserID != "au" || got.Auth.UserID != "u" ||
		got.Auth.Plan != "team" || got.Auth.Residency != "us" || got.Profile.Email != "ann@example.com" {
		t.Errorf("claims %+v", got)
	}
}

func TestRefreshRotates(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{Expired: true, ExpiresIn: time.Hour})
	first := seat.Tokens()
	if got := r.model(seat, goodBody); got.status != 401 {
		t.Fatalf("an expired token was taken: %d", got.status)
	}
	got := r.refresh(first.Refresh)
	answer := decode[tokens](t, got.body)
	if got.status != 200 || answer.Refresh == first.Refresh || !strings.HasPrefix(answer.Refresh, "rt_") || answer.ExpiresIn != 3600 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if now := seat.Tokens(); now.Access != answer.Access || now.Refresh != answer.Refresh {
		t.Error("the seat does not know its new tokens")
	}
	if got := r.model(seat, goodBody); got.status != 200 {
		t.Errorf("the new token is refused: %d %s", got.status, got.body)
	}
	if n := r.RefreshCount(seat); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func TestReuseRevokesTheGrant(t *testing.T) {
	for _, spare := range []bool{false, true} {
		r := start(t, sim.Options{SpareReusedGrant: spare})
		seat := r.AddSeat(sim.Seat{})
		other := r.AddSeat(sim.Seat{})
		first := seat.Tokens().Refresh
		r.refresh(first)
		got := decode[tokens](t, r.refresh(first).body)
		if got.Error != "invalid_grant" || got.Code != "refresh_token_reused" {
			t.Errorf("reuse: %+v", got)
		}
		want := map[bool]int{false: 401, true: 200}[spare]
		if got := r.model(seat, goodBody); got.status != want {
			t.Errorf("spare %v: model call %d, want %d", spare, got.status, want)
		}
		next := decode[tokens](t, r.refresh(seat.Tokens().Refresh).body)
		if revoked := next.Code == "refresh_token_invalidated"; revoked == spare {
			t.Errorf("spare %v: the newest token gets %+v", spare, next)
		}
		if got := r.model(other, goodBody); got.status != 200 {
			t.Errorf("another seat suffers: %d", got.status)
		}
	}
}

func TestUnknownRefreshToken(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.refresh("rt_nope")
	if a := decode[tokens](t, got.body); got.status != 400 || a.Error != "invalid_grant" || a.Code != "" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestUserAgentIsNoted(t *testing.T) {
	r := start(t, sim.Options{})
	r.token(refreshForm(r.AddSeat(sim.Seat{}).Tokens().Refresh), "User-Agent", "codex-rota/1.0 (linux)")
	if notes := r.last().Notes; len(notes) != 1 || !strings.Contains(notes[0], "user agent") {
		t.Errorf("notes %q", notes)
	}
}
