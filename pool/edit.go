package pool

import (
	"context"
	"errors"

	"codex-rota/logging"
)

// Update changes what a person may say about one account: edit works on a copy
// of it as it is on disk now, and of the result label, tags, note and enabled
// are taken. An error of edit is returned and nothing is written.
func (s *Store) Update(ctx context.Context, id string, edit func(*Account) error) error {
	_, err := s.change(ctx, backupChange, func(e *edits) error {
		a := e.find(id)
		if a == nil {
			return ErrNoAccount
		}
		changed := *a
		changed.Tags = append([]string(nil), a.Tags...)
		if err := edit(&changed); err != nil {
			return err
		}
		a.Label, a.Tags, a.Note, a.Enabled = changed.Label, changed.Tags, changed.Note, changed.Enabled
		return nil
	})
	return err
}

// Pin makes one account the only one that is used; id "" unpins.
func (s *Store) Pin(ctx context.Context, id string) error {
	return s.mark(ctx, id, func(a *Account, on bool) { a.Pinned = on })
}

// Prefer makes one account the first for new sessions; id "" takes the
// preference back.
func (s *Store) Prefer(ctx context.Context, id string) error {
	return s.mark(ctx, id, func(a *Account, on bool) { a.Preferred = on })
}

// mark sets an exclusive flag on one account and clears it on all others.
func (s *Store) mark(ctx context.Context, id string, set func(*Account, bool)) error {
	_, err := s.change(ctx, backupChange, func(e *edits) error {
		if id != "" && e.find(id) == nil {
			return ErrNoAccount
		}
		for _, list := range [][]Account{e.active, e.flagged} {
			for i := range list {
				set(&list[i], list[i].ID == id)
			}
		}
		return nil
	})
	return err
}

// Remove deletes an account: its record, its tokens in every backup, and what
// a refresh left of them. It waits for a refresh under way.
func (s *Store) Remove(ctx context.Context, id string) error {
	return s.withdraw(ctx, id, true, func(e *edits) error {
		e.take(id)
		return nil
	})
}

// Logout drops an account's tokens, in every backup too, and keeps its record
// as needs_login. It waits for a refresh under way.
func (s *Store) Logout(ctx context.Context, id string) error {
	return s.withdraw(ctx, id, false, func(e *edits) error {
		a, _ := e.take(id)
		refused := a.Refresh.Hash()
		if refused == "" && a.Flag != nil {
			refused = a.Flag.RefusedHash
		}
		a.Flag = &Flag{Kind: FlagNeedsLogin, Reason: "logged out", At: s.now(), RefusedHash: refused}
		a.dropTokens()
		e.flagged = append(e.flagged, a)
		return nil
	})
}

// withdraw takes an account's tokens out of everything that holds them. Both
// locks are held throughout, so that no refresh can bring any of them back.
func (s *Store) withdraw(ctx context.Context, id string, whole bool, edit func(*edits) error) error {
	unlock, err := s.lockAccount(ctx, id, accountWait)
	if err != nil {
		return err
	}
	defer unlock()
	left, err := s.settleLeft(ctx, id)
	if err != nil {
		return err
	}
	unlockStore, err := s.lockStore(ctx)
	if err != nil {
		return err
	}
	defer unlockStore()
	var gone Account
	if _, err := s.changeLocked(backupChange, func(e *edits) error {
		a := e.find(id)
		if a == nil {
			return ErrNoAccount
		}
		gone = *a
		// The copies first: what fails here leaves an account that can be
		// withdrawn again, and not tokens of one that is gone.
		if err := s.forgetLogin(&gone, left, whole); err != nil {
			return err
		}
		return edit(e)
	}); err != nil {
		return err
	}
	s.inMemory.Delete(id)
	s.backoffs.Delete(id)
	// Another tool's file may have become a copy with this change.
	return s.scrub(&gone, whole)
}

// forgetLogin takes the tokens out of the intent and the copies. They are noted,
// so that another tool which read them before cannot bring them back.
func (s *Store) forgetLogin(gone *Account, left *intent, whole bool) error {
	sent := ""
	if left != nil {
		sent = left.Sent
	}
	if err := errors.Join(s.removed.add(gone.Refresh.Hash()), s.removed.add(sent)); err != nil {
		return &UnwritableError{s.removed.path, err}
	}
	if err := s.clearIntent(gone.ID); err != nil {
		return &UnwritableError{s.accountFile(gone.ID, intentSuffix), err}
	}
	return s.scrub(gone, whole)
}

// Flag takes an account out of service for good: needs_login drops its tokens
// and keeps the hash of the refresh token, suspended drops only the access
// token. Refused is the access token that upstream refused: when another one
// is stored by now, the verdict is about the past and nothing is flagged (that
// is no error). The zero Secret flags in any case. It waits for a refresh
// under way.
func (s *Store) Flag(ctx context.Context, id string, flag Flag, refused logging.Secret) error {
	unlock, err := s.lockAccount(ctx, id, accountWait)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.settleLeft(ctx, id); err != nil {
		return err
	}
	_, err = s.flagIf(ctx, id, flag, func(stored *Account) bool {
		return refused.IsZero() || stored.Access.Equal(refused)
	})
	return err
}

// flagIf flags an account that is still as the verdict was about; the caller
// holds the account's lock. It reports whether the account is flagged now.
func (s *Store) flagIf(ctx context.Context, id string, flag Flag, still func(*Account) bool) (flagged bool, err error) {
	unlock, err := s.lockStore(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	spent := ""
	_, err = s.changeLocked(backupChange, func(e *edits) error {
		i := findID(e.active, id)
		if i < 0 {
			if findID(e.flagged, id) < 0 {
				return ErrNoAccount
			}
			flagged = true // by another process: its verdict stays
			return nil
		}
		if !still(&e.active[i]) {
			return nil
		}
		flagged = true
		a, _ := e.take(id)
		flag.At = s.now()
		if flag.Kind == FlagNeedsLogin {
			spent = a.Refresh.Hash()
			flag.RefusedHash = spent
			a.dropTokens()
		} else {
			a.Access = logging.Secret{}
		}
		a.Flag = &flag
		e.flagged = append(e.flagged, a)
		return nil
	})
	if err != nil {
		return false, err
	}
	if err := s.consumed.add(spent); err != nil {
		return flagged, &UnwritableError{s.consumed.path, err}
	}
	return flagged, nil
}
