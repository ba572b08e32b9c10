package pool

import (
	"context"
	"errors"
	"time"

	"codex-rota/auth"
)

// rewritePause lies between tries to write an answer that is nowhere on disk.
const rewritePause = 500 * time.Millisecond

// answerOf completes an answer with what its tokens say.
func (s *Store) answerOf(a *Account, tokens auth.Tokens) answer {
	got := answer{Refresh: tokens.Refresh, Access: tokens.Access, ExpiresAt: tokens.ExpiresAt, ReceivedAt: s.now()}
	if got.Refresh.IsZero() {
		got.Refresh = a.Refresh // "as before" (FACTS-upstream 1)
	}
	claims, err := s.claims(tokens.Access, tokens.ID)
	if err != nil {
		s.log.Warn("the new access token says nothing about its seat", "account", a.ID, "error", err)
	}
	got.Claims = claims
	if got.ExpiresAt.IsZero() {
		got.ExpiresAt = claims.ExpiresAt
	}
	if !got.ExpiresAt.After(got.ReceivedAt) { // a clock is wrong, or no lifetime was told: try it for a while
		got.ExpiresAt = got.ReceivedAt.Add(minRenewal)
	}
	return got
}

// keep makes an answer durable before anyone uses it: into the intent, then
// into the accounts file. One of the two is enough to go on. While neither
// can be written, callers are served from memory, and the lock is kept so that
// nobody presents the old token again.
func (r *renewal) keep(ctx context.Context, sent string, got answer) (Token, error) {
	s := r.s
	for waiting := false; ; waiting = true {
		noted := s.writeAnswer(r.id, got)
		s.fault("answer noted")
		a, err := s.commit(ctx, r.id, sent, got)
		if err == nil || noted == nil || errors.Is(err, ErrNoAccount) || isRefused(err) {
			s.inMemory.Delete(r.id)
			if err == nil {
				return r.adopt(a)
			}
			return r.served(got, err)
		}
		if !waiting {
			s.log.Error("a renewed token cannot be written; it is used from memory, and the write is tried again", "account", r.id, "error", err)
			token, err := r.served(got, err)
			if err == nil {
				s.inMemory.Store(r.id, token)
			}
			r.land(token, err)
		}
		time.Sleep(rewritePause)
	}
}

// served is the token of an answer that is not in the accounts file yet.
func (r *renewal) served(got answer, err error) (Token, error) {
	known := r.s.lastGood.Load()
	if errors.Is(err, ErrNoAccount) || isRefused(err) || got.Access.IsZero() || known == nil {
		return Token{}, err
	}
	a, ok := known.byID(r.id)
	if !ok {
		return Token{}, err
	}
	r.s.log.Warn("a renewed token is in its intent only", "account", r.id, "error", err)
	held := *a
	if held.take(got); held.Flag != nil {
		return Token{}, refusedBy(&held)
	}
	return held.token(true), nil
}

func isRefused(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}

// commitLeft commits the answer that a process left which died, or could not
// write, after noting it. ok is false when the protocol goes on from there.
func (r *renewal) commitLeft(ctx context.Context, left *intent) (token Token, err error, ok bool) {
	a, err := r.s.commit(ctx, r.id, left.Sent, *left.Answer)
	if err == nil {
		return Token{}, nil, false
	}
	if a == nil && !left.Answer.Access.Equal(r.rejected) {
		token, err = r.served(*left.Answer, err)
	}
	return token, err, true
}

// settleLeft commits an answer that was left in the account's intent, for a
// caller that is about to change the account's login and holds its lock. An
// intent without an answer is returned as it is.
func (s *Store) settleLeft(ctx context.Context, id string) (*intent, error) {
	left, err := s.readIntent(id)
	if err != nil || left == nil || left.Answer == nil {
		return left, err
	}
	_, err = s.commit(ctx, id, left.Sent, *left.Answer)
	if isRefused(err) || errors.Is(err, ErrNoAccount) {
		err = nil
	}
	return nil, err
}

// commit writes an answer into the accounts file, if the account is there and
// its refresh token is still the one that was sent; otherwise the answer is
// dropped, because whoever stored another token knows better. The account as
// stored afterwards is returned. The token that was sent joins the consumed
// list, and only then is the intent cleared: a crash in between repeats this.
func (s *Store) commit(ctx context.Context, id, sent string, got answer) (*Account, error) {
	unlock, err := s.lockStore(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var setAside *Flag
	p, err := s.changeLocked(backupToken, func(e *edits) error {
		a := e.find(id)
		if a == nil { // merged with its twin meanwhile
			a = findRefresh(e.active, sent)
		}
		if a != nil && a.Refresh.Hash() == sent {
			setAside = e.answered(a, got)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if setAside != nil {
		s.log.Warn("an answer of the sign-in server is kept and not used", "account", id, "reason", setAside.Reason)
	}
	s.fault("committed")
	if got.Refresh.Hash() != sent {
		if err := s.consumed.add(sent); err != nil {
			return nil, &UnwritableError{s.consumed.path, err}
		}
	}
	s.fault("remembered")
	if err := s.clearIntent(id); err != nil {
		return nil, &UnwritableError{s.accountFile(id, ".intent"), err}
	}
	s.fault("cleared")
	if p.err != nil {
		return nil, p.err // it is written, and could not be read back
	}
	a, ok := p.byID(id)
	if !ok {
		// Its first refresh may have shown that it is the seat of another
		// record: then that one holds the login now.
		a = findRefresh(p.roster.All(), got.Refresh.Hash())
	}
	switch {
	case a == nil:
		return nil, ErrNoAccount
	case a.Flag != nil:
		return nil, refusedBy(a)
	}
	return a, nil
}

func findRefresh(accounts []Account, hash string) *Account {
	for i := range accounts {
		if hash != "" && accounts[i].Refresh.Hash() == hash {
			return &accounts[i]
		}
	}
	return nil
}

// answered puts an answer into a record of e. One that cannot be used takes the
// account out of service; its flag is returned.
func (e *edits) answered(a *Account, got answer) *Flag {
	before := a.Flag
	a.take(got)
	if before != nil || a.Flag == nil {
		return nil
	}
	flag := a.Flag
	aside, _ := e.take(a.ID)
	e.flagged = append(e.flagged, aside)
	return flag
}

// take puts an answer into the record. A suspended seat keeps its refresh
// token alive and has no access token. An answer that is no login of this seat
// flags it: the refresh token stays, because it is live and stored nowhere
// else, and is never presented from there.
func (a *Account) take(got answer) {
	if err := a.objection(got.Claims); err != nil {
		reason := err.Error()
		if errors.Is(err, errAnotherSeat) {
			reason = "the sign-in server answered for another seat"
		}
		a.dropTokens()
		a.Refresh = got.Refresh
		a.Flag = &Flag{Kind: FlagNeedsLogin, Reason: reason, At: got.ReceivedAt, RefusedHash: got.Refresh.Hash()}
		return
	}
	a.Refresh = got.Refresh
	a.setClaims(got.Claims)
	if a.Flag != nil {
		return
	}
	a.Access, a.ExpiresAt, a.RefreshedAt, a.Problem = got.Access, got.ExpiresAt, got.ReceivedAt, ""
}
