package plugin

import (
	"time"
)

// Code names an error of DESIGN 3. Package rpc gives each its number.
type Code string

const (
	CodeTooLarge            Code = "too_large"
	CodeProtocolMismatch    Code = "protocol_mismatch"
	CodeNoAccounts          Code = "no_accounts"
	CodeLoginRequired       Code = "login_required"
	CodeAllLimited          Code = "all_limited"
	CodePinnedUnavailable   Code = "pinned_unavailable"
	CodeUpstreamUnreachable Code = "upstream_unreachable"
	CodeStoreUnreadable     Code = "store_unreadable"
	CodeStoreConflict       Code = "store_conflict"
	CodeCancelled           Code = "cancelled"
	CodeInternal            Code = "internal"
)

// Error is what every front end shows: one human sentence that says what
// happened and then what to type, and data for programs. It never holds a token
// or upstream text.
type Error struct {
	Code     Code
	Message  string
	RetryAt  time.Time // zero when no time is known
	Hint     string    // the command to type, "" when there is none
	Accounts []AccountState
	// Response is what the host returns to its caller, nil before a host is known.
	Response *HostResponse
	// Params marks an error in the caller's params (JSON-RPC -32602).
	Params bool
	cause  error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.cause }

// PinnedState is the state of the pinned account, "" when none is pinned.
func (e *Error) PinnedState() string {
	for _, a := range e.Accounts {
		if a.pinned {
			return a.State
		}
	}
	return ""
}

// AccountState is one account's part in an error's data.
type AccountState struct {
	ID     string     `json:"id"`
	Label  string     `json:"label"`
	State  string     `json:"state"`
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason"`

	pinned bool
}
