package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"mime"
	"net/url"
	"strings"
	"time"
)

// scope is what the official client asks for (FACTS-upstream 1).
const scope = "openid profile email offline_access"

// code is an authorization code; it can be exchanged once, within ten minutes.
type code struct {
	seat      *Seat
	challenge string
	redirect  string
	expires   time.Time
	used      bool
}

// SignInAs says who signs in at the browser, or approves the next device code, one
// after another; when the list is used up, the first seat does. As at the real
// issuer, a login without prompt=login gets whoever signed in there last.
func (s *Server) SignInAs(seats ...*Seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signIns = seats
}

// signIn picks the person in front of the browser, nil without seats. The lock is
// held.
func (s *Server) signIn(fresh bool) *Seat {
	switch {
	case !fresh && s.browser != nil:
	case len(s.signIns) > 0:
		s.browser, s.signIns = s.signIns[0], s.signIns[1:]
	case len(s.seats) > 0:
		s.browser = s.seats[0]
	}
	return s.browser
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// isChallenge: base64url of a SHA-256.
func isChallenge(s string) bool { return len(s) == 43 && strings.Trim(s, base64URL) == "" }

// isVerifier: RFC 7636, 4.1.
func isVerifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, base64URL+".~") == ""
}

func page(status int, text string) answer {
	return answer{status: status, body: "<!doctype html><p>" + html.EscapeString(text),
		header: map[string]string{"Content-Type": "text/html; charset=utf-8"}}
}

// authorize approves at once as the person that SignInAs names.
func (x *exchange) authorize() answer {
	q := x.r.URL.Query()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	// An unknown client or redirect is never redirected to.
	case x.r.Method != "GET":
		return x.refuse("authorize is a GET", page(405, "Method not allowed"))
	case q.Get("client_id") != x.s.opts.ClientID:
		return x.refuse("unknown client_id", page(400, "Unknown client"))
	case err != nil || !x.registered(redirect):
		return x.refuse("redirect_uri is not registered", page(400, "Redirect not registered"))
	}
	back := func(pairs ...string) answer {
		v := url.Values{"state": {q.Get("state")}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return answer{status: 302, header: map[string]string{"Location": redirect.String() + "?" + v.Encode()}}
	}
	if why := authorizeFault(q); why != "" {
		return x.refuse(why, back("error", "invalid_request", "error_description", why))
	}
	return x.strike(func() answer {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
		seat := x.s.signIn(q.Get("prompt") == "login")
		if seat == nil {
			return page(400, "Nobody can sign in: the simulation has no seat")
		}
		x.call.Seat = seat.Name
		c := x.s.newCode(seat, q.Get("code_challenge"), redirect.String())
		return back("code", c, "scope", q.Get("scope"))
	})
}

// registered tells whether this is the redirect of the official client.
func (x *exchange) registered(u *url.URL) bool {
	return u.Scheme == "http" && u.Hostname() == "localhost" && u.Path == "/auth/callback" && u.RawQuery == "" &&
		(u.Port() == "1455" || x.s.opts.AnyCallbackPort && u.Port() != "")
}

// authorizeFault names the first thing wrong with the parameters.
func authorizeFault(q url.Values) string {
	for _, want := range [][2]string{
		{"response_type", "code"}, {"scope", scope}, {"code_challenge_method", "S256"},
		{"id_token_add_organizations", "true"}, {"codex_cli_simplified_flow", "true"},
	} {
		if got := q.Get(want[0]); got != want[1] {
			return fmt.Sprintf("%s is %q, want %q", want[0], got, want[1])
		}
	}
	switch {
	case q.Get("originator") == "":
		return "originator is missing"
	case !isChallenge(q.Get("code_challenge")):
		return "code_challenge is no base64url SHA-256"
	case len(q.Get("state")) < 22: // 16 bytes in base64url
		return "state has less than 16 random bytes"
	case q.Get("prompt") != "" && q.Get("prompt") != "login":
		return "unknown prompt"
	}
	return ""
}

// newCode issues an authorization code. The lock is held.
func (s *Server) newCode(seat *Seat, challenge, redirect string) string {
	c := s.id("ac_")
	s.codes[c] = &code{seat: seat, challenge: challenge, redirect: redirect, expires: s.opts.Now().Add(10 * time.Minute)}
	return c
}

// form is the body of a token request; it is empty when the body is no form.
func (x *exchange) form() url.Values {
	v, err := url.ParseQuery(string(x.body))
	if err != nil {
		return url.Values{}
	}
	return v
}

