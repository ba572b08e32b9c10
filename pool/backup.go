package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// backupKind is why a copy was made: it is part of the copy's name, and each
// kind is kept backupsKept deep.
type backupKind string

const (
	backupToken   backupKind = "token"   // the accounts file after a token write
	backupChange  backupKind = "change"  // the accounts file after any other write
	backupForeign backupKind = "foreign" // what another tool's format held before we wrote ours
	backupDamaged backupKind = "damaged" // what could not be read before a restore

	backupsKept = 10
)

// backupName is sortable: revision first, because a clock can jump.
func backupName(file string, revision int64, at time.Time, kind backupKind) string {
	return fmt.Sprintf("%s.r%010d.%s.%s.json", strings.TrimSuffix(file, ".json"), revision, at.UTC().Format("20060102T150405Z"), kind)
}

// parseBackupName gives the revision and kind of a copy of the accounts file.
func parseBackupName(name string) (revision int64, kind backupKind, ok bool) {
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(accountsName, ".json")+".r")
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 4 || parts[3] != "json" {
		return 0, "", false
	}
	revision, err := strconv.ParseInt(parts[0], 10, 64)
	return revision, backupKind(parts[2]), err == nil
}

// backups lists the copies, oldest first.
func (s *Store) backups() []string {
	names, err := s.listBackups()
	if err != nil {
		s.log.Warn("the backups cannot be listed", "folder", s.backupDir, "error", err)
	}
	return names
}

func (s *Store) listBackups() ([]string, error) {
	names, err := s.disk.list(s.backupDir)
	names = slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".json")
	})
	slices.Sort(names)
	return names, err
}

// copies are the paths of all backups: those under the root too, when the
// accounts file became a symlink after they were made.
func (s *Store) copies() []string {
	var paths []string
	for _, name := range s.backups() {
		paths = append(paths, filepath.Join(s.backupDir, name))
	}
	if s.rootBackups == s.backupDir {
		return paths
	}
	left, err := filepath.Glob(filepath.Join(s.rootBackups, strings.TrimSuffix(accountsName, ".json")+".*.json"))
	if err != nil {
		s.log.Warn("the older backups cannot be listed", "folder", s.rootBackups, "error", err)
	}
	return append(paths, left...)
}

// NewestGoodBackup is the path of the newest copy of the accounts file that
// can be read, "" when there is none.
func (s *Store) NewestGoodBackup() string {
	_, path, _ := s.newestGood()
	return path
}

// newestGood is NewestGoodBackup with its content. The error says that there may
// be a newer one, which the disk did not give: whoever decides what holds must
// not decide without it.
func (s *Store) newestGood() (newest document, path string, err error) {
	names, err := s.listBackups()
	if err != nil {
		err = &UnreadableError{Path: s.backupDir, Err: err}
	}
	for _, name := range slices.Backward(names) {
		_, kind, ok := parseBackupName(name)
		if !ok || kind != backupToken && kind != backupChange {
			continue
		}
		copied := filepath.Join(s.backupDir, name)
		data, _, failed := s.disk.read(copied)
		var io *fs.PathError // anything else is no file of ours
		if errors.As(failed, &io) && !errors.Is(failed, fs.ErrNotExist) && err == nil {
			err = &UnreadableError{Path: copied, Err: failed}
		}
		if failed != nil {
			continue
		}
		if doc, failed := decodeDocument(data); failed == nil && doc.version == fileVersion {
			return doc, copied, err
		}
	}
	return document{}, "", err
}

// newestRevision is the highest revision a copy was made of, so that a new
// accounts file does not begin to count below the old one's backups.
func (s *Store) newestRevision() int64 {
	var newest int64
	for _, name := range s.backups() {
		if revision, _, ok := parseBackupName(name); ok {
			newest = max(newest, revision)
		}
	}
	return newest
}

// backUp keeps a copy and drops the oldest of its kind. A failure costs a
// copy, not the write it belongs to.
func (s *Store) backUp(file string, revision int64, kind backupKind, data []byte) (path string) {
	path = filepath.Join(s.backupDir, backupName(file, revision, s.now(), kind))
	if err := s.disk.replace(path, data); err != nil {
		s.log.Warn("a backup was not written", "path", path, "error", err)
	}
	suffix := "." + string(kind) + ".json"
	same := slices.DeleteFunc(s.backups(), func(name string) bool { return !strings.HasSuffix(name, suffix) })
	for _, name := range same[:max(0, len(same)-backupsKept)] {
		if err := s.disk.remove(filepath.Join(s.backupDir, name)); err != nil {
			s.log.Warn("an old backup was not removed", "name", name, "error", err)
		}
	}
	return path
}

// scrub takes a seat's tokens out of every copy: the whole record when it was
// removed, the credentials when it was logged out. A copy that cannot be read
// might hold them and could never be restored, so it goes. The caller holds
// the store's lock.
func (s *Store) scrub(gone *Account, whole bool) error {
	var failures []error
	for _, path := range s.copies() {
		data, _, err := s.disk.read(path)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		doc, err := decodeDocument(data)
		if err != nil {
			failures = append(failures, s.disk.remove(path))
			continue
		}
		if !doc.scrub(gone, whole) {
			continue
		}
		if data, err = encodeDocument(doc); err == nil {
			err = s.disk.replace(path, data)
		}
		failures = append(failures, err)
	}
	if err := errors.Join(append(failures, s.sweep())...); err != nil {
		return &UnwritableError{s.backupDir, err}
	}
	return nil
}

func (doc *document) scrub(gone *Account, whole bool) (changed bool) {
	kept := doc.accounts[:0]
	for _, a := range doc.accounts {
		if a.ID != gone.ID && !matches(&a, gone) {
			kept = append(kept, a)
			continue
		}
		changed = true
		if !whole {
			a.dropTokens()
			kept = append(kept, a)
		}
	}
	doc.accounts = kept
	return changed
}

// sweep removes temporary files that a killed process left: they hold tokens.
// The caller holds the store's lock, so none of them is in use.
func (s *Store) sweep() error {
	return errors.Join(
		sweepDir(s.disk, filepath.Dir(s.accountsPath), filepath.Base(s.accountsPath), flaggedName),
		sweepDir(s.disk, s.backupDir, ""))
}

// sweepDir removes what atomicfile left of the named files, "" for any.
func sweepDir(d disk, dir string, files ...string) error {
	names, err := d.list(dir)
	failures := []error{err}
	for _, name := range names {
		for _, file := range files {
			if strings.HasPrefix(name, "."+file) && strings.Contains(name, ".tmp-") {
				failures = append(failures, d.remove(filepath.Join(dir, name)))
			}
		}
	}
	return errors.Join(failures...)
}
