// Package auth speaks OAuth with OpenAI's issuer: it refreshes tokens and reads
// the claims in them. It stores nothing and chooses nothing: package pool
// decides when a refresh token may be spent and where its successor is kept.
package auth

import (
	"time"

	"codex-rota/logging"
)

// Tokens is what one answer of the token endpoint gave. Refresh is empty when
// the answer had none, which means that the old one stays valid
// (FACTS-upstream 1). ExpiresAt is receipt time + expires_in, else the access
// token's own exp claim.
type Tokens struct {
	Access    logging.Secret
	Refresh   logging.Secret
	ID        logging.Secret
	ExpiresAt time.Time
}

// Claims is what an access token and its id token say of the seat
// (FACTS-upstream 2). AccountID is the workspace; AccountUserID and UserID name
// the person in it. Residency is empty for "no_constraint".
type Claims struct {
	AccountID     string
	AccountUserID string
	UserID        string
	Plan          string
	Residency     string
	Email         string
	ExpiresAt     time.Time
}

// RefreshError is a token endpoint's refusal, or the failure to get an answer
// from it. Code is the OAuth or OpenAI error code, "" when none was given;
// Status is 0 when there was no answer. Its text never holds a token or the
// issuer's answer.
type RefreshError struct {
	Status int
	Code   string
	cause  error
}
