package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"codex-rota/pool"
)

// Hosts whose manners the service knows (FACTS-hosts).
const (
	HostOpenCode = "opencode"
	HostCodex    = "codex"
)

// refuse is the error for code, with the response for the host at hand.
func (s *Service) refuse(code Code, retryAt time.Time) *Error {
	e := refusal(code, retryAt, s.accountStates(), s.now())
	e.Response = hostResponse(s.hostName(), e)
	return e
}

// modelNotServed is no_accounts for one model: accounts are ready, and none of
// them may serve it.
const modelNotServed Code = "model_not_served"

// refusal builds the error. The words are ours and hold at most a time: no ids,
// labels or upstream text. A test runs OpenCode's own retry pattern over every
// one of them, because a match would make it ask again.
func refusal(code Code, retryAt time.Time, accounts []AccountState, now time.Time) *Error {
	e := &Error{Code: code, RetryAt: retryAt, Accounts: accounts}
	switch code {
	case CodeNoAccounts:
		e.Message, e.Hint = "there is no ChatGPT account in the pool yet", "codex-rota add"
		if len(accounts) > 0 {
			e.Message, e.Hint = "every ChatGPT account in the pool is disabled", "codex-rota enable WHO"
		}
	case modelNotServed:
		e.Code = CodeNoAccounts
		e.Message, e.Hint = "no ChatGPT account in the pool may use this model", "codex-rota explain"
	case CodeLoginRequired:
		e.Message, e.Hint = loginMessage(accounts)
	case CodeAllLimited:
		e.Message, e.Hint = limitedMessage(accounts, retryAt, now), "codex-rota status"
	case CodePinnedUnavailable:
		e.Message, e.Hint = pinnedMessage(accounts, retryAt, now), "codex-rota unpin"
	case CodeUpstreamUnreachable:
		e.Message, e.Hint = "OpenAI could not be reached, or broke off before it answered", "codex-rota doctor"
	case CodeStoreUnreadable:
		e.Message, e.Hint = "the accounts file cannot be read, and was left as it is", "codex-rota doctor"
	case CodeStoreConflict:
		e.Message, e.Hint = "another process holds the accounts file", "codex-rota doctor"
	case CodeCancelled:
		e.Message = "the call was cancelled"
	default:
		e.Code = CodeInternal
		e.Message, e.Hint = "codex-rota met a fault of its own", "codex-rota doctor"
	}
	if e.Hint != "" {
		e.Message += ". Type: " + e.Hint
	}
	return e
}

func loginMessage(accounts []AccountState) (message, hint string) {
	switch {
	case count(accounts, pool.StateReady) > 0:
		return "the ChatGPT account of this call was signed out", "codex-rota add"
	case count(accounts, pool.StateNeedsLogin) == 0 && count(accounts, pool.StateSuspended) > 0:
		return "every ChatGPT account left in the pool is suspended by its workspace", "codex-rota status"
	}
	return "no ChatGPT account in the pool is logged in any more", "codex-rota add"
}

func limitedMessage(accounts []AccountState, retryAt, now time.Time) string {
	what := "no ChatGPT account can be used now"
	switch n := len(accounts); {
	case count(accounts, pool.StateLimited)+count(accounts, pool.StateCooling) < n:
	case n == 1:
		what = "the only ChatGPT account has reached its limit"
	case n > 99: // a count of 429 would read as a status
		what = "all ChatGPT accounts have reached their limit"
	case n > 1:
		what = fmt.Sprintf("all %d ChatGPT accounts have reached their limit", n)
	}
	if retryAt.After(now) {
		what += "; the next reset is at " + clock(retryAt, now)
	}
	return what
}

func pinnedMessage(accounts []AccountState, retryAt, now time.Time) string {
	for _, a := range accounts {
		switch {
		case !a.pinned:
		case a.State == string(pool.StateDisabled):
			return "the pinned ChatGPT account is disabled"
		case a.State == string(pool.StateNeedsLogin):
			return "the pinned ChatGPT account needs a new login"
		case a.State == string(pool.StateSuspended):
			return "the pinned ChatGPT account is suspended by its workspace"
		}
	}
	if retryAt.After(now) {
		return "the pinned ChatGPT account has reached its limit until " + clock(retryAt, now)
	}
	return "the pinned ChatGPT account cannot be used now"
}

func count(accounts []AccountState, state pool.StateName) int {
	n := 0
	for _, a := range accounts {
		if a.State == string(state) {
			n++
		}
	}
	return n
}

// clock is the time of day, with the day where it is not today.
func clock(t, now time.Time) string {
	t, now = t.In(now.Location()), now.In(now.Location())
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("15:04 on Mon 2 Jan")
}

// HostResponse is what the host returns to its caller for an error that a front
// end made itself.
func (s *Service) HostResponse(e *Error) *HostResponse { return hostResponse(s.hostName(), e) }

// hostResponse is the status and words that end the turn cleanly in the host:
// OpenCode shows a 403 without Retry-After once; Codex takes a limit as a 429
// usage_limit_reached and everything else as a 400 (FACTS-hosts 1 and 2).
func hostResponse(host string, e *Error) *HostResponse {
	type body struct {
		Message  string `json:"message"`
		Type     string `json:"type"`
		Code     string `json:"code"`
		ResetsAt int64  `json:"resets_at,omitempty"`
	}
	b := body{Message: e.Message, Type: "invalid_request_error", Code: "codex_rota_" + string(e.Code)}
	if e.Code == CodePinnedUnavailable {
		b.Code = "codex_rota_pinned" // "unavailable" is a word that OpenCode retries on
	}
	status := 403
	if host == HostCodex {
		status = 400
		if e.Code == CodeAllLimited || e.Code == CodePinnedUnavailable && !e.RetryAt.IsZero() {
			status, b.Type, b.Code = 429, "usage_limit_reached", "usage_limit_reached"
			if !e.RetryAt.IsZero() {
				b.ResetsAt = e.RetryAt.Unix()
			}
		}
	}
	text, _ := json.Marshal(map[string]body{"error": b})
	return &HostResponse{Status: status, Headers: []Header{{"content-type", "application/json"}}, Body: string(text)}
}

// storeError turns a failure of the pool's files into what the person is told.
// The host's response keeps to our words; who asked by hand gets the path too. An
// *Error stays what it is.
func (s *Service) storeError(err error) *Error {
	var known *Error
	var unreadable *pool.UnreadableError
	var unwritable *pool.UnwritableError
	var held *pool.LockTimeoutError
	code, message := CodeInternal, ""
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, pool.ErrNoAccount):
		return badParams("the account is gone")
	case errors.As(err, &unreadable):
		code, message = CodeStoreUnreadable, unreadable.Error()
	case errors.As(err, &held):
		code, message = CodeStoreConflict, held.Error()
	case errors.As(err, &unwritable):
		message = unwritable.Error()
	}
	e := s.refuse(code, time.Time{})
	if e.cause = err; message != "" {
		e.Message = message
	}
	return e
}

func badParams(format string, args ...any) *Error {
	return &Error{Code: CodeInternal, Params: true, Message: fmt.Sprintf(format, args...)}
}
