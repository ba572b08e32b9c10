package auth

import (
	"context"
	"errors"
	"time"

	"codex-rota/logging"

	"golang.org/x/oauth2"
)

// Refresh spends a refresh token: exactly one request, whatever comes of it,
// and at most 30 s. The caller must store what it returns before anyone uses
// it. Every failure is a *RefreshError.
func (c *Client) Refresh(ctx context.Context, refresh logging.Secret) (Tokens, error) {
	if refresh.IsZero() {
		return Tokens{}, &RefreshError{cause: errNoRefreshToken}
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeLimit)
	defer cancel()
	x := &exchange{client: c}
	config := oauth2.Config{
		ClientID: c.clientID(),
		Endpoint: oauth2.Endpoint{
			TokenURL: c.endpoint("/oauth/token"),
			// The zero style sends a failing request a second time, which
			// presents a spent token (FACTS-upstream 7.2).
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	// oauth2 reads at most 1 MiB of the answer.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, x.httpClient())
	token, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh.Reveal()}).Token()
	if err != nil {
		return Tokens{}, refreshError(x.status, err)
	}
	return x.tokens(token, refresh), nil
}

var errNoRefreshToken = errors.New("there is no refresh token to send")

// tokens reads a successful answer to a request that sent the token sent.
func (x *exchange) tokens(t *oauth2.Token, sent logging.Secret) Tokens {
	id, _ := t.Extra("id_token").(string) // absent is fine
	tokens := Tokens{
		Access:  logging.NewSecret(t.AccessToken),
		Refresh: logging.NewSecret(t.RefreshToken),
		ID:      logging.NewSecret(id),
	}
	// oauth2 puts the old token where the answer has none.
	if tokens.Refresh.Equal(sent) {
		tokens.Refresh = logging.Secret{}
	}
	if t.ExpiresIn > 0 {
		tokens.ExpiresAt = x.at.Add(time.Duration(t.ExpiresIn) * time.Second)
	} else if claims, err := ParseClaims(tokens.Access, logging.Secret{}); err == nil {
		// An access token that is no JWT has no time of its own to tell.
		tokens.ExpiresAt = claims.ExpiresAt
	}
	return tokens
}
