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
	undecided := c.head // a stream that ended before it said anything
	s.forgetBody(c)
	if p.End == "aborted" || c.status < 200 || c.status > 299 {
		return // an error's answer was learned from when it came
	}
	if undecided != nil {
		s.learn(ctx, c, decision{events: windowsEvent(undecided.Outcome(s.now(), c.status, c.answerHeaders), facts{account: c.account}, c.sentAt)})
	}
	read := response.ParseTail(tail, c.status, c.answerHeaders, s.now())
	late := windowsEvent(response.Outcome{Windows: read.Windows, Plan: read.Plan}, facts{account: c.account}, c.sentAt)
	if err := s.book.Learn(ctx, late...); err != nil {
		s.log.Warn("late quota windows were not written", "account", c.account, "reason", err)
	}
	if read.Failure != nil {
		s.learnLate(ctx, c, *read.Failure)
	}
	// An account that was removed during its call leaves no trace, and what was
	// asked beside the model calls cost no tokens.
	if s.store.Holds(c.account) && (!c.aside || read.Usage != nil) {
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
