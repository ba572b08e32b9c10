package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"codex-rota/logging"

	"github.com/google/go-cmp/cmp"
)

// jwtOf is an unsigned token with these claims, written as JSON.
func jwtOf(claims string) logging.Secret {
	enc := base64.RawURLEncoding.EncodeToString
	return logging.NewSecret(enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(claims)) + ".c2ln")
}

const seatClaims = `{"exp":1790000000,"https://api.openai.com/auth":{"chatgpt_account_id":"W","chatgpt_account_user_id":"au","chatgpt_user_id":"u","chatgpt_plan_type":"plus","chatgpt_compute_residency":"eu"},"https://api.openai.com/profile":{"email":"p@example.com"}}`

func TestParseClaims(t *testing.T) {
	seat := Claims{AccountID: "W", AccountUserID: "au", UserID: "u", Plan: "plus", Residency: "eu", Email: "p@example.com", ExpiresAt: time.Unix(1790000000, 0)}
	with := func(change func(*Claims)) Claims {
		c := seat
		change(&c)
		return c
	}
	for _, tc := range []struct {
		name       string
		access, id logging.Secret
		want       Claims
	}{
		{"access token alone", jwtOf(seatClaims), logging.Secret{}, seat},
		{"e-mail of the id token wins", jwtOf(seatClaims), jwtOf(`{"email":"i@example.com"}`), with(func(c *Claims) { c.Email = "i@example.com" })},
		{"id token fills in", jwtOf(`{}`), jwtOf(seatClaims), with(func(c *Claims) { c.ExpiresAt = time.Time{} })},
		{"id token of another workspace", jwtOf(seatClaims), jwtOf(`{"email":"x@x","https://api.openai.com/auth":{"chatgpt_account_id":"V"}}`), seat},
		{"id token that is none", jwtOf(seatClaims), logging.NewSecret("opaque"), seat},
		{"no constraint", jwtOf(`{"https://api.openai.com/auth":{"chatgpt_compute_residency":"no_constraint","chatgpt_data_residency":"no_constraint"}}`), logging.Secret{}, Claims{}},
		{"data residency", jwtOf(`{"https://api.openai.com/auth":{"chatgpt_compute_residency":"no_constraint","chatgpt_data_residency":"us"}}`), logging.Secret{}, Claims{Residency: "us"}},
		{"nulls", jwtOf(`{"exp":null,"https://api.openai.com/auth":null,"email":null}`), logging.Secret{}, Claims{}},
		{"absurd exp", jwtOf(`{"exp":1e300}`), logging.Secret{}, Claims{}},
		{"unknown algorithm and odd signature", logging.NewSecret(strings.Replace(jwtOf(`{"email":"a@b"}`).Reveal(), ".c2ln", ".signature", 1)), logging.Secret{}, Claims{Email: "a@b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseClaims(tc.access, tc.id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseClaimsMalformed(t *testing.T) {
	for _, tc := range []struct{ name, token, want string }{
		{"empty", "", "access token: not a JWT: want three parts, got 1"},
		{"opaque", "opaque-token", "access token: not a JWT: want three parts, got 1"},
		{"two parts", "eyJhIjoxfQ.eyJhIjoxfQ", "access token: not a JWT: want three parts, got 2"},
		{"four parts", "a.b.c.d", "access token: not a JWT: want three parts, got 4"},
		{"not base64", "!.!.!", "base64url JSON"},
		{"claims no JSON", "eyJhIjoxfQ.aGVsbG8.", "base64url JSON"},
		{"account id is a number", jwtOf(`{"https://api.openai.com/auth":{"chatgpt_account_id":5}}`).Reveal(), "expected shape"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseClaims(logging.NewSecret(tc.token), logging.Secret{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestRequireSeat(t *testing.T) {
	for _, tc := range []struct {
		name   string
		claims Claims
		want   string // "" is fine
	}{
		{"account user", Claims{AccountID: "W", AccountUserID: "au"}, ""},
		{"user", Claims{AccountID: "W", UserID: "u"}, ""},
		{"no account", Claims{UserID: "u"}, "chatgpt_account_id"},
		{"no user", Claims{AccountID: "W"}, "chatgpt_user_id"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.claims.RequireSeat()
			if tc.want == "" && err != nil || tc.want != "" && (!errors.Is(err, ErrNoSeat) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func FuzzParseClaims(f *testing.F) {
	f.Add(seatClaims, "a.b.c")
	f.Add(`{"exp":-1e99,"aud":[1]}`, "")
	f.Fuzz(func(t *testing.T, claims, token string) {
		for _, access := range []logging.Secret{jwtOf(claims), logging.NewSecret(token)} {
			c, err := ParseClaims(access, logging.NewSecret(token))
			if err != nil && len(token) > 20 && strings.Contains(err.Error(), token) {
				t.Errorf("the token is in the error: %v", err)
			}
			if _, err := json.Marshal(c); err != nil {
				t.Errorf("claims that no file can hold: %v", err)
			}
		}
	})
}
