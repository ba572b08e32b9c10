package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"codex-rota/logging"
)

// Token is what authorizes one call. Renewed says that the access token is not
// the one the store held when it was asked: it came from an exchange, or
// another process had stored it meanwhile.
type Token struct {
	Access    logging.Secret
	AccountID string // for the chatgpt-account-id header
	Residency string // "" for none
	ExpiresAt time.Time
	Renewed   bool
}

// TokenOptions says why a token is asked for. Rejected is the access token
// that upstream answered 401 for: any other one will do, else one refresh is
// made, whatever the clock says. AdoptOnly forbids that refresh. Seen is the
// caller's own look of just now, which saves another one; nil looks.
type TokenOptions struct {
	Rejected  logging.Secret
	AdoptOnly bool
	Seen      *Roster
}

var (
	// ErrNoAccount: no account of that id is in the pool (any more).
	ErrNoAccount = errors.New("the account is not in the pool")
	// ErrNothingToAdopt answers TokenOptions.AdoptOnly when no other token is
	// stored than the rejected one.
	ErrNothingToAdopt = errors.New("no newer token is stored")
	// ErrClosed: the store was closed, and the token would need an exchange.
	ErrClosed = errors.New("the account store is closed")
)

// RefusedError says that an account has no usable login: the issuer refused
// its refresh token for good just now, or it is flagged since earlier.
// Revoked: the refusal was of just now and says that tokens were invalidated
// or revoked, so other accounts' tokens must not be presented in a row
// (DESIGN 4).
type RefusedError struct {
	Account string
	Kind    FlagKind
	Reason  string
	Code    string // the issuer's, "" when flagged earlier
	Revoked bool
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("account %s: %s: %s", e.Account, e.Kind, e.Reason)
}

