package plugin

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"codex-rota/plugin/request"
)

// The messages of DESIGN 3. Field names and shapes are the wire's; manifest.json
// describes them to other hosts from these very types.

// Protocol is the version of the wire this binary speaks.
const Protocol = 1

// Header is one name and value, as [name, value] on the wire.
type Header = request.Header

// CallID is a host's own name for a call, kept as the JSON it came as (a number
// or a string), so that it goes back unchanged.
type CallID string

// String is the id for people and logs.
func (c CallID) String() string {
	if text, err := strconv.Unquote(string(c)); err == nil {
		return text
	}
	return string(c)
}

func (c CallID) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("null"), nil
	}
	return []byte(c), nil
}

func (c *CallID) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] == '{' || b[0] == '[' {
		return fmt.Errorf("call must be a string or a number")
	}
	if string(b) == "null" {
		*c = ""
		return nil
	}
	*c = CallID(b)
	return nil
}

// HostInfo names the host that spawned us.
type HostInfo struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type InitializeParams struct {
	Protocol    int      `json:"protocol"`
	Host        HostInfo `json:"host"`
	Shim        string   `json:"shim,omitempty"`
	Directory   string   `json:"directory,omitempty"`
	Attachments bool     `json:"attachments,omitempty"`
}

type InitializeResult struct {
	Protocol     int          `json:"protocol"`
	Name         string       `json:"name"`
	Version      string       `json:"version"`
	Capabilities Capabilities `json:"capabilities"`
	Accounts     AccountCount `json:"accounts"`
}

type Capabilities struct {
	Attachments bool `json:"attachments"`
}

type AccountCount struct {
	Total int `json:"total"`
	Ready int `json:"ready"`
}

// PrepareParams is one outgoing call. Body travels as the attachment, or in
// Body where the framing has none; the rpc layer hands it over as bytes.
type PrepareParams struct {
	Call    CallID   `json:"call,omitempty"`
	URL     string   `json:"url"`
	Method  string   `json:"method,omitempty"`
	Headers []Header `json:"headers,omitempty"`
	Session string   `json:"session,omitempty"`
	Body    *string  `json:"body,omitempty"`
}

// Prepared is a call ready to be sent, or Pass: true for one that is none of
// ours. Headers is the complete set to send. Edits are byte offsets into the
// body as it came. Body is the edited body, only for a host that sent it as a
// string and only when something changed.
type Prepared struct {
	Pass     bool           `json:"pass,omitempty"`
	Call     CallID         `json:"call,omitempty"`
	Account  *AccountRef    `json:"account,omitempty"`
	URL      string         `json:"url,omitempty"`
	Headers  []Header       `json:"headers,omitempty"`
	Edits    []request.Edit `json:"edits"`
	Body     *string        `json:"body,omitempty"`
	Collapse bool           `json:"collapse"`
	Timeouts *Timeouts      `json:"timeouts,omitempty"`
}

type AccountRef struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// Timeouts are in milliseconds: until the answer's headers, and between chunks.
type Timeouts struct {
	HeadersMs int64 `json:"headersMs"`
	IdleMs    int64 `json:"idleMs"`
}

type TransformParams struct {
	URL     string   `json:"url"`
	Headers []Header `json:"headers,omitempty"`
	Session string   `json:"session,omitempty"`
	Body    *string  `json:"body,omitempty"`
}

// Transformed is the half of Prepared that needs no account. Headers are those
// the transformation asks for beside the ones request/authorize gives.
type Transformed struct {
	Pass     bool           `json:"pass,omitempty"`
	URL      string         `json:"url,omitempty"`
	Headers  []Header       `json:"headers,omitempty"`
	Edits    []request.Edit `json:"edits"`
	Body     *string        `json:"body,omitempty"`
	Collapse bool           `json:"collapse"`
}

type AuthorizeParams struct {
	Call    CallID   `json:"call,omitempty"`
	URL     string   `json:"url"`
	Method  string   `json:"method,omitempty"`
	Headers []Header `json:"headers,omitempty"`
	Session string   `json:"session,omitempty"`
}

type Authorized struct {
	Pass    bool        `json:"pass,omitempty"`
	Call    CallID      `json:"call,omitempty"`
	Account *AccountRef `json:"account,omitempty"`
	URL     string      `json:"url,omitempty"`
	Headers []Header    `json:"headers,omitempty"`
}

// TransportError is a failure of the host's own connection to the backend.
// Kind is dns, connect, tls, reset, timeout or aborted.
type TransportError struct {
	Kind    string `json:"kind"`
	Message string `json:"message,omitempty"`
}

// ResponseParams tells what came back of attempt number Attempt (1 is the
// first). Elapsed is from sending to the head. The attachment (or Body) is an
// error's body, at most 64 KiB, or the stream's bytes from Offset on.
type ResponseParams struct {
	Call           CallID          `json:"call"`
	Attempt        *int            `json:"attempt,omitempty"`
	Status         int             `json:"status,omitempty"`
	Headers        []Header        `json:"headers,omitempty"`
	ElapsedMs      float64         `json:"elapsedMs,omitempty"`
	Offset         int64           `json:"offset,omitempty"`
	Body           *string         `json:"body,omitempty"`
	TransportError *TransportError `json:"transportError,omitempty"`
}

