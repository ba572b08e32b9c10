package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"codex-rota/plugin"
)

// ErrorCode is one row of the error table: the JSON-RPC error's number, the
// `data.code` that goes with it ("" for JSON-RPC's own errors, which carry no
// data), and what it means to the host.
type ErrorCode struct {
	Number  int64       `json:"number"`
	Code    plugin.Code `json:"code,omitempty"`
	Meaning string      `json:"meaning"`
}

// ErrorCodes lists every error that an answer can be. The numbers are part of the
// wire: a new code goes to the end.
func ErrorCodes() []ErrorCode {
	return []ErrorCode{
		{jsonrpc2.CodeParseError, "", "the message is not JSON in UTF-8, or its header block cannot be read"},
		{jsonrpc2.CodeInvalidRequest, "", "the message is no JSON-RPC 2.0 request, is a batch, or came after shutdown"},
		{jsonrpc2.CodeMethodNotFound, "", "there is no such method"},
		{jsonrpc2.CodeInvalidParams, "", "the params do not fit the method"},
		{-32001, plugin.CodeTooLarge, "JSON and attachment together are larger than 64 MiB"},
		{-32002, plugin.CodeProtocolMismatch, "host and plugin speak different protocol numbers"},
		{-32003, plugin.CodeNoAccounts, "the pool has no account that may serve the call"},
		{-32004, plugin.CodeLoginRequired, "every account needs a new login, or a login did not succeed"},
		{-32005, plugin.CodeAllLimited, "every account is at its limit; retryAt is the soonest time"},
		{-32006, plugin.CodePinnedUnavailable, "the pinned account cannot be used now"},
		{-32007, plugin.CodeUpstreamUnreachable, "OpenAI cannot be reached; no account was charged"},
		{-32008, plugin.CodeStoreUnreadable, "the accounts file cannot be read; it was left as it is"},
		{-32009, plugin.CodeStoreConflict, "another process changed or holds the accounts file"},
		{-32010, plugin.CodeCancelled, "the host cancelled the call, or the process is ending"},
		{-32011, plugin.CodeInternal, "a fault of codex-rota itself; the log says more"},
	}
}

func numberOf(code plugin.Code) int64 {
	for _, e := range ErrorCodes() {
		if e.Code == code {
			return e.Number
		}
	}
	return numberOf(plugin.CodeInternal)
}

// errorData is the `data` of an error (DESIGN 3). Times are RFC 3339 in UTC.
type errorData struct {
	Code         plugin.Code           `json:"code"`
	RetryAt      *time.Time            `json:"retryAt,omitempty"`
	RetryAfterMs *int64                `json:"retryAfterMs,omitempty"`
	Hint         string                `json:"hint,omitempty"`
	Accounts     []plugin.AccountState `json:"accounts,omitempty"`
	Response     *plugin.HostResponse  `json:"response,omitempty"`
}

// Why a call's context ended.
var (
	errHostCancelled = errors.New("the host cancelled the call")
	errEnding        = errors.New("the call was cancelled because codex-rota is ending")
)

// wireError is a plugin error as it is answered.
func wireError(e *plugin.Error) *jsonrpc2.Error {
	if e.Params {
		return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: e.Message}
	}
	out := &jsonrpc2.Error{Code: numberOf(e.Code), Message: e.Message}
	data := errorData{Code: e.Code, Hint: e.Hint, Accounts: e.Accounts, Response: e.Response}
	if !e.RetryAt.IsZero() {
		at, after := e.RetryAt.UTC(), max(time.Until(e.RetryAt), 0).Milliseconds()
		data.RetryAt, data.RetryAfterMs = &at, &after
	}
	raw, err := encodeJSON(data)
	if err != nil { // a time beyond the year 9999, which RFC 3339 cannot say
		data.RetryAt = nil
		raw, _ = encodeJSON(data)
	}
	out.Data = &raw
	return out
}

// answerError is the error that a call is answered with. A wrapped error keeps
// its code. What was given none is internal: its text is for the log, as it may
// say what a host must not show.
func (s *session) answerError(c *call, err error) *jsonrpc2.Error {
	var wire *jsonrpc2.Error
	if errors.As(err, &wire) {
		return wire
	}
	var known *plugin.Error
	switch {
	case errors.As(err, &known):
	case c.ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		known = &plugin.Error{Code: plugin.CodeCancelled, Message: context.Cause(c.ctx).Error()}
	default:
		s.log.Error("method failed", "method", c.method, "error", err)
		known = &plugin.Error{Code: plugin.CodeInternal, Hint: "codex-rota logs",
			Message: "codex-rota failed inside " + c.method + ", and its log says why. Type: codex-rota logs"}
	}
	if known.Response == nil && !known.Params {
		told := *known
		told.Response = s.service.HostResponse(known)
		known = &told
	}
	return wireError(known)
}

// encodeJSON is json.Marshal without escaping <, > and &: the host reads JSON,
// not HTML, and bodies of code are full of them.
func encodeJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
