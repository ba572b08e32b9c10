package auth

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"codex-rota/logging"
)

// How a login can end without tokens, besides *DeniedError and *ExchangeError.
var (
	ErrLoginCancelled = errors.New("the login was cancelled")
	ErrLoginExpired   = errors.New("the login was not finished in time")
	// ErrLoginOver is the answer to a paste after the login's end, or after its
	// one code came.
	ErrLoginOver = errors.New("this login is over")
	// ErrDeviceDisabled is the issuer's 404 to the request for a device code.
	ErrDeviceDisabled = errors.New("login by device code is not enabled for this workspace")
)

// DeniedError is the issuer's or the person's no. Both fields are the issuer's
// words, made fit to be shown.
type DeniedError struct {
	Code        string // such as access_denied
	Description string // "" when none was given
}

func newDenied(code, description string) *DeniedError {
	return &DeniedError{Code: showable(code, 64), Description: showable(description, 300)}
}

func (e *DeniedError) Error() string { return "the sign-in was refused: " + e.Reason() }

// Reason is the code, and the description where there is one.
func (e *DeniedError) Reason() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// PortError says that the browser cannot come back: no address of the callback
// port could be had. Paste and device logins need none.
type PortError struct {
	Port   int
	Taken  bool   // another program has it
	Holder string // that program, such as "node (process 4711)"; "" when unknown

	cause error
}

func (e *PortError) Error() string {
	switch {
	case e.Taken && e.Holder != "":
		return fmt.Sprintf("port %d is taken by %s", e.Port, e.Holder)
	case e.Taken:
		return fmt.Sprintf("port %d is taken by another program", e.Port)
	}
	return fmt.Sprintf("cannot listen on port %d: %v", e.Port, e.cause)
}

// Unwrap gives the system's error.
func (e *PortError) Unwrap() error { return e.cause }

// showable makes text from outside fit for a terminal and a page: no control
// characters, no credentials, not longer than limit characters.
func showable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	runes := []rune(logging.RedactString(strings.TrimSpace(s)))
	if len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return string(runes)
}
