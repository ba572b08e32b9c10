package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"codex-rota/plugin/request"
	"codex-rota/pool"
)

// hostTimeouts are what a host gives an attempt: its own limits, less what the
// call has used of its life (FACTS-hosts 1, DESIGN 4).
func hostTimeouts(c *call, sendAt time.Time) *Timeouts {
	left := callLimit
	if used := sendAt.Sub(c.startedAt); used >= time.Second {
		left -= used
	}
	return &Timeouts{HeadersMs: max(left, time.Second).Milliseconds(), IdleMs: (300 * time.Second).Milliseconds()}
}

// choose looks ahead: which account but those in skip would serve the call at
// time at.
func (s *Service) choose(c *call, skip map[string]bool, at time.Time) (pool.Choice, *Error) {
	accounts, err := s.store.Look()
	if err != nil {
		return pool.Choice{}, s.storeError(err)
	}
	return s.book.Choose(accounts, s.query(accounts, c.session, c.model, skip), at), nil
}

// take chooses for a call that will be sent, and binds its session, in one step.
// A question beside the model calls that belongs to no session takes no turn.
func (s *Service) take(c *call, accounts *pool.Roster, skip map[string]bool) pool.Choice {
	q := s.query(accounts, c.session, c.model, skip)
	if c.aside && c.session == "" {
		return s.book.Choose(accounts, q, s.now())
	}
	return s.book.Take(accounts, q, s.now())
}

// query is the question that a call and `explain` ask alike.
func (s *Service) query(accounts *pool.Roster, session, model string, skip map[string]bool) pool.Query {
	return pool.Query{Session: session, Model: model, Rotation: s.settings.Rotation,
		Only: s.serversOf(model, accounts), Skip: s.refused.skip(accounts, skip)}
}

// modelServers is the setting accountsForModel, its names looked up in one roster.
type modelServers struct {
	of  *pool.Roster
	ids map[string]map[string]bool // by model
}

// serversOf gives the accounts that the setting leaves a model to; nil leaves it
// to all.
func (s *Service) serversOf(model string, accounts *pool.Roster) map[string]bool {
	if _, ok := s.settings.AccountsForModel[model]; !ok {
		return nil
	}
	known := s.servers.Load()
	if known == nil || known.of != accounts {
		known = &modelServers{of: accounts, ids: make(map[string]map[string]bool, len(s.settings.AccountsForModel))}
		for model, names := range s.settings.AccountsForModel {
			known.ids[model] = s.namedIDs(model, names, accounts.All())
		}
		s.servers.Store(known)
	}
	return known.ids[model]
}

func (s *Service) namedIDs(model string, names []string, accounts []pool.Account) map[string]bool {
	ids := make(map[string]bool, len(names))
	for _, name := range names {
		a, err := Who(accounts, name)
		if err != nil {
			s.log.Warn("setting accountsForModel", "model", model, "reason", err)
			continue
		}
		ids[a.ID] = true
	}
	return ids
}

// mostRefused bounds how many accounts may leave the pool in one call.
const mostRefused = maxTries

// authorize gives the call an account and a token that can be presented: id, or
// the one the pool chooses when id is "". An account whose refresh is refused for
// good has left the pool by then, and nothing was presented: the next is chosen.
// No answer of the issuer is the network's fault: no other account is tried.
// accounts is the caller's look of just now, nil for none; whatever had to be
// waited for is followed by another one.
func (s *Service) authorize(ctx context.Context, c *call, id string, accounts *pool.Roster) *Error {
	refused := map[string]bool{}
	for ; ; accounts = nil {
		if ctx.Err() != nil {
			return s.cancelled(ctx.Err())
		}
		if accounts == nil {
			var err error
			if accounts, err = s.store.Look(); err != nil && id == "" { // for an account that is known a token may be in memory
				return s.storeError(err)
			}
		}
		if id == "" {
			choice := s.take(c, accounts, refused)
			if choice.NotServed && s.nextFallback(c) != "" {
				c.useFallback(s.nextFallback(c))
				continue
			}
			if choice.Account == "" {
				if fail := s.waitForPool(ctx, c, choice); fail != nil {
					return fail
				}
				continue
			}
			id = choice.Account
		}
		token, err := s.store.Token(ctx, id, pool.TokenOptions{Seen: accounts})
		if err == nil {
			s.bind(c, accounts, id, token)
			return nil
		}
		if !s.outForGood(err) {
			return s.tokenFailure(ctx, err)
		}
		s.leftThePool(id, err)
		refused[id] = true
		if len(refused) == mostRefused || c.attempt > 0 && revoked(err) {
			return s.refuse(CodeLoginRequired, time.Time{}) // presenting account after account gets them all invalidated
		}
		id = ""
	}
}

// bind makes the account the call's own, and its session's.
func (s *Service) bind(c *call, accounts *pool.Roster, id string, token pool.Token) {
	if token.Renewed { // that took its time, and may have told whose the account is
		if now, err := s.store.Look(); err == nil {
			accounts = now
		}
	}
	c.account, c.label, c.token = id, id, token
	if a := accounts.ByID(id); a != nil {
		c.label = nameOf(a, false)
	}
	if c.firstAccount == "" {
		c.firstAccount = id
	}
	if c.aside && c.session == "" {
		return
	}
	if accounts != nil {
		s.book.Bind(accounts, c.session, id, s.now())
	}
}

// leftThePool tells of an account whose refresh was refused for good.
func (s *Service) leftThePool(id string, err error) {
	s.log.Warn("account left the pool", "account", id, "reason", err)
	var refused *pool.RefusedError
	if errors.As(err, &refused) && refused.Code != "" { // just now, not flagged earlier
		s.troubles.add(s.now(), id, refused.Reason)
		s.toast("error", fmt.Sprintf("%s left the pool: %s. Type: codex-rota add", s.label(id), refused.Reason))
	}
}

// revoked reports whether a refusal says that tokens were invalidated.
func revoked(err error) bool {
	var refused *pool.RefusedError
	return errors.As(err, &refused) && refused.Revoked
}

// outForGood reports whether the account has left the pool: refused for good, or
// removed meanwhile.
func (s *Service) outForGood(err error) bool {
	var refused *pool.RefusedError
	return errors.As(err, &refused) || errors.Is(err, pool.ErrNoAccount)
}

// tokenFailure says why there is no token although the account is still there.
func (s *Service) tokenFailure(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return s.cancelled(ctx.Err())
	}
	var unreachable *pool.UnreachableError
	if errors.As(err, &unreachable) {
		e := s.refuse(CodeUpstreamUnreachable, time.Time{})
		e.cause = err
		return e
	}
	return s.storeError(err)
}

// waitForPool is what happens to a call when no account is ready: a look whether
// a limit was lifted early, one bounded wait, or the reason told.
func (s *Service) waitForPool(ctx context.Context, c *call, choice pool.Choice) *Error {
	if s.probes.run(ctx, s) {
		return nil
	}
	now := s.now()
	wait := choice.Soonest.Sub(now)
	if choice.Soonest.IsZero() || c.waitedPool || wait > s.settings.maxWait() || !c.roomFor(choice.Soonest) {
		return s.noAccount(choice, now)
	}
	c.waitedPool = true
	s.toastWait(choice.Soonest, now)
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return s.cancelled(ctx.Err())
	case <-timer.C:
		return nil
	}
}

// noAccount names the reason why the pool has no account for a call.
func (s *Service) noAccount(choice pool.Choice, now time.Time) *Error {
	switch {
	case choice.Pinned:
		return s.refuse(CodePinnedUnavailable, choice.Soonest)
	case choice.Soonest.After(now):
		return s.refuse(CodeAllLimited, choice.Soonest)
	}
	usable := 0
	states := s.accountStates()
	for _, a := range states {
		if a.State != string(pool.StateDisabled) {
			usable++
		}
	}
	switch {
	case usable == 0:
		return s.refuse(CodeNoAccounts, time.Time{})
	case choice.NotServed:
		return s.refuse(modelNotServed, time.Time{})
	}
	return s.refuse(CodeLoginRequired, time.Time{})
}

func (s *Service) toastWait(until, now time.Time) {
	s.toast("warning", fmt.Sprintf("Every ChatGPT account is at its limit; this call goes on at %s", until.In(now.Location()).Format("15:04:05")))
}

// cancelled is the error of a call whose host gave it up.
func (s *Service) cancelled(cause error) *Error {
	e := s.refuse(CodeCancelled, time.Time{})
	e.cause = cause
	return e
}

// attempt builds what the host sends after a pause: the original body transformed
// anew, the account's headers. The call's account and token are set.
func (s *Service) attempt(ctx context.Context, c *call, after time.Duration) (*Prepared, *Error) {
	shaped, fail := s.transform(ctx, c)
	if fail != nil {
		return nil, fail
	}
	extra := shaped.Headers
	if !c.aside {
		extra = append(request.ModelCall(), extra...)
	}
	headers := request.Headers(c.headers, request.Authorization{
		AccessToken: c.token.Access.Reveal(), AccountID: c.token.AccountID, Residency: c.token.Residency,
	}, extra, c.turnStateIsForeign())
	prepared := &Prepared{
		Call: c.id, Account: &AccountRef{ID: c.account, Label: c.label}, URL: c.url, Headers: headers,
		Edits: shaped.Edits, Collapse: shaped.Collapse, Timeouts: hostTimeouts(c, s.now().Add(after)),
	}
	prepared.Body = c.edited(shaped.Edits)
	c.sentAt = s.now().Add(after)
	c.head, c.consumed = nil, 0
	c.attempt++
	s.logRequest(c, prepared)
	return prepared, nil
}

// edited is the body with its edits, for a host that sent it as a string; nil
// when nothing changed or the host applies the edits itself.
func (c *call) edited(edits []request.Edit) *string {
	if !c.textBody || len(edits) == 0 {
		return nil
	}
	text := string(request.Apply(c.raw, edits))
	return &text
}
