package plugin

import (
	"context"
	"errors"

	"codex-rota/auth"
)

// loginError is a failed login in our words: what the issuer said goes to the
// log, and to a person through Unwrap, never to a host.
func (s *Service) loginError(err error) *Error {
	var known *Error
	var denied *auth.DeniedError
	var refused *auth.ExchangeError
	code, hint, message := CodeLoginRequired, "codex-rota add", ""
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, auth.ErrLoginCancelled), errors.Is(err, context.Canceled):
		code, hint, message = CodeCancelled, "", "the login was cancelled"
	case errors.Is(err, auth.ErrDeviceDisabled):
		hint, message = "codex-rota add --paste", err.Error()
	case errors.As(err, &denied):
		message = "the sign-in was refused"
		if denied.Code == "access_denied" {
			message = "the sign-in was declined in the browser"
		}
	case errors.As(err, &refused) && refused.Refused():
		message = "the sign-in server refused the login"
	case errors.As(err, &refused):
		code, message = CodeUpstreamUnreachable, "the sign-in server gave no usable answer; no account was added"
		if refused.Status == 0 {
			message = "the sign-in server does not answer from this machine; no account was added"
		}
	default: // too late, or tokens that name no seat: those words are ours
		message = err.Error()
	}
	return s.loginRefusal(code, message, hint, err)
}

func (s *Service) loginRefusal(code Code, message, hint string, cause error) *Error {
	if hint != "" {
		message += ". Type: " + hint
	}
	e := &Error{Code: code, Message: message, Hint: hint, Accounts: s.accountStates(), cause: cause}
	e.Response = hostResponse(s.hostName(), e)
	return e
}
