package sim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Seat is one simulated ChatGPT account. Its name stands for it in calls, faults
// and the reply text, so names should differ. AddSeat fills every empty field
// but Residency.
type Seat struct {
	Name          string
	Email         string
	AccountID     string        // the workspace; seats may share one
	AccountUserID string        // the person in it
	UserID        string        // the person
	Plan          string        // "plus" when empty
	Residency     string        // when not "", the header must repeat it
	ExpiresIn     time.Duration // lifetime of the access tokens, 240 h when 0
	Expired       bool          // the first access token ran out a minute ago
	Windows       []Window      // primary of 300 and secondary of 10080 minutes, unused, when nil
	Cost          float64       // percent of each window that one model call uses

	s      *Server
	tokens Tokens
}

// Tokens is what the issuer gave a seat last.
type Tokens struct {
	Access    string
	Refresh   string
	ID        string
	ExpiresAt time.Time // of Access
}

// grant is what one login gave: a chain of refresh tokens and their access tokens.
type grant struct {
	seat    *Seat
	revoked bool
}

type refreshToken struct {
	grant *grant
	used  bool
}

type accessToken struct {
	seat    *Seat
	grant   *grant
	expires time.Time
	refused bool // a fault said so; only a newer token helps
}

// AddSeat makes a seat and logs it in.
func (s *Server) AddSeat(config Seat) *Seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	seat, n := &config, len(s.seats)+1
	fill := func(field *string, format string) {
		if *field == "" {
			*field = fmt.Sprintf(format, n)
		}
	}
	fill(&seat.Name, "seat-%d")
	fill(&seat.Email, "person%d@example.com")
	fill(&seat.AccountID, "00000000-0000-4000-8000-%012d")
	fill(&seat.UserID, "user-Sim%d")
	if seat.AccountUserID == "" {
		seat.AccountUserID = seat.UserID + "__" + seat.AccountID
	}
	if seat.Plan == "" {
		seat.Plan = "plus"
	}
	if seat.ExpiresIn == 0 {
		seat.ExpiresIn = 240 * time.Hour
	}
	now := s.opts.Now()
	if seat.Windows == nil {
		seat.Windows = []Window{{Name: Primary, Minutes: 300}, {Name: Secondary, Minutes: 10080}}
	}
	for i := range seat.Windows {
		if w := &seat.Windows[i]; w.ResetAt.IsZero() {
			w.ResetAt = now.Add(w.length())
		}
	}
	seat.s = s
	expires := now.Add(seat.ExpiresIn)
	if seat.Expired {
		expires = now.Add(-time.Minute)
	}
	s.issue(&grant{seat: seat}, expires)
	s.seats = append(s.seats, seat)
	return seat
}

// Tokens is what the seat's holder should have now.
func (seat *Seat) Tokens() Tokens {
	seat.s.mu.Lock()
	defer seat.s.mu.Unlock()
	return seat.tokens
}

// Revoke ends every grant of the seat, as a password change does: its access
// tokens are answered 401, its refresh tokens 400.
func (seat *Seat) Revoke() {
	seat.s.mu.Lock()
	defer seat.s.mu.Unlock()
	for _, t := range seat.s.refresh {
		if t.grant.seat == seat {
			t.grant.revoked = true
		}
	}
}

// RefuseAccess makes the backend answer 401 to every access token of the seat
// that is out now, long before its time.
func (seat *Seat) RefuseAccess() {
	seat.s.mu.Lock()
	defer seat.s.mu.Unlock()
	for _, t := range seat.s.access {
		if t.seat == seat {
			t.refused = true
		}
	}
}

// issue makes new tokens of a grant. The lock is held.
func (s *Server) issue(g *grant, expires time.Time) Tokens {
	seat, now := g.seat, s.opts.Now()
	who := authClaims{
		AccountID: seat.AccountID, AccountUserID: seat.AccountUserID, UserID: seat.UserID,
		Plan: seat.Plan, Residency: seat.Residency, User: seat.UserID,
	}
	base := claims{Issuer: s.Issuer(), Subject: "auth0|" + seat.UserID, IssuedAt: now.Unix(), Expires: expires.Unix(), Auth: who}
	access, id := base, base
	access.Audience, access.ID = []string{"https://api.openai.com/v1"}, s.id("jti_")
	access.ClientID, access.Scopes = s.opts.ClientID, strings.Fields(scope)
	access.Profile = &profileClaims{Email: seat.Email, Verified: true}
	id.Audience, id.Email, id.ID = []string{s.opts.ClientID}, seat.Email, s.id("jti_")
	t := Tokens{Access: sign(access), ID: sign(id), Refresh: s.id("rt_"), ExpiresAt: expires}
	s.access[t.Access] = &accessToken{seat: seat, grant: g, expires: expires}
	s.refresh[t.Refresh] = &refreshToken{grant: g}
	s.issued = append(s.issued, t)
	seat.tokens = t
	return t
}

// Issued is every token that the issuer ever gave to anybody: what a search for
// leaks looks for.
func (s *Server) Issued() []Tokens {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issued)
}

// claims are those of FACTS-upstream 2, and what a real token has around them.
type claims struct {
	Issuer   string         `json:"iss"`
	Audience []string       `json:"aud"`
	Subject  string         `json:"sub"`
	ClientID string         `json:"client_id,omitempty"`
	IssuedAt int64          `json:"iat"`
	Expires  int64          `json:"exp"`
	ID       string         `json:"jti"`
	Scopes   []string       `json:"scp,omitempty"`
	Email    string         `json:"email,omitempty"`
	Auth     authClaims     `json:"https://api.openai.com/auth"`
	Profile  *profileClaims `json:"https://api.openai.com/profile,omitempty"`
}

type authClaims struct {
	AccountID     string `json:"chatgpt_account_id"`
	AccountUserID string `json:"chatgpt_account_user_id"`
	UserID        string `json:"chatgpt_user_id"`
	Plan          string `json:"chatgpt_plan_type"`
	Residency     string `json:"chatgpt_compute_residency,omitempty"`
	User          string `json:"user_id"`
}

type profileClaims struct {
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
}

// sign makes a JWT. Nobody verifies the signature, so the key is public.
func sign(c claims) string {
	head := `{"alg":"HS256","typ":"JWT","kid":"sim"}`
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(head)) + "." + b64([]byte(toJSON(c)))
	mac := hmac.New(sha256.New, []byte("codex-rota simulator"))
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

// toJSON encodes a value of our own types, which cannot fail.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func bearer(h http.Header) string {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}
