package auth

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"codex-rota/logging"
)

// ErrPaste is what every refusal of a pasted text wraps. The login waits on:
// the person may paste again.
var ErrPaste = errors.New("the pasted text cannot be used")

// ErrStateMismatch is a state that is not this login's: the answer belongs to
// another login, or somebody wants us to take theirs.
var ErrStateMismatch = errors.New("its state is not this login's, so it belongs to another one")

// pasteLimit is the longest text that is looked at, in bytes.
const pasteLimit = 16 << 10

// reply is what the issuer sent the browser back with.
type reply struct {
	code   logging.Secret
	state  logging.Secret // zero when there was none
	denied *DeniedError   // instead of a code
}

// readReply reads the parameters of a return to the callback. first wins, and
// rest fills in what it lacks.
func readReply(first, rest url.Values) reply {
	get := func(name string) string {
		if v := first.Get(name); v != "" {
			return v
		}
		return rest.Get(name)
	}
	r := reply{code: logging.NewSecret(get("code")), state: logging.NewSecret(get("state"))}
	if reason := get("error"); reason != "" {
		r.code, r.denied = logging.Secret{}, newDenied(reason, get("error_description"))
	}
	return r
}

// codeAlphabet is what an authorization code may be made of. A sentence pasted by
// mistake must not be sent: one try is all that a login has.
const codeAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/-"

func isBareCode(s string) bool { return s != "" && strings.Trim(s, codeAlphabet) == "" }

// parsePaste reads what a person copied: a whole URL (its query first, a
// fragment fills what is missing), code#state, code=…&state=…, or a bare code
// (FACTS-upstream 1). Line breaks that a terminal put into it are dropped.
func parsePaste(text string) (reply, error) {
	if len(text) > pasteLimit {
		return reply{}, fmt.Errorf("%w: it is longer than %d bytes", ErrPaste, pasteLimit)
	}
	text = strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(text)
	text = strings.Trim(text, " \"'<>")
	if text == "" {
		return reply{}, fmt.Errorf("%w: it is empty", ErrPaste)
	}
	base, fragment, _ := strings.Cut(text, "#")
	address, query, isURL := strings.Cut(base, "?")
	if !isURL && strings.Contains(base, "=") {
		query, isURL = base, true
	}
	isURL = isURL || strings.Contains(address, "://")
	if !isURL {
		query = url.Values{"code": {base}}.Encode()
		if !strings.Contains(fragment, "=") {
			fragment = url.Values{"state": {fragment}}.Encode()
		}
	}
	first, err := url.ParseQuery(query)
	rest, err2 := url.ParseQuery(fragment)
	if err != nil || err2 != nil {
		return reply{}, fmt.Errorf("%w: it is damaged", ErrPaste)
	}
	r := readReply(first, rest)
	if r.denied == nil && !isBareCode(r.code.Reveal()) {
		return reply{}, fmt.Errorf("%w: there is no code in it", ErrPaste)
	}
	return r, nil
}