// The verdicts of request/response.
const (
	VerdictDeliver = "deliver"
	VerdictMore    = "more"
	VerdictRetry   = "retry"
	VerdictReply   = "reply"
)

// Verdict says what the host does with what came back.
type Verdict struct {
	Verdict     string        `json:"verdict"`
	DropHeaders []string      `json:"dropHeaders,omitempty"`
	AfterMs     *int64        `json:"afterMs,omitempty"`
	Request     *Prepared     `json:"request,omitempty"`
	Response    *HostResponse `json:"response,omitempty"`
}

// HostResponse is what the shim hands to its host in place of an answer.
type HostResponse struct {
	Status  int      `json:"status"`
	Headers []Header `json:"headers"`
	Body    string   `json:"body"`
}

// DoneParams closes a call. The attachment is the stream's end from the start
// of its last event, at most 1 MiB. End is completed, failed or aborted.
type DoneParams struct {
	Call       CallID  `json:"call"`
	End        string  `json:"end"`
	DurationMs float64 `json:"durationMs,omitempty"`
	Body       *string `json:"body,omitempty"`
}

type CollapseParams struct {
	Call CallID  `json:"call"`
	Body *string `json:"body,omitempty"`
}

type CollapseResult struct {
	Response HostResponse `json:"response"`
}

// Account is section 7's JSON of one account, the same everywhere.
type Account struct {
	ID        string     `json:"id"`
	Position  int        `json:"position"`
	Label     string     `json:"label"`
	Email     string     `json:"email"`
	Plan      string     `json:"plan"`
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
	Enabled   bool       `json:"enabled"`
	Pinned    bool       `json:"pinned"`
	Tags      []string   `json:"tags"`
	Note      string     `json:"note"`
	Windows   []Window   `json:"windows"`
	Health    int        `json:"health"`
	LastUsed  *time.Time `json:"lastUsed"`
	AddedAt   *time.Time `json:"addedAt"`
	Source    string     `json:"source"`
	Preferred bool       `json:"preferred,omitempty"`
	// With includeSensitive only.
	AccountID string `json:"accountId,omitempty"`
	UserID    string `json:"userId,omitempty"`
}

type Window struct {
	Name          string     `json:"name"`
	Label         string     `json:"label"`
	UsedPercent   float64    `json:"usedPercent"`
	WindowMinutes int        `json:"windowMinutes"`
	ResetAt       *time.Time `json:"resetAt"`
	ObservedAt    time.Time  `json:"observedAt"`
}

type AccountsListParams struct {
	IncludeSensitive bool `json:"includeSensitive,omitempty"`
}

type AccountsResult struct {
	Accounts []Account `json:"accounts"`
}

// QuotaResult is the accounts with the windows that are known now. Failures says
// of which the usage endpoint was not, or could not be, asked.
type QuotaResult struct {
	Accounts []Account      `json:"accounts"`
	Failures []QuotaFailure `json:"failures,omitempty"`
}

type QuotaFailure struct {
	Account string `json:"account"` // its id
	Reason  string `json:"reason"`
}

// AccountsUpdateParams changes the fields that are present. Account is an id, a
// label, an e-mail or a 1-based position.
type AccountsUpdateParams struct {
	Account json.RawMessage `json:"account"`
	Label   *string         `json:"label,omitempty"`
	Tags    *[]string       `json:"tags,omitempty"`
	Note    *string         `json:"note,omitempty"`
	Enabled *bool           `json:"enabled,omitempty"`
	Pinned  *bool           `json:"pinned,omitempty"`
}

type AccountResult struct {
	Account Account `json:"account"`
}

type AccountsRemoveParams struct {
	Account json.RawMessage `json:"account"`
}

type AccountsRemoveResult struct {
	Removed string `json:"removed"` // the account's id
}

type QuotaRefreshParams struct {
	Account json.RawMessage `json:"account,omitempty"`
}

type StatusParams struct {
	Session          string `json:"session,omitempty"`
	Model            string `json:"model,omitempty"`
	IncludeSensitive bool   `json:"includeSensitive,omitempty"`
}

type InstructionsParams struct {
	Model string `json:"model"`
}

// InstructionsResult is the text and where it came from: network, cache, stale
// or embedded.
type InstructionsResult struct {
	Text      string     `json:"text"`
	Source    string     `json:"source"`
	ETag      string     `json:"etag"`
	Tag       string     `json:"tag"`
	FetchedAt *time.Time `json:"fetchedAt"`
}

type ToolParams struct {
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

// ToolResult is what the command of the same name prints. Failed says that it
// did not do what was asked, and Text why.
type ToolResult struct {
	Text   string `json:"text"`
	Failed bool   `json:"failed,omitempty"`
}

// ToastParams is the notification host/toast. Level is info, success, warning
// or error.
type ToastParams struct {
	Level   string `json:"level"`
	Message string `json:"message"`
}

// Empty is a result or params without fields.
type Empty struct{}
