package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"codex-rota/logging"

	"golang.org/x/oauth2"
)

// RefreshError is a token endpoint's refusal, or the failure to get a usable
// answer from it. Code is the OAuth or OpenAI error code, "" when none was
// given; Status is 0 when there was no answer. Its text never holds a token or
// the issuer's answer.
//
// Of Revoked, Final and Transport the caller asks in this order. None of them
// is a refusal that we do not know: nothing is concluded from it.
type RefreshError struct {
	Status int
	Code   string

	invalidated bool  // said by the message instead of a code
	cause       error // why there was no answer; never the answer itself
}

func (e *RefreshError) Error() string {
	code := e.Code
	if code != "" {
		code = " " + code
	}
	switch {
	case errors.Is(e.cause, errNoRefreshToken):
		return errNoRefreshToken.Error()
	case e.Status == 0 && errors.Is(e.cause, context.DeadlineExceeded):
		return fmt.Sprintf("the sign-in server did not answer within %v", exchangeLimit)
	case e.Status == 0:
		return "the sign-in server could not be reached"
	case e.refused():
		return fmt.Sprintf("the sign-in server refused the refresh token: %d%s", e.Status, code)
	}
	return fmt.Sprintf("the sign-in server gave no usable answer: %d%s", e.Status, code)
}

// Unwrap gives the network's error when there was no answer, so that a caller
// can tell its own cancel from a failure.
func (e *RefreshError) Unwrap() error { return e.cause }

// Final reports whether the issuer refused this refresh token for good
// (DESIGN 5).
func (e *RefreshError) Final() bool {
	if !e.refused() {
		return false
	}
	switch e.Code {
	case "invalid_grant", "refresh_token_reused", "refresh_token_expired", "refresh_token_invalidated", "app_session_terminated":
		return true
	}
	return false
}

// Revoked reports whether the issuer says that tokens were invalidated or
// revoked: then presenting another account's tokens at once is what gets them
// all invalidated (DESIGN 4, FACTS-upstream 4).
func (e *RefreshError) Revoked() bool {
	if !e.refused() {
		return false
	}
	switch e.Code {
	case "token_invalidated", "token_revoked", "refresh_token_reused", "refresh_token_invalidated":
		return true
	}
	return e.invalidated
}

// Transport reports whether nothing was decided about the token: no answer, a
// timeout, a redirect, 408, 429, 5xx, or a success without a usable token.
func (e *RefreshError) Transport() bool {
	return !e.refused() && !errors.Is(e.cause, errNoRefreshToken)
}

// refused reports whether there was an answer that is about the token.
func (e *RefreshError) refused() bool { return isRefusal(e.Status) }

// isRefusal reports whether an answer with this status is about what was sent,
// and not about the server or the pace.
func isRefusal(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

// refreshError reads what oauth2 made of a failure. The library's own error
// prints the whole answer, so it goes no further than this.
func refreshError(status int, err error) *RefreshError {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		e := &RefreshError{Status: status}
		if status == 0 {
			e.cause = err
		}
		return e
	}
	e := &RefreshError{Status: status}
	e.Code, e.invalidated = readRefusal(answer.Body)
	return e
}

// refusal is every place where an error answer has been seen to keep its code
// and its text (FACTS-upstream 4). error and detail are an object or a string.
type refusal struct {
	Error       json.RawMessage `json:"error"`
	Detail      json.RawMessage `json:"detail"`
	Code        json.RawMessage `json:"code"`
	Description json.RawMessage `json:"error_description"`
	Message     json.RawMessage `json:"message"`
}

// readRefusal finds the code of an error answer, the more telling one where
// there are two, and whether its words say that the token was invalidated. HTML
// and empty answers have no code.
func readRefusal(body []byte) (code string, invalidated bool) {
	var r refusal
	if err := json.Unmarshal(body, &r); err != nil {
		return "", false
	}
	texts := []string{text(r.Description), text(r.Message), text(r.Detail), text(r.Error)}
	codes := []string{text(r.Code)}
	for _, nested := range []json.RawMessage{r.Error, r.Detail} {
		var inner refusal
		if json.Unmarshal(nested, &inner) != nil {
			continue // a string, or absent
		}
		codes = append(codes, text(inner.Code))
		texts = append(texts, text(inner.Message))
	}
	codes = append(codes, text(r.Error), text(r.Detail))
	for _, t := range texts {
		t = strings.ToLower(t)
		invalidated = invalidated || strings.Contains(t, "invalidated oauth token") || strings.Contains(t, "token has been invalidated")
	}
	return mostTelling(codes), invalidated
}

// mostTelling is the first code that decides something, else the first that is
// a code at all: one we do not know must not hide one that we do.
func mostTelling(codes []string) string {
	for _, c := range codes {
		if e := (RefreshError{Status: http.StatusBadRequest, Code: c}); e.Final() || e.Revoked() {
			return c
		}
	}
	for _, c := range codes {
		if isCode(c) {
			return c
		}
	}
	return ""
}

// text is a JSON string's text, "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// isCode keeps free text, and a token echoed back to us, out of error texts.
func isCode(s string) bool {
	return hasCodeForm(s) && logging.RedactString(s) == s
}

// hasCodeForm: 2 to 64 small letters, digits, dots and underscores, a letter first.
func hasCodeForm(s string) bool {
	if len(s) < 2 || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.") == ""
}
