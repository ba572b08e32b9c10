package pool

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Unreadable gives the files of the store that are there and cannot be
// understood: the accounts file, the flagged file, the list of consumed tokens.
func (s *Store) Unreadable() []*UnreadableError {
	p := s.reload()
	var out []*UnreadableError
	for _, err := range []error{p.err, p.flaggedErr} {
		var unreadable *UnreadableError
		if errors.As(err, &unreadable) {
			out = append(out, unreadable)
		}
	}
	s.consumed.mu.Lock()
	defer s.consumed.mu.Unlock()
	if err := s.consumed.load(); err != nil {
		out = append(out, &UnreadableError{Path: s.consumed.path, Err: err})
	}
	return out
}

// LeftIntent is the record of a refresh that no live process is at.
type LeftIntent struct {
	Account  string    // public id; of an account that is gone it may be a hash
	Gone     bool      // the account is not in the pool any more
	At       time.Time // zero when the record cannot be understood
	Answered bool      // the new token is in it, and not in the accounts file yet
	Current  bool      // the token that was sent is the stored one still
	RetryAt  time.Time // of an attempt that failed; zero when its process died
}

const intentSuffix = ".intent"

// LeftIntents gives the refreshes that somebody began and nobody is at now. The
// error is an *UnreadableError or the file system's.
func (s *Store) LeftIntents() ([]LeftIntent, error) {
	names, err := s.disk.list(s.lockDir)
	if err != nil {
		return nil, err
	}
	accounts, err := s.Accounts()
	if err != nil {
		return nil, err
	}
	var out []LeftIntent
	for _, name := range names {
		stem, ok := strings.CutSuffix(name, intentSuffix)
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		free, err := isFree(filepath.Join(s.lockDir, stem+".lock"))
		if err != nil {
			return out, err
		}
		if !free {
			continue
		}
		in, err := s.readIntent(stem)
		if err != nil {
			return out, err
		}
		if in == nil {
			continue // resolved just now
		}
		left := LeftIntent{Account: stem, Gone: true, At: in.At, Answered: in.Answer != nil, RetryAt: in.RetryAt}
		own := func(a Account) bool { return s.accountFile(a.ID, intentSuffix) == filepath.Join(s.lockDir, name) }
		if i := slices.IndexFunc(accounts, own); i >= 0 {
			a := &accounts[i]
			left.Account, left.Gone = a.ID, false
			left.Current = in.Sent == "" || in.Sent == a.Refresh.Hash()
		}
		out = append(out, left)
	}
	return out, nil
}

// SettleIntent does what can be done about an intent without sending a token:
// an answer in it is committed, one about a token that is stored no more is
// dropped. settled is false when only sending the token again could tell, or
// when another process is at it.
func (s *Store) SettleIntent(ctx context.Context, id string) (settled bool, err error) {
	unlock, err := s.lockAccount(ctx, id, 0)
	var held *LockTimeoutError
	if errors.As(err, &held) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unlock()
	left, err := s.readIntent(id)
	if left == nil || err != nil {
		return err == nil, err
	}
	if left.Answer != nil {
		_, err := s.commit(ctx, id, left.Sent, *left.Answer)
		if errors.Is(err, ErrNoAccount) || isRefused(err) {
			err = nil // it is about a login that is gone: dropped
		}
		return err == nil, err
	}
	p := s.reload()
	if p.err != nil {
		return false, p.err
	}
	if a, ok := p.byID(id); ok && (left.Sent == "" || left.Sent == a.Refresh.Hash()) {
		return false, nil
	}
	if err := s.clearIntent(id); err != nil {
		return false, &UnwritableError{s.accountFile(id, intentSuffix), err}
	}
	return true, nil
}
