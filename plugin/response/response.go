// Package response reads what the backend answered: status, headers, the head
// and the tail of a stream. It holds the one error taxonomy, the quota windows
// and the token usage. It is pure: no I/O, no clock, no logger; times are passed
// in. What to do about an outcome is package plugin's decision.
package response

import "time"

// Class is the meaning of an answer (FACTS-upstream 4).
type Class string

const (
	ClassQuota            Class = "quota"
	ClassRateLimit        Class = "rate_limit"
	ClassOverload         Class = "overload"
	ClassEntitlement      Class = "entitlement"
	ClassWorkspace        Class = "workspace"
	ClassModel            Class = "model"
	ClassAuth             Class = "auth"
	ClassAuthRevoked      Class = "auth_revoked"
	ClassEncryptedContent Class = "encrypted_content"
	ClassOther            Class = "other"  // deliver it
	ClassMore             Class = "more"   // a stream that has not said anything yet
	ClassOutput           Class = "output" // a stream whose output began
)

// Header is one name and value; names are compared without case.
type Header = [2]string

// Window is a quota window as an answer tells it. ResetAt is zero when the
// answer gives none.
type Window struct {
	Name          string // primary, secondary, code_review, or the limit's name
	UsedPercent   float64
	WindowMinutes int
	ResetAt       time.Time
}

// Outcome is one answer, understood.
type Outcome struct {
	Class  Class
	Status int
	// Code and Message are the upstream's; they are never shown to a person.
	Code    string
	Message string
	// Until is when the refusal ends (quota, rate limit, overload with a
	// hint), by the order of FACTS-upstream 4. Zero where the class has none.
	Until time.Time
	// Told is true when the answer itself gave Until, false for the 60 s default.
	Told bool
	// Limit is the window that Until belongs to, "" when the answer names none.
	Limit string
	// ActiveLimit is x-codex-active-limit, "" when absent or account-wide.
	ActiveLimit string
	// Model is the model that a model refusal names, "" when it names none.
	Model   string
	Windows []Window
	Plan    string
	// InStream is true when the failure came inside a 200 stream.
	InStream bool
}

// Usage is the token usage of a finished response.
type Usage struct {
	InputTokens     int64
	CachedTokens    int64
	OutputTokens    int64
	ReasoningTokens int64
}

// Tail is what the end of a stream tells.
type Tail struct {
	// Terminal is the type of the terminal event (response.completed,
	// response.incomplete, response.failed, error), "" when the stream was cut.
	Terminal string
	Usage    *Usage
	// Failure is set when the stream ended in a failure.
	Failure *Outcome
	// Windows and Plan are what rate limit events in the tail told, nil and ""
	// when there were none.
	Windows []Window
	Plan    string
}

// Collapsed is a whole stream as one JSON answer.
type Collapsed struct {
	Status  int
	Headers []Header
	Body    []byte
}
