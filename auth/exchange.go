package auth

import (
	"context"
	"errors"
	"fmt"

	"codex-rota/logging"

	"golang.org/x/oauth2"
)

// ExchangeError is the token endpoint's refusal of an authorization code, a
// device endpoint's final refusal, or the failure to get a usable answer from
// one of them. Code is the OAuth or OpenAI error code, "" when none was given;
// Status is 0 when there was no answer. Its text never holds a code, a token or
// the issuer's answer.
type ExchangeError struct {
	Status int
	Code   string

	cause error // why there was no answer; never the answer itself
}

func (e *ExchangeError) Error() string {
	code := e.Code
	if code != "" {
		code = " " + code
	}
	switch {
	case e.Status == 0 && errors.Is(e.cause, context.DeadlineExceeded):
		return fmt.Sprintf("the sign-in server did not answer within %v", exchangeLimit)
	case e.Status == 0:
		return "the sign-in server could not be reached"
	case e.Refused():
		return fmt.Sprintf("the sign-in server refused the login: %d%s", e.Status, code)
	}
	return fmt.Sprintf("the sign-in server gave no usable answer: %d%s", e.Status, code)
}

// Refused reports whether the issuer said no to what was sent, and not about
// itself or the pace.
func (e *ExchangeError) Refused() bool { return isRefusal(e.Status) }

// Unwrap gives the network's error when there was no answer.
func (e *ExchangeError) Unwrap() error { return e.cause }

// redeem trades an authorization code for tokens: exactly one request, at most
// 30 s. The tokens name a seat and can be refreshed; others are refused with
// the reason. ctx ending does not cut the exchange: the code would be spent and
// the tokens lost.
func (c *Client) redeem(ctx context.Context, code, verifier logging.Secret, redirect string) (Tokens, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeLimit)
	defer cancel()
	x := &exchange{client: c}
	config := c.loginConfig(redirect)
	ctx = context.WithValue(ctx, oauth2.HTTPClient, x.httpClient())
	token, err := config.Exchange(ctx, code.Reveal(), oauth2.VerifierOption(verifier.Reveal()))
	if err != nil {
		refusal := refreshError(x.status, err)
		return Tokens{}, &ExchangeError{Status: refusal.Status, Code: refusal.Code, cause: refusal.cause}
	}
	tokens := x.tokens(token, logging.Secret{})
	claims, err := ParseClaims(tokens.Access, tokens.ID)
	if err == nil {
		err = claims.RequireSeat()
	}
	if err == nil && tokens.Refresh.IsZero() {
		err = errors.New("it came without a refresh token")
	}
	if err != nil {
		return Tokens{}, fmt.Errorf("the login cannot be used: %w", err)
	}
	return tokens, nil
}
