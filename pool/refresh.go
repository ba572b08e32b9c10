package pool

import (
	"context"
	"errors"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
)

const (
	exchangeLimit = 30 * time.Second // one request to the issuer
	firstBackoff  = 5 * time.Second
	lastBackoff   = 5 * time.Minute
)

// renewal is one run of the refresh protocol of DESIGN 5 for one account.
type renewal struct {
	s         *Store
	id        string
	seen      logging.Secret // the access token the caller found stored
	rejected  logging.Secret // the one upstream refused, if that is why
	adoptOnly bool
	wait      time.Duration // for the account's lock

	land func(Token, error) // gives the waiting callers their result, once
}

// underLock is the protocol: lock, adopt what others did, write the intent,
// send exactly one request, keep the answer. The lock outlives this function's
// result only while an answer is nowhere on disk.
func (r *renewal) underLock(ctx context.Context) (Token, error) {
	s := r.s
	unlock, err := s.lockAccount(ctx, r.id, r.wait)
	if err != nil {
		return Token{}, err
	}
	defer unlock()
	s.fault("locked")

	left, err := s.readIntent(r.id)
	if err != nil {
		return Token{}, err
	}
	if left != nil && left.Answer != nil {
		if token, err, ok := r.commitLeft(ctx, left); ok {
			return token, err
		}
		left = nil
	}
	a, err := r.reread()
	if err != nil {
		return Token{}, err
	}
	crashed := left != nil && left.RetryAt.IsZero() && (left.Sent == "" || left.Sent == a.Refresh.Hash())
	if left != nil && !crashed && left.Sent != a.Refresh.Hash() {
		if err := s.clearIntent(r.id); err != nil { // about a token that is stored no more
			return Token{}, &UnwritableError{s.accountFile(r.id, ".intent"), err}
		}
		left = nil
	}
	if r.adoptable(a) && (!crashed || r.adoptOnly) {
		return a.token(!a.Access.Equal(r.seen)), nil
	}
	if r.adoptOnly {
		return Token{}, ErrNothingToAdopt
	}
	if err := r.presentable(ctx, a); err != nil {
		return Token{}, err
	}
	next := intent{Sent: a.Refresh.Hash(), At: s.now()}
	if left != nil {
		// Further ahead it was written by a clock that was wrong.
		if wait := left.RetryAt.Sub(s.now()); wait > 0 && wait <= lastBackoff {
			return Token{}, r.backOff(s.now().Add(wait), errors.New("the last attempt failed a moment ago"))
		}
		next.Failures = left.Failures
	}
	return r.exchange(ctx, a, next)
}

// reread gives the account as it is on disk now, without trusting a stamp: what
// is decided on it cannot be undone.
func (r *renewal) reread() (*Account, error) {
	p := r.s.reload()
	if p.err != nil {
		return nil, p.err
	}
	a, ok := p.byID(r.id)
	switch {
	case !ok:
		r.s.dropLock(r.id)
		return nil, ErrNoAccount
	case a.Flag != nil:
		return nil, refusedBy(a)
	}
	return a, nil
}

// adoptable reports whether the stored token makes an exchange needless: it is
// another one than the caller's (by what it is, not by its expiry, unless that
// has plainly passed), or it is good for a while.
func (r *renewal) adoptable(a *Account) bool {
	if !r.rejected.IsZero() {
		return a.hasAccess() && !a.Access.Equal(r.rejected)
	}
	return r.s.fresh(a) || !a.Access.Equal(r.seen) && r.s.valid(a)
}

// presentable checks the refresh token that is about to be sent: one that is
// missing, or known to be used up, costs the account its place instead of
// being presented.
func (r *renewal) presentable(ctx context.Context, a *Account) error {
	reason := ""
	if a.Refresh.IsZero() {
		reason = "no refresh token is stored for it"
	}
	spent, err := r.s.consumed.has(a.Refresh)
	switch {
	case err != nil:
		return &UnreadableError{Path: r.s.consumed.path, Err: err}
	case spent:
		reason = "its stored refresh token was used up before"
	case reason == "":
		return nil
	}
	if err := r.s.refuse(ctx, a, &RefusedError{Reason: reason}); err != nil {
		return err
	}
	return r.backOff(r.s.now().Add(firstBackoff), errAnotherLogin)
}

// exchange sends the token once and deals with each kind of answer.
func (r *renewal) exchange(ctx context.Context, a *Account, next intent) (Token, error) {
	s := r.s
	if err := s.writeIntent(r.id, next); err != nil {
		return Token{}, err // no intent, no request
	}
	s.fault("intent written")
	limited, cancel := context.WithTimeout(ctx, exchangeLimit)
	defer cancel()
	tokens, err := s.refresh(limited, a.Refresh)
	s.fault("answered")
	if err == nil && tokens.Access.IsZero() && tokens.Refresh.IsZero() {
		err = errors.New("the answer held no token")
	}
	if err == nil {
		s.backoffs.Delete(r.id)
		return r.keep(ctx, next.Sent, s.answerOf(a, tokens))
	}
	var refusal *auth.RefreshError
	if errors.As(err, &refusal) && (refusal.Final() || refusal.Revoked()) {
		return r.refused(ctx, a, refusal)
	}
	return Token{}, r.postpone(next, err)
}

// refused deals with a final refusal. It counts only if the refused token is
// still the stored one; else the stored one is adopted.
func (r *renewal) refused(ctx context.Context, a *Account, refusal *auth.RefreshError) (Token, error) {
	verdict := &RefusedError{Reason: refusal.Error(), Code: refusal.Code, Revoked: refusal.Revoked()}
	if err := r.s.refuse(ctx, a, verdict); err != nil {
		return Token{}, err
	}
	stored, err := r.reread()
	if err != nil {
		return Token{}, err
	}
	return r.adopt(stored)
}

// adopt gives the token that somebody else stored meanwhile; if that cannot be
// used as it is, the next call renews it.
func (r *renewal) adopt(stored *Account) (Token, error) {
	if !stored.hasAccess() {
		return Token{}, r.backOff(r.s.now().Add(firstBackoff), errAnotherLogin)
	}
	return stored.token(true), nil
}

var errAnotherLogin = errors.New("another login was stored meanwhile")

// refuse flags the account as needs_login, if the refresh token that a holds
// is still the stored one, and returns the verdict; nil says that another
// token is stored. The verdict holds even if it could not be written.
func (s *Store) refuse(ctx context.Context, a *Account, verdict *RefusedError) error {
	verdict.Account, verdict.Kind = a.ID, FlagNeedsLogin
	// First, because a crash after it costs one more refusal, and a crash
	// before it would leave an intent that nobody comes back to.
	if err := s.clearIntent(a.ID); err != nil {
		s.log.Warn("an intent could not be cleared", "account", a.ID, "error", err)
	}
	flagged, err := s.flagIf(ctx, a.ID, Flag{Kind: FlagNeedsLogin, Reason: verdict.Reason}, func(stored *Account) bool {
		return stored.Refresh.Equal(a.Refresh)
	})
	if err != nil && !errors.Is(err, ErrNoAccount) {
		s.log.Error("a refusal could not be written", "account", a.ID, "error", err)
		if err := s.consume(ctx, a.Refresh); err != nil {
			s.log.Error("a refused token could not be noted either", "account", a.ID, "error", err)
		}
		return verdict
	}
	if err == nil && !flagged {
		return nil
	}
	return verdict
}

// consume keeps a refused token from being presented again while the flagged
// file, where the verdict belongs, cannot be written.
func (s *Store) consume(ctx context.Context, token logging.Secret) error {
	unlock, err := s.lockStore(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return s.consumed.add(token.Hash())
}

// postpone keeps the intent, so that the same token is sent again, and backs
// off: 5 s, 10 s, … 5 min.
func (r *renewal) postpone(in intent, cause error) error {
	s := r.s
	pause := lastBackoff
	if in.Failures < 6 {
		pause = min(firstBackoff<<in.Failures, lastBackoff)
	}
	in.Failures++
	in.RetryAt = s.now().Add(pause)
	if err := s.writeIntent(r.id, in); err != nil {
		s.log.Warn("a back-off could not be noted for other processes", "account", r.id, "error", err)
	}
	return r.backOff(in.RetryAt, cause)
}

func (r *renewal) backOff(until time.Time, cause error) error {
	e := &UnreachableError{Account: r.id, RetryAt: until, Err: cause}
	r.s.backoffs.Store(r.id, e)
	return e
}
