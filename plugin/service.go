// Package plugin is the service that every front end calls: one model call's
// life from the outgoing request to the end of its answer, and the accounts,
// settings and status around it. It owns the decisions; sockets, framing, argv
// and terminals belong to the front ends (rpc, proxy, mcp, cli).
package plugin

import (
	"context"
)

// Service answers the methods of DESIGN 3. Its methods may be called
// concurrently; each returns *Error for anything a person must be told.
type Service struct{}

// Notifier sends a notification to the host: host/toast or accounts/changed.
type Notifier func(method string, params any)

// SetNotifier is called once, before the first method.
func (s *Service) SetNotifier(n Notifier) {}

func (s *Service) Initialize(ctx context.Context, p InitializeParams) (*InitializeResult, error) {
	return nil, nil
}
func (s *Service) Prepare(ctx context.Context, p PrepareParams, body []byte) (*Prepared, error) {
	return nil, nil
}
func (s *Service) Transform(ctx context.Context, p TransformParams, body []byte) (*Transformed, error) {
	return nil, nil
}
func (s *Service) Authorize(ctx context.Context, p AuthorizeParams) (*Authorized, error) {
	return nil, nil
}
func (s *Service) Response(ctx context.Context, p ResponseParams, data []byte) (*Verdict, error) {
	return nil, nil
}
func (s *Service) Done(ctx context.Context, p DoneParams, tail []byte) {}
func (s *Service) Collapse(ctx context.Context, p CollapseParams, stream []byte) (*CollapseResult, error) {
	return nil, nil
}
func (s *Service) AccountsList(ctx context.Context, p AccountsListParams) (*AccountsResult, error) {
	return nil, nil
}
func (s *Service) AccountsUpdate(ctx context.Context, p AccountsUpdateParams) (*AccountResult, error) {
	return nil, nil
}
func (s *Service) AccountsRemove(ctx context.Context, p AccountsRemoveParams) (*AccountsRemoveResult, error) {
	return nil, nil
}
func (s *Service) QuotaRefresh(ctx context.Context, p QuotaRefreshParams) (*AccountsResult, error) {
	return nil, nil
}
func (s *Service) Status(ctx context.Context, p StatusParams) (*Status, error) { return nil, nil }
func (s *Service) Explain(ctx context.Context, p StatusParams) (*Explanation, error) {
	return nil, nil
}
func (s *Service) Instructions(ctx context.Context, p InstructionsParams) (*InstructionsResult, error) {
	return nil, nil
}
func (s *Service) RunTool(ctx context.Context, p ToolParams) (*ToolResult, error) { return nil, nil }

// Close ends what runs in the background. A token exchange in flight is
// finished and stored first, however long that takes up to its own 30 s limit.
func (s *Service) Close(ctx context.Context) error { return nil }
