package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"codex-rota/logging"

	"github.com/golang-jwt/jwt/v5"
)

// Claims is what an access token and its id token say of the seat
// (FACTS-upstream 2). AccountID is the workspace; AccountUserID and UserID name
// the person in it. Residency is empty for "no_constraint". Any field may be
// empty: RequireSeat tells whether the seat is named.
type Claims struct {
	AccountID     string
	AccountUserID string
	UserID        string
	Plan          string
	Residency     string
	Email         string
	ExpiresAt     time.Time
}

// ErrNoSeat is what a RequireSeat error wraps.
var ErrNoSeat = errors.New("the token does not name a ChatGPT account")

// RequireSeat is an error that names the missing claim when the claims do not
// say whose seat they are. Such a token is no login of ours (DESIGN 5); of a
// seat already known it may still be used.
func (c Claims) RequireSeat() error {
	switch {
	case c.AccountID == "":
		return fmt.Errorf("%w: no chatgpt_account_id in it", ErrNoSeat)
	case c.AccountUserID == "" && c.UserID == "":
		return fmt.Errorf("%w: neither chatgpt_account_user_id nor chatgpt_user_id in it", ErrNoSeat)
	}
	return nil
}

// ParseClaims reads the claims of an access token, and of the id token that
// came with it where there is one: that one has the e-mail, and fills in what
// the access token leaves out. An id token that cannot be read, or is another
// workspace's, is left aside, since the seat is known without it. A malformed
// access token is an error that says what is wrong with it, and never holds a
// piece of it.
func ParseClaims(access, id logging.Secret) (Claims, error) {
	raw, err := unverified(access.Reveal())
	if err != nil {
		return Claims{}, fmt.Errorf("access token: %w", err)
	}
	claims := raw.claims()
	if id.IsZero() {
		return claims, nil
	}
	rawID, err := unverified(id.Reveal())
	if err != nil {
		return claims, nil
	}
	claims.fillIn(rawID.claims())
	return claims, nil
}

// fillIn takes from other what c does not have, if both are of one workspace.
func (c *Claims) fillIn(other Claims) {
	if c.AccountID != "" && other.AccountID != "" && c.AccountID != other.AccountID {
		return
	}
	for _, f := range []struct{ to, from *string }{
		{&c.AccountID, &other.AccountID}, {&c.AccountUserID, &other.AccountUserID}, {&c.UserID, &other.UserID},
		{&c.Plan, &other.Plan}, {&c.Residency, &other.Residency},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if other.Email != "" {
		c.Email = other.Email
	}
}

// tokenClaims is the JSON inside a token.
type tokenClaims struct {
	jwt.RegisteredClaims
	Email string `json:"email"`
	Auth  struct {
		AccountID     string `json:"chatgpt_account_id"`
		AccountUserID string `json:"chatgpt_account_user_id"`
		UserID        string `json:"chatgpt_user_id"`
		Plan          string `json:"chatgpt_plan_type"`
		Compute       string `json:"chatgpt_compute_residency"`
		Data          string `json:"chatgpt_data_residency"`
	} `json:"https://api.openai.com/auth"`
	Profile struct {
		Email string `json:"email"`
	} `json:"https://api.openai.com/profile"`
}

func (t tokenClaims) claims() Claims {
	c := Claims{
		AccountID: t.Auth.AccountID, AccountUserID: t.Auth.AccountUserID, UserID: t.Auth.UserID,
		Plan: t.Auth.Plan, Email: t.Email,
	}
	for _, residency := range []string{t.Auth.Compute, t.Auth.Data} {
		if c.Residency == "" && residency != "no_constraint" {
			c.Residency = residency
		}
	}
	if c.Email == "" {
		c.Email = t.Profile.Email
	}
	// A year beyond 9999 is nonsense that no JSON file could hold.
	if t.ExpiresAt != nil && t.ExpiresAt.Year() > 0 && t.ExpiresAt.Year() < 10000 {
		c.ExpiresAt = t.ExpiresAt.Time
	}
	return c
}

// unverified reads a token without checking its signature. That is right for
// tokens that came over TLS from the issuer itself, or from our own files: the
// backend that they are for checks them, and we hold no key that could. A token
// from anywhere else must never reach this function.
func unverified(token string) (tokenClaims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return tokenClaims{}, fmt.Errorf("not a JWT: want three parts, got %d", len(parts))
	}
	var claims tokenClaims
	// The signature is left out: nobody here is going to look at it.
	_, _, err := jwt.NewParser().ParseUnverified(parts[0]+"."+parts[1]+".", &claims)
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) { // an algorithm unknown to the library is none of our business
		return tokenClaims{}, errors.New("not a JWT: its first two parts are not base64url JSON of the expected shape")
	}
	return claims, nil
}
