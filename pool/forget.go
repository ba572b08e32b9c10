package pool

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// Holds reports whether an account with this public id is there. While the files
// cannot be read nobody knows, and it may be.
func (s *Store) Holds(id string) bool { return s.Holding()(id) }

// Holding is Holds for any number of accounts, as of one look.
func (s *Store) Holding() func(id string) bool {
	p := s.current()
	if p.err != nil || p.flaggedErr != nil {
		return func(string) bool { return true }
	}
	return func(id string) bool { return p.roster.Position(id) >= 0 }
}

// dropLock takes away the lock file of an account that is gone, with the lock
// held: whoever waited for it while everything was purged has made it anew, and
// its name is the account's id. Others that wait for this file see that it is no
// longer the path's.
func (s *Store) dropLock(id string) {
	if err := s.disk.remove(s.accountFile(id, ".lock")); err != nil {
		s.log.Warn("the lock file of an account that is gone was not removed", "account", id, "error", err)
	}
	_ = s.disk.remove(s.lockDir) // and the folders, if nothing else is in them
	_ = s.disk.remove(filepath.Dir(s.lockDir))
}

// Clear forgets everything and deletes the file, and what was set aside of it.
// Other processes forget what they know of an account once it is out of the
// store (BookOptions.Holding): they write nothing of it back.
func (b *BookFile) Clear(ctx context.Context) error {
	select {
	case b.saving <- struct{}{}:
		defer func() { <-b.saving }()
	case <-ctx.Done():
		return ctx.Err()
	}
	unlock, err := b.options.disk.lock(ctx, b.options.LockPath, bookLockWait)
	if err != nil {
		return b.saveError(err)
	}
	defer unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	path, err := resolve(b.options.Path) // what is written through a symlink is deleted through it
	if err != nil {
		return b.saveError(err)
	}
	old, err := b.asides(path)
	failures := []error{err, b.options.disk.remove(path), sweepDir(b.options.disk, filepath.Dir(path), filepath.Base(path))}
	for _, name := range old {
		failures = append(failures, b.options.disk.remove(filepath.Join(filepath.Dir(path), name)))
	}
	b.book, b.seen, b.garbage = NewBook(), nil, nil
	return errors.Join(failures...)
}

// forgetGone forgets the accounts that the store holds no more: another process
// removed them, or purged everything. The caller holds mu.
func (b *BookFile) forgetGone() {
	if b.options.Holding == nil {
		return
	}
	holds := b.options.Holding() // one look for all that is known
	gone := map[string]bool{}
	note := func(id string) {
		if id != "" && !holds(id) {
			gone[id] = true
		}
	}
	for id := range b.book.accounts {
		note(id)
	}
	for _, s := range b.book.sessions {
		note(s.Account)
		note(s.Home)
	}
	if note(b.book.turn.Account); gone[b.book.turn.Account] {
		b.book.turn = turn{}
	}
	for id := range gone {
		b.book.forget(id)
	}
}

// nothingLeft reports that there is no file and nothing to put into one, so that
// a process which outlives a purge does not make one again, nor its lock.
func (b *BookFile) nothingLeft() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.options.disk.stat(b.options.Path); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	b.forgetGone()
	if len(b.book.accounts)+len(b.book.sessions) > 0 {
		return false
	}
	b.book.saved = b.book.changes
	return true
}
