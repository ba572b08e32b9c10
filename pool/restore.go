package pool

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Restored says what RestoreBackup did. NeedLogin holds the ids of seats whose
// token in the backup had been used up since.
type Restored struct {
	Backup    string // "" when only the flagged file had to be mended
	Damaged   []string
	Accounts  int
	NeedLogin []string
}

// ErrNothingToRestore: both files can be read, or there is no good backup.
var ErrNothingToRestore = errors.New("there is nothing to restore")

// RestoreBackup replaces an accounts file that cannot be read with the newest
// good backup; what was there is kept among the backups. Answers that wait in
// an intent are applied, and a seat whose backed-up token was used since comes
// back as needs_login. A flagged file that cannot be read is set aside and
// begun anew.
func (s *Store) RestoreBackup(ctx context.Context) (Restored, error) {
	unlock, err := s.lockStore(ctx)
	if err != nil {
		return Restored{}, err
	}
	defer unlock()
	broken := s.readFiles()
	if broken.err == nil && broken.flaggedErr == nil {
		return Restored{}, ErrNothingToRestore
	}
	var unreadable *UnreadableError
	if errors.As(broken.err, &unreadable) && unreadable.Path != s.accountsPath {
		return Restored{}, broken.err // it is a backup that the disk did not give
	}
	var done Restored
	before := &snapshot{active: broken.active, flagged: broken.flagged, stale: broken.flaggedErr != nil}
	after := edits{active: broken.active.accounts, flagged: slices.Clone(broken.flagged.accounts)}
	if broken.err != nil {
		backup, path, err := s.newestGood()
		if err != nil {
			return Restored{}, err
		}
		if path == "" {
			return Restored{}, errors.Join(ErrNothingToRestore, broken.err)
		}
		done.Backup = path
		before.active = document{revision: s.newestRevision(), extra: backup.extra}
		if broken.flaggedErr == nil {
			// assemble stopped at the accounts file
			var p snapshot
			flagged := s.readFile(s.flaggedPath, &p.stamps[1], &p.flaggedErr)
			s.assemble(&p, loadedFile{document: document{version: fileVersion}}, flagged)
			before.flagged, after.flagged = p.flagged, slices.Clone(p.flagged.accounts)
		}
		s.derive(backup.accounts)
		giveIDs(backup.accounts, map[string]bool{})
		for _, a := range backup.accounts {
			s.bringSeatBack(&after, a, &done)
		}
		done.Damaged = append(done.Damaged, s.setAside(s.accountsPath))
	}
	if broken.flaggedErr != nil {
		done.Damaged = append(done.Damaged, s.setAside(s.flaggedPath))
	}
	if slices.Contains(done.Damaged, "") {
		return Restored{}, &UnwritableError{s.backupDir, errors.New("what cannot be read could not be set aside")}
	}
	done.Accounts = len(after.active) + len(after.flagged)
	flaggedChanged := before.stale || !sameAccounts(before.flagged.accounts, after.flagged)
	err = s.writeLists(before, &after, backupChange, broken.err != nil, flaggedChanged)
	s.reload()
	return done, err
}

// bringSeatBack puts one seat of a backup into the list it belongs to now.
func (s *Store) bringSeatBack(after *edits, a Account, done *Restored) {
	a.Flag = nil
	in, err := s.readIntent(a.ID)
	if err != nil {
		s.log.Warn("an intent cannot be read", "account", a.ID, "error", err)
	}
	if in != nil && in.Answer != nil && in.Sent == a.Refresh.Hash() {
		a.take(*in.Answer)
	}
	spent := s.spent(&a)
	if i := findSeat(after.flagged, &a); i >= 0 {
		f := &after.flagged[i]
		if spent || f.Refresh.Equal(a.Refresh) || f.Flag.RefusedHash == a.Refresh.Hash() {
			return // flagged after the backup was made
		}
		after.flagged = slices.Delete(after.flagged, i, i+1)
	}
	if a.Flag != nil {
		done.NeedLogin = append(done.NeedLogin, a.ID)
		after.flagged = append(after.flagged, a)
		return
	}
	if spent {
		done.NeedLogin = append(done.NeedLogin, a.ID)
		a.Flag = &Flag{Kind: FlagNeedsLogin, Reason: "its newest login was not in the backup", At: s.now(), RefusedHash: a.Refresh.Hash()}
		a.dropTokens()
		after.flagged = append(after.flagged, a)
		return
	}
	after.active = append(after.active, a)
}

// setAside copies a file that cannot be read to the backups; "" when that
// failed.
func (s *Store) setAside(path string) string {
	data, _, err := s.disk.read(path)
	if err != nil {
		s.log.Error("a damaged file could not be read to keep a copy", "path", path, "error", err)
		return ""
	}
	copied := s.backUp(filepath.Base(path), s.newestRevision(), backupDamaged, data)
	if _, err := s.disk.stat(copied); err != nil {
		return ""
	}
	return copied
}

// Purge deletes the accounts, the flagged accounts, all backups and the lock
// folder with its intents. It holds every lock first, so that no process is in
// the middle of a refresh whose answer would come back.
func (s *Store) Purge(ctx context.Context) error {
	names, err := s.disk.list(s.lockDir)
	if err != nil {
		return err
	}
	accounts, _ := s.Accounts() // an unreadable file goes too
	for i := range accounts {
		names = append(names, filepath.Base(s.accountFile(accounts[i].ID, ".lock")))
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasSuffix(name, ".lock") || name == storeLockName
	})
	slices.Sort(names)
	var unlocks []func()
	release := func() {
		for _, unlock := range unlocks {
			unlock()
		}
		unlocks = nil
	}
	defer release()
	names = append(slices.Compact(names), storeLockName)
	for _, name := range names {
		unlock, err := s.lock(ctx, filepath.Join(s.lockDir, name), accountWait)
		if err != nil {
			return err
		}
		unlocks = append(unlocks, unlock)
	}
	failures := []error{s.disk.remove(s.accountsPath), s.disk.remove(s.flaggedPath), s.sweep(), s.disk.removeAll(s.backupDir)}
	if runtime.GOOS == "windows" {
		release() // an open file cannot be deleted there
	}
	failures = append(failures, s.purgeLocks(names))
	s.reload()
	return errors.Join(failures...)
}

// purgeLocks empties the lock folder but for what belongs to a lock that is not
// among those held: whoever made it came after the purge began, and may rely on
// it.
func (s *Store) purgeLocks(held []string) error {
	left, err := s.disk.list(s.lockDir)
	failures := []error{err}
	for _, name := range left {
		stem, account := strings.CutSuffix(name, intentSuffix)
		if account {
			stem += ".lock"
		}
		if (account || strings.HasSuffix(name, ".lock")) && !slices.Contains(held, stem) {
			continue
		}
		failures = append(failures, s.disk.remove(filepath.Join(s.lockDir, name)))
	}
	if err := s.disk.remove(s.lockDir); !errors.Is(err, fs.ErrExist) { // somebody else is in it
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}
