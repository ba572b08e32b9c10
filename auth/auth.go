// Package auth speaks OAuth with OpenAI's issuer: it logs a person in by
// browser, pasted text or device code, refreshes tokens and reads the claims in
// them. It stores nothing and chooses nothing: package pool decides when a
// refresh token may be spent and where its successor is kept. It opens no
// browser and asks nothing: that is for whoever talks to the person.
package auth

import (
	"net/http"
	"strings"
	"time"

	"codex-rota/logging"
)

// What the official clients use (FACTS-upstream 1). Both are settings.
const (
	DefaultIssuer   = "https://auth.openai.com"
	DefaultClientID = "app_EMoamEEZ73f0CkXaXp7hrann"
)

// userAgent is what our own requests say they are (FACTS-upstream 3).
const userAgent = "codex-rota"

// exchangeLimit bounds one request to the token endpoint, its answer included.
const exchangeLimit = 30 * time.Second

// Client talks to one issuer. Its zero value talks to OpenAI's with
// http.DefaultTransport. A Client may be used concurrently; its fields are not
// changed once it is in use.
type Client struct {
	Issuer   string           // DefaultIssuer when ""
	ClientID string           // DefaultClientID when ""
	HTTP     *http.Client     // its Transport is used; redirects are never followed, cookies never kept
	Now      func() time.Time // time.Now when nil
}

// Tokens is what one answer of the token endpoint gave. Refresh is empty when
// the answer had none, or the one that was sent: the old one stays valid
// (FACTS-upstream 1). ExpiresAt is receipt time + expires_in, else the access
// token's own exp claim, else zero.
type Tokens struct {
	Access    logging.Secret
	Refresh   logging.Secret
	ID        logging.Secret
	ExpiresAt time.Time
}

// endpoint is the issuer's URL for a path such as "/oauth/token".
func (c *Client) endpoint(path string) string {
	issuer := c.Issuer
	if issuer == "" {
		issuer = DefaultIssuer
	}
	return strings.TrimRight(issuer, "/") + path
}

func (c *Client) clientID() string {
	if c.ClientID == "" {
		return DefaultClientID
	}
	return c.ClientID
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// exchange is the HTTP side of one request to the issuer: it says who we are
// and notes what came back and when.
type exchange struct {
	client *Client
	status int       // 0: no answer
	at     time.Time // when the answer's headers came
}

// httpClient sends through x and follows no redirect: a token request must not
// be repeated to an address that the issuer's answer names.
func (x *exchange) httpClient() *http.Client {
	return &http.Client{
		Transport:     x,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	transport := http.DefaultTransport
	if x.client.HTTP != nil && x.client.HTTP.Transport != nil {
		transport = x.client.HTTP.Transport
	}
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "application/json")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x.status, x.at = resp.StatusCode, x.client.now()
	return resp, nil
}