// grant routes a token request by its grant type.
func (x *exchange) grant() (Kind, func(*exchange) answer) {
	handle := map[string]func(*exchange) answer{
		"authorization_code": (*exchange).exchangeCode,
		"refresh_token":      (*exchange).refreshTokens,
	}
	kinds := map[string]Kind{"authorization_code": KindExchange, "refresh_token": KindRefresh}
	t := x.form().Get("grant_type")
	if handle[t] == nil {
		return KindOther, func(x *exchange) answer {
			return x.refuse("unknown grant_type", oauthError("unsupported_grant_type", ""))
		}
	}
	return kinds[t], func(x *exchange) answer {
		if why := x.tokenRequestFault(); why != "" {
			return x.refuse(why, oauthError("invalid_request", ""))
		}
		return handle[t](x)
	}
}

// tokenRequestFault checks what both grants have in common.
func (x *exchange) tokenRequestFault() string {
	media, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	q := x.r.URL.Query()
	switch {
	case x.r.Method != "POST":
		return "the token endpoint takes POST only"
	case media != "application/x-www-form-urlencoded":
		return "the token endpoint takes a form only"
	case len(q) != 0:
		return "a token request must not have a query: addresses are logged"
	case x.r.Header.Get("Authorization") != "" || x.form().Has("client_secret"):
		return "a public client has no secret"
	case x.form().Get("client_id") != x.s.opts.ClientID:
		return "unknown client_id"
	}
	for name, values := range x.form() {
		if len(values) > 1 {
			return name + " is given twice"
		}
	}
	return ""
}

func oauthError(err, code string) answer {
	return answer{status: 400, body: toJSON(struct {
		Error string `json:"error"`
		Code  string `json:"code,omitempty"`
	}{err, code})}
}

// exchangeCode checks code, verifier and redirect; a code works once.
func (x *exchange) exchangeCode() answer {
	f := x.form()
	return x.strike(func() answer {
		x.s.mu.Lock()
		c := x.s.codes[f.Get("code")]
		why := ""
		switch sum := sha256.Sum256([]byte(f.Get("code_verifier"))); {
		case c == nil:
			why = "unknown code"
		case c.used:
			why = "the code was used before"
		case x.s.opts.Now().After(c.expires):
			why = "the code has expired"
		case f.Get("redirect_uri") != c.redirect:
			why = "redirect_uri differs from the one authorized"
		case !isVerifier(f.Get("code_verifier")):
			why = "code_verifier is malformed"
		case base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge:
			why = "code_verifier does not match the challenge"
		}
		if c != nil {
			c.used = true // whatever comes of it: a code is for one try
		}
		if why != "" {
			x.s.mu.Unlock()
			return x.refuse(why, oauthError("invalid_grant", ""))
		}
		defer x.s.mu.Unlock()
		x.seat, x.call.Seat = c.seat, c.seat.Name
		t := x.s.issue(&grant{seat: c.seat}, x.s.opts.Now().Add(c.seat.ExpiresIn))
		return tokenAnswer(t, c.seat.ExpiresIn)
	})
}

// refreshTokens rotates: each refresh token works once, and a second use revokes
// the grant it came from.
func (x *exchange) refreshTokens() answer {
	return x.strike(func() answer {
		x.s.mu.Lock()
		t := x.s.refresh[x.form().Get("refresh_token")]
		why, code := "", ""
		switch {
		case t == nil:
			why = "unknown refresh token"
		case t.grant.revoked:
			why, code = "the grant was revoked", "refresh_token_invalidated"
		case t.used:
			why, code = "the refresh token was used before", "refresh_token_reused"
			t.grant.revoked = !x.s.opts.SpareReusedGrant
		}
		if why != "" {
			x.s.mu.Unlock()
			return x.refuse(why, oauthError("invalid_grant", code))
		}
		defer x.s.mu.Unlock()
		t.used = true
		seat := t.grant.seat
		return tokenAnswer(x.s.issue(t.grant, x.s.opts.Now().Add(seat.ExpiresIn)), seat.ExpiresIn)
	})
}

// tokenBody is the token endpoint's answer.
type tokenBody struct {
	Access    string `json:"access_token"`
	ID        string `json:"id_token"`
	Refresh   string `json:"refresh_token,omitempty"`
	Type      string `json:"token_type"`
	ExpiresIn int64  `json:"expires_in"`
	Scope     string `json:"scope"`
}

func tokenAnswer(t Tokens, life time.Duration) answer {
	b := tokenBody{t.Access, t.ID, t.Refresh, "Bearer", int64(life / time.Second), strings.Join(strings.Fields(scope), " ")}
	return answer{status: 200, body: toJSON(b), header: map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"}}
}
