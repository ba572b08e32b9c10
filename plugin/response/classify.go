package response

import (
	"strings"
	"time"
)

// The statuses that mean something here. Package net/http has them too, but
// brings I/O into a package that does none.
const (
	statusOK              = 200
	statusBadRequest      = 400
	statusUnauthorized    = 401
	statusTooManyRequests = 429
	statusServerError     = 500 // and everything above
	statusBadGateway      = 502
	statusUnavailable     = 503
)

// Classify understands an answer: an error status with its body (at most its
// first 64 KiB), or a 2xx with what came of its body so far, which it reads as
// Head does. Every answer's quota windows and plan are in the outcome.
//
// When an answer carries the marks of several classes, precedence decides; codes
// come before messages, and both before the status.
func Classify(status int, headers []Header, body []byte, now time.Time) Outcome {
	if isSuccess(status) {
		var head Head
		head.Feed(body)
		return head.Outcome(now, status, headers)
	}
	a := newAnswer(status, headers, now)
	r := readBody(body)
	return a.refused(&r)
}

// precedence orders the classes that a code can mean, for answers with more than
// one code. First what only a person can mend; entitlement before quota, because
// it never ends by waiting; quota before the short limits, because it is the
// longer wait; overload before rate limit, because no account is to blame.
var precedence = [...]Class{
	ClassAuthRevoked, ClassEntitlement, ClassWorkspace, ClassQuota, ClassModel, ClassEncryptedContent,
	classByMessage,
	ClassOther, ClassOverload, ClassRateLimit, ClassAuth,
}

// classByMessage is the place of the message in precedence: "not included in
// your plan" is never a rate limit, and an invalidated token must not be
// renewed as a merely expired one.
const classByMessage Class = "message"

// answer is the part of an answer that does not depend on its body.
type answer struct {
	headerLimits
	status  int
	headers []Header
	now     time.Time
}

func newAnswer(status int, headers []Header, now time.Time) *answer {
	return &answer{headerLimits: readLimits(headers, now), status: status, headers: headers, now: now}
}

// outcome is the outcome of an answer that is no refusal (yet).
func (a *answer) outcome(class Class) Outcome {
	return Outcome{Class: class, Status: a.status, Windows: a.windows, Plan: a.plan, ActiveLimit: a.active}
}

// refused is the outcome of an answer that says r.
func (a *answer) refused(r *refusal) Outcome {
	out := a.outcome(a.class(r))
	out.Code, out.Message = r.code, r.message
	if out.Code == "" {
		out.Code = r.kind
	}
	if out.Plan == "" {
		out.Plan = r.plan
	}
	out.InStream = isSuccess(a.status)
	a.setWait(&out, r)
	if out.Class == ClassModel || out.Class == ClassEntitlement {
		out.Model = namedModel(r.message)
	}
	return out
}

func (a *answer) class(r *refusal) Class {
	for _, class := range precedence {
		if class == classByMessage {
			if class := messageClass(r.message); class != "" {
				return class
			}
			continue
		}
		for _, ident := range r.idents {
			if codeClass(ident) == class {
				return class
			}
		}
		if class == ClassOverload && r.isServerError() {
			return class
		}
	}
	return a.statusClass(r)
}

// codeClass is what one code or type means, "" when it means nothing here
// (FACTS-upstream 4).
func codeClass(ident string) Class {
	switch ident {
	case "token_invalidated", "token_revoked", "refresh_token_reused", "refresh_token_invalidated":
		return ClassAuthRevoked
	case "invalid_token", "token_expired":
		return ClassAuth
	case "usage_not_included":
		return ClassEntitlement
	case "deactivated_workspace", "workspace_disabled", "account_deactivated":
		return ClassWorkspace
	case "insufficient_quota", "quota_exceeded":
		return ClassQuota
	case "model_not_found":
		return ClassModel
	case "invalid_encrypted_content":
		return ClassEncryptedContent
	case "context_length_exceeded":
		return ClassOther
	case "server_is_overloaded", "service_unavailable_error", "slow_down":
		return ClassOverload
	case "tokens_exhausted", "too_many_requests":
		return ClassRateLimit
	}
	switch {
	// The backend has variants: subscription_sharing_usage_limit_exceeded.
	case strings.Contains(ident, "usage_limit"):
		return ClassQuota
	case strings.HasPrefix(ident, "rate_limit"), strings.HasPrefix(ident, "tpm_"),
		strings.HasPrefix(ident, "rpm_"), strings.HasPrefix(ident, "concurrent_request_limit"):
		return ClassRateLimit
	}
	return ""
}

// isServerError: server_error counts as code and type together. The error object
// of a failure event has no type; there one of the two is enough, unless the
// other says something else.
func (r *refusal) isServerError() bool {
	const ident = "server_error"
	if r.stream && (r.code == "" || r.kind == "") {
		return r.code == ident || r.kind == ident
	}
	return r.code == ident && r.kind == ident
}

func messageClass(message string) Class {
	message = strings.ToLower(message)
	switch {
	case message == "":
		return ""
	case strings.Contains(message, "invalidated oauth token"), strings.Contains(message, "token has been invalidated"):
		return ClassAuthRevoked
	case strings.Contains(message, "not included in your plan"):
		return ClassEntitlement
	case strings.Contains(message, "model is not supported when using codex"):
		return ClassModel
	}
	return ""
}

// statusClass is for a refusal whose words mean nothing here. A failure event
// may name the status it would have had.
func (a *answer) statusClass(r *refusal) Class {
	status := a.status
	if isSuccess(status) {
		status = r.status
	}
	switch {
	case status == statusUnauthorized:
		return ClassAuth
	case status == statusTooManyRequests && a.tellsQuota(r):
		return ClassQuota
	case status == statusTooManyRequests:
		return ClassRateLimit
	case status >= statusServerError:
		return ClassOverload
	}
	return ClassOther
}

// tellsQuota reports whether a 429 without a known code is a spent quota: an
// exhausted window in its headers, or the fields and words that only quota
// errors have.
func (a *answer) tellsQuota(r *refusal) bool {
	if _, limit := latestReset(a.windows, a.now, a.concerns); limit != "" {
		return true
	}
	for _, object := range r.hints {
		if object.Get("resets_at").Exists() || object.Get("resets_in_seconds").Exists() || object.Get("plan_type").Exists() {
			return true
		}
	}
	return strings.Contains(strings.ToLower(r.message), "usage limit")
}

// namedModel finds the model in the message of a model refusal: the first quoted
// word, else the word behind "model" if it looks like a slug. "" when it names
// none.
func namedModel(message string) string {
	for i, r := range message {
		if !strings.ContainsRune("'`\"", r) {
			continue
		}
		quoted, _, closed := strings.Cut(message[i+1:], string(r))
		if closed && isSlug(quoted) {
			return quoted
		}
	}
	words := strings.Fields(message)
	for i, word := range words[:max(0, len(words)-1)] {
		next := strings.TrimRight(words[i+1], ".,:;")
		if strings.EqualFold(strings.TrimRight(word, ":"), "model") && isSlug(next) && strings.ContainsAny(next, "0123456789") {
			return next
		}
	}
	return ""
}

// isSlug reports whether s is written as model ids and error codes are.
func isSlug(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_.:/", r):
		default:
			return false
		}
	}
	return true
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }
