package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
	"codex-rota/pool"
)

// ImportFile is a file that may hold logins, read already. Its content tells
// what it is, not its name.
type ImportFile struct {
	From string // one of the From… names
	Path string
	Data []byte
	Err  error // why it could not be read
}

// Who keeps a file of logins.
const (
	FromOpenCode = "opencode"
	FromCodex    = "codex"
	FromPool     = "pool" // a Node tool of the same kind, or another pool of ours
	FromFile     = "file" // what the person named: an export or a copy of any of these
)

// foundLogin is one login in such a file. account has what the file and the
// token say of the seat; problem says why it is no login of ours, "" when it is.
type foundLogin struct {
	file     *ImportFile
	position int // in the file, from 1
	account  pool.Account
	tokens   auth.Tokens
	problem  string
}

// errNoLogins is a file that is none of the shapes below.
var errNoLogins = errors.New("it is no file of logins: want OpenCode's or Codex's auth.json, an accounts file, or an export of codex-rota")

// authFile is OpenCode's auth.json and Codex's, as far as they are read here
// (FACTS-hosts 1 and 2).
type authFile struct {
	OpenAI *struct {
		Type      string  `json:"type"`
		Refresh   string  `json:"refresh"`
		Access    string  `json:"access"`
		Expires   float64 `json:"expires"` // ms since 1970
		AccountID string  `json:"accountId"`
	} `json:"openai"`
	Tokens *struct {
		ID        string `json:"id_token"`
		Access    string `json:"access_token"`
		Refresh   string `json:"refresh_token"`
		AccountID string `json:"account_id"`
	} `json:"tokens"`
}

// readLogins gives the logins of a file. placeholder is the refresh token of our
// own entry in OpenCode's auth.json, which is no login. The error says why the
// file cannot be understood, and holds none of its text.
func readLogins(f *ImportFile, placeholder string) ([]foundLogin, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(f.Data, &members) == nil {
		_, accounts := members["accounts"]
		_, codex := members["tokens"]
		_, key := members["OPENAI_API_KEY"]
		switch {
		case accounts:
		case codex, key, f.From == FromCodex, f.From == FromOpenCode, isOpenCodeAuth(members):
			return readAuthFile(f, placeholder)
		default:
			return nil, errNoLogins
		}
	}
	accounts, err := pool.ReadAccounts(bytes.TrimPrefix(f.Data, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, err
	}
	logins := make([]foundLogin, len(accounts))
	for i := range accounts {
		a := accounts[i]
		logins[i] = foundLogin{file: f, position: i + 1, account: a,
			tokens: auth.Tokens{Access: a.Access, Refresh: a.Refresh, ExpiresAt: a.ExpiresAt}}
		logins[i].identify()
	}
	return logins, nil
}

// isOpenCodeAuth reports whether every member is an entry with a type, as all of
// OpenCode's are. An empty object is one too.
func isOpenCodeAuth(members map[string]json.RawMessage) bool {
	for _, raw := range members {
		var entry struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(raw, &entry) != nil || entry.Type == "" {
			return false
		}
	}
	return true
}

func readAuthFile(f *ImportFile, placeholder string) ([]foundLogin, error) {
	var file authFile
	if err := json.Unmarshal(f.Data, &file); err != nil {
		return nil, errors.New("a value in it has the wrong type") // the decoder's own text may quote a token
	}
	login := foundLogin{file: f, position: 1, account: pool.Account{Enabled: true}}
	switch o, c := file.OpenAI, file.Tokens; {
	case c != nil:
		login.account.AccountID = c.AccountID
		login.tokens = auth.Tokens{Access: logging.NewSecret(c.Access), Refresh: logging.NewSecret(c.Refresh), ID: logging.NewSecret(c.ID)}
	case o != nil && o.Type == "oauth" && o.Refresh != placeholder:
		login.account.AccountID = o.AccountID
		login.tokens = auth.Tokens{Access: logging.NewSecret(o.Access), Refresh: logging.NewSecret(o.Refresh)}
		if o.Expires > 0 && o.Expires < math.MaxInt64/1e6 {
			login.tokens.ExpiresAt = time.UnixMilli(int64(o.Expires))
		}
	default:
		return nil, nil
	}
	if login.tokens.Access.IsZero() && login.tokens.Refresh.IsZero() {
		return nil, nil
	}
	login.identify()
	return []foundLogin{login}, nil
}

// identify reads the seat from the access token (DESIGN 5), and says why the
// login cannot be used. One without an access token keeps what the file says of
// it: its seat is completed at its first refresh.
func (l *foundLogin) identify() {
	a := &l.account
	a.Refresh, a.Access = l.tokens.Refresh, l.tokens.Access
	switch {
	case a.Flag != nil:
		l.problem = "it is out of service there: " + logging.RedactString(a.Flag.Reason)
		return
	case l.tokens.Refresh.IsZero():
		l.problem = "it has no refresh token"
		return
	case l.tokens.Access.IsZero():
		a.AccountUserID, a.UserID = "", ""
		return
	}
	claims, err := auth.ParseClaims(l.tokens.Access, l.tokens.ID)
	if err == nil {
		err = claims.RequireSeat()
	}
	if err != nil {
		l.problem = err.Error()
		return
	}
	a.AccountID, a.AccountUserID, a.UserID = claims.AccountID, claims.AccountUserID, claims.UserID
	if claims.Email != "" {
		a.Email = claims.Email
	}
	if claims.Plan != "" {
		a.Plan = claims.Plan
	}
	// A file's own time may be anything; the token's is the issuer's.
	if !claims.ExpiresAt.IsZero() {
		l.tokens.ExpiresAt = claims.ExpiresAt
	}
	a.ExpiresAt = l.tokens.ExpiresAt
}

// complete reports whether the seat is known.
func (l *foundLogin) complete() bool { return !l.tokens.Access.IsZero() }
