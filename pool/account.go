// Package pool keeps the accounts: it stores them, refreshes their tokens
// under a lock, remembers what is known of their quotas, and chooses one for
// each call. It makes no model call, and knows neither hosts nor requests.
package pool

import (
	"encoding/json"
	"time"

	"codex-rota/logging"
)

// Account is one seat as the accounts file keeps it. ID is given once and
// kept; AccountID with AccountUserID or UserID is the seat (DESIGN 5). E-mail
// and position are labels, never keys. Tokens are stored in clear text, mode
// 0600.
type Account struct {
	ID            string
	AccountID     string // chatgpt_account_id: the workspace, what the backend meters
	AccountUserID string // chatgpt_account_user_id
	UserID        string // chatgpt_user_id
	Email         string
	Label         string
	Tags          []string
	Note          string
	Enabled       bool
	Pinned        bool // at most one account is pinned
	Preferred     bool // at most one account is preferred (command switch)
	Plan          string
	Residency     string
	Refresh       logging.Secret
	Access        logging.Secret
	ExpiresAt     time.Time // of Access; zero when unknown, which counts as expired
	RefreshedAt   time.Time // when Access was received
	AddedAt       time.Time
	Source        string // browser, device, paste, import:…, migrated
	Flag          *Flag  // not nil: the seat lives in the flagged file

	// Problem says why the stored access token cannot be used as it is, ""
	// when it can. It is found at load and never stored.
	Problem string

	extra map[string]json.RawMessage // unknown fields, kept across rewrites
}

// hasAccess reports whether an access token is stored that may be presented
// while it lasts.
func (a *Account) hasAccess() bool { return !a.Access.IsZero() && a.Problem == "" }

// FlagKind is the final verdict that took a seat out of service.
type FlagKind string

const (
	FlagNeedsLogin FlagKind = "needs_login"
	FlagSuspended  FlagKind = "suspended"
)

// Flag says why a seat is in the flagged file. RefusedHash is the hash of the
// refresh token that was refused, never the token.
type Flag struct {
	Kind        FlagKind
	Reason      string
	At          time.Time
	RefusedHash string
}
