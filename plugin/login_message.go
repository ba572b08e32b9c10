package plugin

import "time"

// The ways to log in.
const (
	LoginBrowser = "browser" // the browser comes back to a port of ours
	LoginDevice  = "device"  // a code is typed on any device
	LoginPaste   = "paste"   // the person copies the address that the browser ended on
)

// LoginStartParams asks for a login. Method is browser, device or paste. Fresh
// has the browser ask who signs in even when somebody is signed in there; left
// out it is true once there are accounts.
type LoginStartParams struct {
	Method string `json:"method"`
	Fresh  *bool  `json:"fresh,omitempty"`
	Label  string `json:"label,omitempty"`
}

// LoginStarted is a login that waits for the person. Method is how it goes on:
// paste in place of browser when the browser cannot come back, and Notice then
// says why. Instructions are for the person and hold the notice.
type LoginStarted struct {
	Login        string    `json:"login"`
	Method       string    `json:"method"`
	URL          string    `json:"url"`
	UserCode     string    `json:"userCode,omitempty"`
	Notice       string    `json:"notice,omitempty"`
	Instructions string    `json:"instructions"`
	ExpiresAt    time.Time `json:"expiresAt"`
}

type LoginParams struct {
	Login string `json:"login"`
}

// LoginPasteParams is what the person copied: the whole address, or what of it
// holds the code.
type LoginPasteParams struct {
	Login string `json:"login"`
	Text  string `json:"text"`
}

// LoginResult is the account that a login became. Added says what the login was:
// new, updated, healed, second seat or second workspace (package pool).
type LoginResult struct {
	Account Account `json:"account"`
	Added   string  `json:"added"`
}
