package plugin

import (
	"time"

	"codex-rota/logging"
)

// The request log's lines (DESIGN 6). Package logging hides the credentials.

// logs reports whether a call is logged: not one of an account that is gone, for
// a line has its ids.
func (s *Service) logs(c *call) bool {
	return s.requests != nil && (c.account == "" || s.store.Holds(c.account))
}

func (s *Service) logRequest(c *call, p *Prepared) {
	if !s.logs(c) {
		return
	}
	edits := make([]logging.Edit, len(p.Edits))
	for i, e := range p.Edits {
		edits[i] = logging.Edit(e)
	}
	s.requests.Request(logging.Request{Call: c.id.String(), Attempt: c.attempt, Account: c.account, Method: c.method,
		URL: p.URL, Headers: p.Headers, Body: c.raw, Edits: edits})
}

func (s *Service) logResponse(c *call, p ResponseParams, head []byte, out outcome, v *Verdict) {
	if !s.logs(c) {
		return
	}
	attempt := c.attempt // ours; the host may count from 0
	if v.Verdict == VerdictRetry {
		attempt-- // the answer is to the one before
	}
	line := logging.Response{Call: c.id.String(), Attempt: attempt, Status: p.Status, Headers: p.Headers,
		Elapsed: milliseconds(p.ElapsedMs), Head: head, Verdict: v.Verdict, Why: string(out.answer.Class)}
	if p.TransportError != nil {
		line.Transport, line.Why = p.TransportError.Kind, "transport"
	}
	s.requests.Response(line)
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
