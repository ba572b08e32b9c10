package plugin

import (
	"context"

	"codex-rota/plugin/response"
)

// Collapse makes one JSON answer of a whole stream, for a caller that did not ask
// to stream (response/collapse).
func (s *Service) Collapse(_ context.Context, _ CollapseParams, stream []byte) (*CollapseResult, error) {
	c := response.Collapse(stream, s.now())
	return &CollapseResult{Response: HostResponse{Status: c.Status, Headers: c.Headers, Body: string(c.Body)}}, nil
}
