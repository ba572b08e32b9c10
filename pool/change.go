package pool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
)

// UnwritableError says that a store file could not be written. What was there
// before still is.
type UnwritableError struct {
	Path string
	Err  error
}

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("%s cannot be written: %v", e.Path, e.Err)
}

func (e *UnwritableError) Unwrap() error { return e.Err }

// edits is what a change works on: both lists as they are on disk now. A
// change replaces slices and pointers inside an account, it never writes into
// them: readers share them.
type edits struct {
	active  []Account
	flagged []Account
}

// find gives the account to change, in whichever list it is; nil when it is in
// neither.
func (e *edits) find(id string) *Account {
	if i := findID(e.active, id); i >= 0 {
		return &e.active[i]
	}
	if i := findID(e.flagged, id); i >= 0 {
		return &e.flagged[i]
	}
	return nil
}

// take removes an account from whichever list it is in.
func (e *edits) take(id string) (a Account, ok bool) {
	for _, list := range []*[]Account{&e.active, &e.flagged} {
		if i := findID(*list, id); i >= 0 {
			a = (*list)[i]
			*list = slices.Delete(*list, i, i+1)
			return a, true
		}
	}
	return Account{}, false
}

// change is the only way the two files are written: under the store's lock it
// reads them again, lets edit alter what it must, and writes what came out.
// A file that cannot be read is never overwritten. It returns what is on disk
// afterwards.
func (s *Store) change(ctx context.Context, kind backupKind, edit func(*edits) error) (*snapshot, error) {
	unlock, err := s.lockStore(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.changeLocked(kind, edit)
}

// changeLocked is change for a caller that holds the store's lock.
func (s *Store) changeLocked(kind backupKind, edit func(*edits) error) (*snapshot, error) {
	before := s.readFiles()
	if before.err != nil {
		return nil, before.err
	}
	after := edits{active: slices.Clone(before.active.accounts), flagged: slices.Clone(before.flagged.accounts)}
	if err := edit(&after); err != nil {
		return nil, err
	}
	activeChanged := !sameAccounts(before.active.accounts, after.active)
	flaggedChanged := !sameAccounts(before.flagged.accounts, after.flagged)
	if !activeChanged && !flaggedChanged && !before.overwritten {
		return before, nil
	}
	if flaggedChanged && before.flaggedErr != nil {
		return nil, before.flaggedErr
	}
	s.keepForeign(before)
	activeChanged = activeChanged || before.foreign[0] != nil
	flaggedChanged = flaggedChanged || before.stale
	if err := s.sweep(); err != nil {
		s.log.Warn("temporary files of a process that died were not removed", "error", err)
	}
	err := s.writeLists(before, &after, kind, activeChanged, flaggedChanged)
	if err == nil && before.overwritten {
		s.mended.Store(before)
		s.log.Warn("the accounts were merged and written back", "notices", before.notices)
	}
	return s.reload(), err
}

func sameAccounts(a, b []Account) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

// writeLists writes in an order in which a crash never leaves a seat in
// neither file: a seat joins one file before it leaves the other.
func (s *Store) writeLists(before *snapshot, after *edits, kind backupKind, activeChanged, flaggedChanged bool) error {
	leaving := slices.DeleteFunc(slices.Clone(before.flagged.accounts), func(a Account) bool {
		return findID(after.flagged, a.ID) >= 0 || findID(after.active, a.ID) < 0
	})
	if flaggedChanged {
		joined := slices.Concat(after.flagged, leaving)
		if before.stale || !sameAccounts(joined, before.flagged.accounts) {
			if err := s.writeFlagged(before, joined); err != nil {
				return err
			}
		}
	}
	if activeChanged {
		if err := s.writeActive(before, after.active, kind); err != nil {
			return err
		}
	}
	if flaggedChanged && len(leaving) > 0 {
		return s.writeFlagged(before, after.flagged)
	}
	return nil
}

func (s *Store) writeFlagged(before *snapshot, accounts []Account) error {
	before.flagged.revision++
	data, err := encodeDocument(document{revision: before.flagged.revision, accounts: accounts, extra: before.flagged.extra})
	if err != nil {
		return err
	}
	if err := s.disk.replace(s.flaggedPath, data); err != nil {
		return &UnwritableError{s.flaggedPath, err}
	}
	return nil
}

// writeActive writes the accounts file and its copy. The copy comes first: if
// another tool's write or a bad disk takes the file right after, the newest
// tokens are still somewhere.
func (s *Store) writeActive(before *snapshot, accounts []Account, kind backupKind) error {
	revision := before.active.revision
	if revision == 0 {
		revision = s.newestRevision()
	}
	revision++
	data, err := encodeDocument(document{revision: revision, accounts: accounts, extra: before.active.extra})
	if err != nil {
		return err
	}
	copied := s.backUp(accountsName, revision, kind, data)
	if err := s.disk.replace(s.accountsPath, data); err != nil {
		if kind != backupToken { // a token is better kept twice than lost
			err = errors.Join(err, s.disk.remove(copied))
		}
		return &UnwritableError{s.accountsPath, err}
	}
	return nil
}

// keepForeign keeps what an older format holds before ours replaces it.
func (s *Store) keepForeign(before *snapshot) {
	for i, path := range [2]string{s.accountsPath, s.flaggedPath} {
		if data := before.foreign[i]; data != nil {
			s.backUp(filepath.Base(path), max(before.active.revision, s.newestRevision()), backupForeign, data)
		}
	}
}
