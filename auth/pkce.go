package auth

import (
	"crypto/rand"
	"encoding/base64"

	"codex-rota/logging"

	"golang.org/x/oauth2"
)

// What the registered client asks for and says of itself (FACTS-upstream 1, 3).
const (
	loginScope = "openid profile email offline_access"
	originator = "codex_cli_rs"
)

// challenge is what one login must be able to show again: the PKCE verifier,
// with the code, and the state, with the browser's return.
type challenge struct {
	verifier logging.Secret
	state    logging.Secret
}

func newChallenge() challenge {
	return challenge{verifier: randomText(64), state: randomText(32)}
}

// randomText is n random bytes as base64url.
func randomText(n int) logging.Secret {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the process instead
	return logging.NewSecret(base64.RawURLEncoding.EncodeToString(b))
}

// authorizeURL is the page on which the person signs in. fresh asks for the
// sign-in form even of a browser that is signed in: without it, a second
// account cannot be added.
func (c *Client) authorizeURL(ch challenge, redirect string, fresh bool) string {
	config := c.loginConfig(redirect)
	options := []oauth2.AuthCodeOption{
		oauth2.S256ChallengeOption(ch.verifier.Reveal()),
		oauth2.SetAuthURLParam("id_token_add_organizations", "true"),
		oauth2.SetAuthURLParam("codex_cli_simplified_flow", "true"),
		oauth2.SetAuthURLParam("originator", originator),
	}
	if fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return config.AuthCodeURL(ch.state.Reveal(), options...)
}

func (c *Client) loginConfig(redirect string) oauth2.Config {
	return oauth2.Config{
		ClientID:    c.clientID(),
		RedirectURL: redirect,
		Scopes:      []string{loginScope},
		Endpoint: oauth2.Endpoint{
			AuthURL:   c.endpoint("/oauth/authorize"),
			TokenURL:  c.endpoint("/oauth/token"),
			AuthStyle: oauth2.AuthStyleInParams, // the zero style sends a failing request twice (FACTS-upstream 7.2)
		},
	}
}
