package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"testing"
)

func TestAuthorizeURL(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fresh  bool
		prompt string
	}{
		{"first account", false, ""},
		{"another account", true, "login"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ch := newChallenge()
			u, err := url.Parse((&Client{}).authorizeURL(ch, CodeOptions{}.redirect(), tc.fresh))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256([]byte(ch.verifier.Reveal()))
			want := url.Values{
				"response_type": {"code"}, "client_id": {"app_EMoamEEZ73f0CkXaXp7hrann"}, "redirect_uri": {"http://localhost:1455/auth/callback"},
				"scope": {"openid profile email offline_access"}, "state": {ch.state.Reveal()},
				"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
				"id_token_add_organizations": {"true"}, "codex_cli_simplified_flow": {"true"}, "originator": {"codex_cli_rs"},
			}
			if tc.prompt != "" {
				want.Set("prompt", tc.prompt)
			}
			if got := u.Query(); got.Encode() != want.Encode() {
				t.Errorf("got %v\nwant %v", got, want)
			}
			if u.RawQuery = ""; u.String() != "https://auth.openai.com/oauth/authorize" {
				t.Errorf("at %s", u)
			}
		})
	}
}

func TestChallengeIsRandom(t *testing.T) {
	a, b := newChallenge(), newChallenge()
	for name, pair := range map[string]struct {
		a, b  string
		bytes int
	}{
		"verifier": {a.verifier.Reveal(), b.verifier.Reveal(), 64},
		"state":    {a.state.Reveal(), b.state.Reveal(), 32},
	} {
		raw, err := base64.RawURLEncoding.DecodeString(pair.a)
		if err != nil || len(raw) != pair.bytes || pair.a == pair.b {
			t.Errorf("%s: %d bytes, %v, the same again: %v", name, len(raw), err, pair.a == pair.b)
		}
	}
}
