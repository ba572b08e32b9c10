package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"codex-rota/auth"
)

// TestLoginWords: what ended a login is told in our words. The issuer's are for
// the person alone, and nothing makes OpenCode ask again.
func TestLoginWords(t *testing.T) {
	patterns, thrown := retryPattern(t)
	r := newLoginRig(t)
	for _, tc := range []struct {
		err  error
		code Code
		says string
	}{
		{auth.ErrLoginCancelled, CodeCancelled, "the login was cancelled"},
		{context.Canceled, CodeCancelled, "the login was cancelled"},
		{auth.ErrLoginExpired, CodeLoginRequired, "the login was not finished in time. Type: codex-rota add"},
		{auth.ErrDeviceDisabled, CodeLoginRequired, "login by device code is not enabled for this workspace. Type: codex-rota add --paste"},
		{&auth.DeniedError{Code: "access_denied", Description: "UPSTREAM"}, CodeLoginRequired, "the sign-in was declined in the browser. Type: codex-rota add"},
		{&auth.DeniedError{Code: "UPSTREAM"}, CodeLoginRequired, "the sign-in was refused. Type: codex-rota add"},
		{&auth.ExchangeError{Status: 400, Code: "UPSTREAM"}, CodeLoginRequired, "the sign-in server refused the login. Type: codex-rota add"},
		{&auth.ExchangeError{Status: 429, Code: "UPSTREAM"}, CodeUpstreamUnreachable, "the sign-in server gave no usable answer; no account was added. Type: codex-rota add"},
		{&auth.ExchangeError{}, CodeUpstreamUnreachable, "the sign-in server does not answer from this machine; no account was added. Type: codex-rota add"},
		{fmt.Errorf("the login cannot be used: %w", auth.ErrNoSeat), CodeLoginRequired, "the login cannot be used: " + auth.ErrNoSeat.Error() + ". Type: codex-rota add"},
	} {
		e := r.loginError(tc.err)
		if e.Code != tc.code || e.Message != tc.says || !errors.Is(e, tc.err) {
			t.Errorf("%v: %s %q", tc.err, e.Code, e.Message)
		}
		for _, p := range patterns {
			if p.MatchString(e.Message) || p.MatchString(e.Response.Body) {
				t.Errorf("OpenCode repeats on %v: %s", p, e.Response.Body)
			}
		}
		for _, word := range thrown {
			if strings.Contains(strings.ToLower(e.Message), word) {
				t.Errorf("OpenCode repeats a thrown %q: %s", word, e.Message)
			}
		}
		if strings.Contains(e.Message+e.Response.Body, "UPSTREAM") {
			t.Errorf("upstream's words: %s", e.Response.Body)
		}
	}
}
