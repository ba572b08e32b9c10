package plugin

import (
	"context"
	"time"

	"codex-rota/logging"
	"codex-rota/plugin/response"
)

// Done closes a call: token usage, the terminal event and limits that came after
// output began are learned here. Nothing is retried. Of an unknown call it
// learns nothing.
func (s *Service) Done(ctx context.Context, p DoneParams, tail []byte) {
	c := s.calls.take(p.Call)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.logs(c) {
		s.requests.Done(logging.Done{Call: c.id.String(), End: p.End, Duration: milliseconds(p.DurationMs), Tail: tail})
	}
	if p.End == "aborted" || !c.delivered {
		c.forgetBody()
		return
	}
	c.forgetBody()
	read := response.ParseTail(tail, c.status, c.answerHeaders, s.now())
	late := windowsEvent(response.Outcome{Windows: read.Windows, Plan: read.Plan}, facts{account: c.account}, c.sentAt)
	if err := s.book.Learn(ctx, late...); err != nil {
		s.log.Warn("late quota windows were not written", "account", c.account, "reason", err)
	}
	if read.Failure != nil {
		s.learnLate(ctx, c, *read.Failure)
	}
	// An account that was removed during its call leaves no trace.
	if c.status >= 200 && c.status <= 299 && s.store.Holds(c.account) {
		s.ledger.add(s.log, ledgerEntry(c, p, read, s.now()))
	}
}

// learnLate records a failure that came after output began: what decide would
// learn from it, without its verdict.
func (s *Service) learnLate(ctx context.Context, c *call, failure response.Outcome) {
	switch failure.Class {
	case response.ClassQuota, response.ClassRateLimit, response.ClassModel, response.ClassEntitlement, response.ClassWorkspace:
	default:
		return
	}
	f := facts{account: c.account, model: c.model}
	d, _ := decide(progress{startedAt: c.startedAt, sentAt: c.sentAt, waitedRate: true, waitedPool: true},
		outcome{answer: failure}, f, s.now())
	s.learn(ctx, c, d)
}

func ledgerEntry(c *call, p DoneParams, read response.Tail, now time.Time) LedgerEntry {
	e := LedgerEntry{Time: now.UTC().Truncate(time.Millisecond), Account: c.account, Model: c.model, Session: c.session,
		DurationMs: int64(p.DurationMs), Verdicts: c.verdicts, End: p.End}
	if read.Usage != nil {
		e.InputTokens, e.CachedTokens, e.OutputTokens = read.Usage.InputTokens, read.Usage.CachedTokens, read.Usage.OutputTokens
	}
	return e
}

// rememberTurn notes which account a turn state belongs to: the host echoes it
// for the rest of the turn, and another account does not know it.
func (s *Service) rememberTurn(c *call, headers []Header) {
	if _, ok := header(headers, turnStateHeader); ok {
		s.sessions.with(c.session, s.now(), func(f *sessionFacts) { f.turnAccount = c.account })
	}
}

// turnStateIsForeign reports whether the turn state among the host's headers came
// from another account than the one the call goes to now.
func (s *Service) turnStateIsForeign(c *call) bool {
	if _, ok := header(c.headers, turnStateHeader); !ok {
		return false
	}
	foreign := false
	s.sessions.with(c.session, s.now(), func(f *sessionFacts) {
		foreign = f.turnAccount != "" && f.turnAccount != c.account
	})
	return foreign || c.firstAccount != "" && c.firstAccount != c.account
}

// Collapse makes one JSON answer of a whole stream, for a caller that did not ask
// to stream (response/collapse).
func (s *Service) Collapse(_ context.Context, _ CollapseParams, stream []byte) (*CollapseResult, error) {
	c := response.Collapse(stream, s.now())
	return &CollapseResult{Response: HostResponse{Status: c.Status, Headers: c.Headers, Body: string(c.Body)}}, nil
}