// UnreachableError says that a token is needed and the issuer gave no answer
// about it: nothing was decided, the account keeps its state, and the next
// attempt is made when a call comes after RetryAt.
type UnreachableError struct {
	Account string
	RetryAt time.Time
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("account %s: its token could not be renewed: %v", e.Account, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// minRenewal is how soon after a refresh the clock alone may not ask for
// another one (DESIGN 5).
const minRenewal = 60 * time.Second

// fresh reports whether the account's access token is good enough to be used
// without a refresh.
func (s *Store) fresh(a *Account) bool {
	now := s.now()
	if !a.hasAccess() {
		return false
	}
	// A login that was taken over may have run out before it came.
	age, ranOut := now.Sub(a.RefreshedAt), !a.ExpiresAt.After(a.RefreshedAt)
	return a.ExpiresAt.Sub(now) > s.refreshBefore || age >= 0 && age < minRenewal && !ranOut
}

// valid reports whether the access token may still be tried.
func (s *Store) valid(a *Account) bool {
	return a.hasAccess() && a.ExpiresAt.After(s.now())
}

func (a *Account) token(renewed bool) Token {
	return Token{Access: a.Access, AccountID: a.AccountID, Residency: a.Residency, ExpiresAt: a.ExpiresAt, Renewed: renewed}
}

// Token gives an access token for the account: the stored one while it is
// fresh, for the price of one look, else by the refresh protocol of DESIGN 5.
// The caller's cancel ends the wait, not the exchange. The error is ctx's,
// ErrNoAccount, ErrNothingToAdopt, ErrClosed, *RefusedError,
// *UnreachableError, *UnreadableError, *UnwritableError or *LockTimeoutError;
// the last four not while the stored token is valid and was not rejected.
func (s *Store) Token(ctx context.Context, id string, o TokenOptions) (Token, error) {
	if held, ok := s.inMemory.Load(id); ok && !held.(Token).Access.Equal(o.Rejected) {
		return held.(Token), nil
	}
	p := o.Seen.snapshot()
	if p == nil {
		p = s.current()
	}
	if p.err != nil {
		return s.lastKnown(id, o, p.err)
	}
	if p.overwritten {
		s.settleBehind(p)
	}
	a, ok := p.byID(id)
	switch {
	case !ok:
		return Token{}, ErrNoAccount
	case a.Flag != nil:
		return Token{}, refusedBy(a)
	}
	usable := o.Rejected.IsZero() || !a.Access.Equal(o.Rejected)
	wait := accountWait
	if usable && (s.fresh(a) || a.Refresh.IsZero() && s.valid(a)) {
		if !s.leftover(id) {
			return a.token(!o.Rejected.IsZero()), nil
		}
		wait = 0 // a live process is at it: no reason to wait for it
	}
	if failed, ok := s.backoffs.Load(id); ok && !o.AdoptOnly && failed.(*UnreachableError).RetryAt.After(s.now()) {
		return s.orValid(a, usable, failed.(*UnreachableError))
	}
	token, err := s.fly(ctx, renewal{s: s, id: id, seen: a.Access, rejected: o.Rejected, adoptOnly: o.AdoptOnly, wait: wait})
	if err == nil || ctx.Err() != nil {
		return token, err
	}
	return s.orValid(a, usable, err)
}

// orValid lets a call go on with the stored token when a refresh failed for a
// reason that says nothing about the account.
func (s *Store) orValid(a *Account, usable bool, err error) (Token, error) {
	var refused *RefusedError
	if errors.As(err, &refused) || errors.Is(err, ErrNoAccount) || errors.Is(err, ErrNothingToAdopt) {
		return Token{}, err
	}
	if usable && (s.valid(a) || s.fresh(a)) {
		s.log.Debug("a token is used up to its end, because it could not be renewed", "account", a.ID, "error", err)
		return a.token(false), nil
	}
	return Token{}, err
}

// lastKnown serves calls that come while the files cannot be read.
func (s *Store) lastKnown(id string, o TokenOptions, err error) (Token, error) {
	p := s.lastGood.Load()
	if p == nil {
		return Token{}, err
	}
	a, ok := p.byID(id)
	if !ok || a.Flag != nil || !s.valid(a) || a.Access.Equal(o.Rejected) {
		return Token{}, err
	}
	return a.token(false), nil
}

func refusedBy(a *Account) *RefusedError {
	return &RefusedError{Account: a.ID, Kind: a.Flag.Kind, Reason: a.Flag.Reason}
}

// leftover reports, once per process and account, whether a process that died
// left an intent: its exchange must be resolved at once, not when the access
// token ends.
func (s *Store) leftover(id string) bool {
	if _, ok := s.settled.LoadOrStore(id, struct{}{}); ok {
		return false
	}
	_, err := s.disk.stat(s.accountFile(id, ".intent"))
	return err == nil
}

// flights are the refreshes under way in this process, one for each account
// and purpose; callers that come while one runs share its result.
type flights struct {
	mu      sync.Mutex
	flying  map[string]*flight
	closed  bool
	running sync.WaitGroup
}

// begin runs f beside the calls, as something that Close waits for; not once the
// store is closed.
func (f *flights) begin(run func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.running.Go(run)
	}
}

type flight struct {
	once  sync.Once
	done  chan struct{}
	token Token
	err   error
}

// land gives the waiting callers their result; only the first call counts.
func (fl *flight) land(token Token, err error) {
	fl.once.Do(func() {
		fl.token, fl.err = token, err
		close(fl.done)
	})
}

// fly runs r, or joins the one that runs, and waits for the result or for ctx.
func (s *Store) fly(ctx context.Context, r renewal) (Token, error) {
	key := fmt.Sprintf("%s %t %s", r.id, r.adoptOnly, r.rejected.Hash())
	f := &s.flights
	f.mu.Lock()
	fl, ok := f.flying[key]
	if !ok {
		if f.closed {
			f.mu.Unlock()
			return Token{}, ErrClosed
		}
		fl = &flight{done: make(chan struct{})}
		if f.flying == nil {
			f.flying = make(map[string]*flight)
		}
		f.flying[key] = fl
		r.land = func(token Token, err error) {
			f.mu.Lock()
			if f.flying[key] == fl {
				delete(f.flying, key)
			}
			f.mu.Unlock()
			fl.land(token, err)
		}
		f.running.Go(func() { r.land(r.underLock(context.WithoutCancel(ctx))) })
	}
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return Token{}, ctx.Err()
	case <-fl.done:
		return fl.token, fl.err
	}
}

// closeLimit is how long exchanges in flight get to be committed (DESIGN 3).
const closeLimit = 30 * time.Second

// Close waits until every exchange in flight is committed, for 30 s at most or
// until ctx ends. Afterwards no new exchange is begun.
func (s *Store) Close(ctx context.Context) error {
	s.flights.mu.Lock()
	s.flights.closed = true
	s.flights.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	done := make(chan struct{})
	go func() {
		s.flights.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing the account store: a token exchange was still under way: %w", ctx.Err())
	}
}
