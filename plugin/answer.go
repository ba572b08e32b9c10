package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"codex-rota/logging"
	"codex-rota/plugin/request"
	"codex-rota/plugin/response"
	"codex-rota/pool"
)

// longestRetryAfter: OpenCode waits out any retry-after it is given, days too
// (FACTS-hosts 1).
const longestRetryAfter = time.Minute

// Response classifies what came back and says what the host does with it. Of a
// call that is not known, or was delivered already, it says deliver.
func (s *Service) Response(ctx context.Context, p ResponseParams, data []byte) (*Verdict, error) {
	c := s.calls.get(p.Call)
	if c == nil {
		return &Verdict{Verdict: VerdictDeliver}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.delivered {
		return &Verdict{Verdict: VerdictDeliver}, nil
	}
	if c.isLate(p.Attempt) {
		return c.lastVerdict, nil
	}
	now := s.now()
	out := s.understand(c, p, data, now)
	v := s.judge(ctx, c, out, p.Headers, now)
	s.logResponse(c, p, data, out, v)
	c.lastVerdict = v
	return v, nil
}

// judge decides, and renews a token and decides again, until there is a verdict.
func (s *Service) judge(ctx context.Context, c *call, out outcome, headers []Header, now time.Time) *Verdict {
	for {
		d, next := decide(c.progress, out, s.factsFor(c, out, headers, now), now)
		c.progress = next
		s.learn(ctx, c, d)
		switch d.act {
		case actMore:
			return &Verdict{Verdict: VerdictMore}
		case actForget:
			s.forgetBody(c)
			return &Verdict{Verdict: VerdictDeliver}
		case actRenew, actAdopt:
			out, now = s.renew(ctx, c, d.act == actAdopt), s.now()
		case actRetry:
			return s.retry(ctx, c, d)
		case actFail:
			return s.reply(c, s.refuse(d.code, d.retryAt))
		default:
			return s.deliver(c, out, headers)
		}
	}
}

// understand turns the host's report into an outcome. A stream is read as it
// comes: bytes that were told before (offset) are skipped, and a gap means that
// output may have begun.
func (s *Service) understand(c *call, p ResponseParams, data []byte, now time.Time) outcome {
	if p.TransportError != nil {
		if p.TransportError.Kind == "aborted" {
			return outcome{what: aborted}
		}
		return outcome{what: transportFailed}
	}
	if p.Status < 200 || p.Status > 299 {
		return outcome{answer: response.Classify(p.Status, p.Headers, data, now)}
	}
	if c.head == nil {
		c.status, c.answerHeaders = p.Status, p.Headers
		c.head = &response.Head{}
	}
	switch skip := c.consumed - p.Offset; {
	case skip < 0:
		return outcome{answer: response.Outcome{Class: response.ClassOutput, Status: p.Status}}
	case skip < int64(len(data)):
		c.head.Feed(data[skip:])
		c.consumed = p.Offset + int64(len(data))
	}
	return outcome{answer: c.head.Outcome(now, p.Status, p.Headers)}
}

// factsFor gathers what decide needs beside the call and the outcome.
func (s *Service) factsFor(c *call, out outcome, headers []Header, now time.Time) facts {
	f := facts{account: c.account, model: c.model, maxWait: s.settings.maxWait(), jitter: s.jitter()}
	f.repeats = repeats(s.hostName(), out.answer, headers)
	if out.what == answered && (out.answer.Class == response.ClassMore || out.answer.Class == response.ClassOutput || out.answer.Class == response.ClassOther) {
		return f
	}
	choice, fail := s.choose(c, map[string]bool{c.account: true}, now)
	if fail == nil {
		f.next = choice
	}
	f.until = s.blockedUntil(c.account, c.model, now)
	f.editable = c.body != nil && s.settings.Transform != request.ModeOff
	f.fallback = s.nextFallback(c)
	return f
}

// repeats reports whether the host asks again by itself after an overload or a
// fault of the server's. Codex does after a 5xx, and after a 429 that says when;
// any other 429, and an overload told in the stream, end its turn (FACTS-hosts 2).
func repeats(host string, a response.Outcome, headers []Header) bool {
	switch {
	case host == HostOpenCode:
		return true
	case host != HostCodex || a.InStream:
		return false
	case a.Status == http.StatusTooManyRequests:
		_, told := header(headers, "retry-after")
		return told
	}
	return true
}

func (s *Service) blockedUntil(account, model string, now time.Time) time.Time {
	a, err := s.store.Account(account)
	if err != nil {
		return time.Time{}
	}
	known := s.book.Facts(account)
	return pool.StateOf(&a, &known, model, now).Until
}

// nextFallback is the next model of the person's chain for the model that was
// asked for, "" when there is none (left).
func (s *Service) nextFallback(c *call) string {
	if c.body == nil || s.settings.Transform == request.ModeOff {
		return ""
	}
	if chain := s.settings.ModelFallback[c.askedModel]; c.fallbacks < len(chain) {
		return chain[c.fallbacks]
	}
	return ""
}

// learn records what the decision teaches. A block is on disk before the verdict
// is returned; if even that fails the block still holds in this process.
func (s *Service) learn(ctx context.Context, c *call, d decision) {
	if len(d.events) > 0 {
		if err := s.book.Learn(ctx, d.events...); err != nil {
			s.log.Error("facts were not written", "account", c.account, "reason", err)
		}
	}
	if d.flag == nil {
		return
	}
	s.troubles.add(s.now(), c.account, d.flag.Reason)
	flag := *d.flag
	err := s.store.Flag(ctx, c.account, flag, c.token.Access)
	if err != nil && !errors.Is(err, pool.ErrNoAccount) {
		s.log.Error("the account's verdict was not written", "account", c.account, "reason", err)
		s.refused.add(c.account, c.token.Access)
		return
	}
	if a, err := s.store.Account(c.account); err == nil && a.Flag == nil {
		return // a newer login was stored meanwhile: the verdict was about the old one
	}
	s.toast("error", fmt.Sprintf("%s left the pool: %s. Type: codex-rota add", s.label(c.account), flag.Reason))
}

// renew gets the call's account another token after a 401: one that is stored
// already, or one refresh.
func (s *Service) renew(ctx context.Context, c *call, adoptOnly bool) outcome {
	token, err := s.store.Token(ctx, c.account, pool.TokenOptions{Rejected: c.token.Access, AdoptOnly: adoptOnly})
	var refused *pool.RefusedError
	switch {
	case err == nil:
		c.token = token
		return outcome{what: renewed}
	case errors.Is(err, pool.ErrNothingToAdopt):
		return outcome{what: nothingToAdopt}
	case revoked(err):
		return outcome{what: renewalRevoked}
	case errors.As(err, &refused), errors.Is(err, pool.ErrNoAccount):
		return outcome{what: renewalRefused}
	case ctx.Err() != nil:
		return outcome{what: aborted}
	}
	s.log.Warn("the token could not be renewed", "account", c.account, "reason", err)
	var unreadable *pool.UnreadableError
	if errors.As(err, &unreadable) {
		return outcome{what: storeUnreadable}
	}
	return outcome{what: renewalUnreachable}
}

// retry prepares the next attempt.
func (s *Service) retry(ctx context.Context, c *call, d decision) *Verdict {
	if d.model != "" {
		c.useFallback(d.model)
	}
	account := d.account
	if d.waiting {
		s.toastWait(d.retryAt, s.now())
		choice, fail := s.choose(c, nil, d.retryAt)
		if fail == nil && choice.Account == "" {
			fail = s.noAccount(choice, s.now())
		}
		if fail != nil {
			return s.reply(c, fail)
		}
		account = choice.Account
	}
	before := c.account
	if fail := s.authorize(ctx, c, account, nil); fail != nil {
		return s.reply(c, fail)
	}
	prepared, fail := s.attempt(ctx, c, d.after)
	if fail != nil {
		return s.reply(c, fail)
	}
	if c.account != before {
		s.toast("info", fmt.Sprintf("Going on with %s", c.label))
	}
	c.verdicts = append(c.verdicts, VerdictRetry)
	after := (d.after + time.Millisecond - 1).Milliseconds() // up: never before a limit's end
	return &Verdict{Verdict: VerdictRetry, AfterMs: &after, Request: prepared}
}

// deliver lets the host have what came, less the headers that would harm it.
func (s *Service) deliver(c *call, out outcome, headers []Header) *Verdict {
	if out.answer.Status == 401 && s.hostName() == HostCodex {
		return s.reply(c, s.refuse(CodeLoginRequired, time.Time{})) // Codex would burn a token on it (FACTS-hosts 2)
	}
	v := &Verdict{Verdict: VerdictDeliver}
	switch s.hostName() {
	case HostOpenCode:
		v.DropHeaders = response.DropHeaders(headers, s.now(), longestRetryAfter)
	case HostCodex:
		if _, ok := header(headers, "location"); ok {
			v.DropHeaders = []string{"location"} // Codex would take the conversation to wherever it points
		}
	}
	c.verdicts = append(c.verdicts, VerdictDeliver)
	c.status, c.answerHeaders = out.answer.Status, headers
	s.rememberTurn(c, headers)
	s.forgetBody(c)
	return v
}

// reply gives the host an answer of ours in place of the upstream's.
func (s *Service) reply(c *call, e *Error) *Verdict {
	c.verdicts = append(c.verdicts, VerdictReply+":"+string(e.Code))
	c.status = 0 // what came was not given to the host: done has nothing to learn from it
	s.troubles.add(s.now(), c.account, e.Message)
	if e.Code != CodeCancelled {
		s.toast("error", e.Message)
	}
	s.forgetBody(c)
	return &Verdict{Verdict: VerdictReply, Response: e.Response}
}

// label is how an account is named to a person who may be looked on: its label,
// else its masked e-mail, else its id.
func (s *Service) label(id string) string {
	a, err := s.store.Account(id)
	if err != nil {
		return id
	}
	return nameOf(&a, false)
}

// nameOf is an account's label, else its e-mail, masked unless sensitive is set,
// else its id.
func nameOf(a *pool.Account, sensitive bool) string {
	switch {
	case a.Label != "":
		return a.Label
	case a.Email != "" && sensitive:
		return a.Email
	case a.Email != "":
		return logging.MaskEmail(a.Email)
	}
	return a.ID
}
