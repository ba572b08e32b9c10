package mcp

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/sourcegraph/jsonrpc2"

	"codex-rota/plugin"
)

// revisionWithBatches is the one revision whose servers must take batches.
const revisionWithBatches = "2025-03-26"

// revisions of the protocol that are spoken here, the newest first. To a server
// of tools alone they are the same but for batches.
func revisions() []string {
	return []string{"2025-11-25", "2025-06-18", revisionWithBatches, "2024-11-05"}
}

type initializeParams struct {
	ProtocolVersion string `json:"protocolVersion"`
}

type initializeResult struct {
	ProtocolVersion string         `json:"protocolVersion"`
	Capabilities    capabilities   `json:"capabilities"`
	ServerInfo      implementation `json:"serverInfo"`
	Instructions    string         `json:"instructions"`
}

// capabilities: the list of tools never changes while the process runs.
type capabilities struct {
	Tools struct{} `json:"tools"`
}

type implementation struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version"`
}

const instructions = "These tools show and steer codex-rota, the local pool of the person's own ChatGPT accounts that model calls are made with. " +
	"An account is named by its id, its label or its position in the list."

// request answers what needs no work.
func (s *session) request(method string, params json.RawMessage) (any, *jsonrpc2.Error) {
	switch method {
	case "initialize":
		return s.initialize(params)
	case "ping":
		return struct{}{}, nil
	case "tools/list":
		return s.listTools(params)
	}
	return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "there is no method " + method}
}

// initialize agrees on the client's revision, else offers the newest.
func (s *session) initialize(params json.RawMessage) (any, *jsonrpc2.Error) {
	var p initializeParams
	if err := decode(params, &p); err != nil {
		return nil, err
	}
	s.revision = p.ProtocolVersion
	if !slices.Contains(revisions(), s.revision) {
		s.revision = revisions()[0]
	}
	return initializeResult{
		ProtocolVersion: s.revision,
		ServerInfo:      implementation{Name: plugin.Name, Title: "codex-rota: your ChatGPT accounts", Version: s.version},
		Instructions:    instructions,
	}, nil
}

// listTools gives all tools on one page, so no cursor is ever valid.
func (s *session) listTools(params json.RawMessage) (any, *jsonrpc2.Error) {
	var p struct {
		Cursor *string `json:"cursor"`
	}
	if err := decode(params, &p); err != nil {
		return nil, err
	}
	if p.Cursor != nil {
		return nil, badParams("there is no cursor %q: all tools are on the first page", *p.Cursor)
	}
	return struct {
		Tools []tool `json:"tools"`
	}{s.table}, nil
}

// notified takes a notification; of those that are known only a cancellation has
// something to do.
func (s *session) notified(method string, params json.RawMessage) {
	if method != "notifications/cancelled" {
		s.log.Debug("notification", "method", method)
		return
	}
	var p struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	if err := decode(params, &p); err != nil {
		s.log.Debug("a cancellation that cannot be read", "reason", err.Message)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.open[string(p.RequestID)]; ok {
		cancel(errCancelled)
	}
}

// decode reads params, an object or nothing, into p.
func decode(params json.RawMessage, p any) *jsonrpc2.Error {
	if len(params) == 0 || string(params) == "null" {
		return nil
	}
	if params[0] != '{' {
		return badParams("the params are no object")
	}
	err := json.Unmarshal(params, p)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return badParams("%s cannot be a JSON %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return badParams("%s", err)
	}
	return nil
}
