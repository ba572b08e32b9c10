package pool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/auth"
	"codex-rota/logging"
)

// Names under the root (DESIGN 6). The two files have the Node tools' names,
// so that a pool is found and migrated where it lies.
const (
	accountsName = "openai-codex-accounts.json"
	flaggedName  = "openai-codex-flagged-accounts.json"
	locksName    = "locks"
	backupsName  = "backups"

	storeLockName = "store.accounts.lock" // the dot keeps it apart from every account's
)

// RefreshFunc exchanges a refresh token, with exactly one request, and fails
// with an *auth.RefreshError.
type RefreshFunc func(ctx context.Context, token logging.Secret) (auth.Tokens, error)

// Options is what a Store is made of. Dir is the root; a root that is not
// there is made at the first write. Now defaults to time.Now, Log to silence,
// RefreshBefore (an access token that expires sooner is renewed) to 5 minutes.
type Options struct {
	Dir           string
	Refresh       RefreshFunc
	Now           func() time.Time
	Log           hclog.Logger
	RefreshBefore time.Duration

	disk  disk              // tests: a file layer that fails
	fault func(step string) // tests: called after each step of a refresh
}

// Store is the accounts on disk: it reads them without ever waiting, changes
// one account's fields at a time under a lock, and keeps their tokens fresh.
// It chooses nothing. All methods may be called concurrently, from any number
// of processes over one folder.
type Store struct {
	accountsPath string // symlinks resolved
	flaggedPath  string
	backupDir    string
	rootBackups  string // backupDir, unless the accounts file is a symlink
	lockDir      string

	refresh       RefreshFunc
	now           func() time.Time
	log           hclog.Logger
	refreshBefore time.Duration
	disk          disk
	fault         func(step string)
	consumed      consumedList
	removed       consumedList // logins that were removed or logged out: no other tool's file brings them back

	snap     atomic.Pointer[snapshot]
	lastGood atomic.Pointer[snapshot] // the newest that could be read
	settling atomic.Pointer[snapshot] // the one that settleBehind tried last
	mended   atomic.Pointer[snapshot] // the overwritten one that this process wrote back last

	flights  flights
	inMemory sync.Map // public id → Token whose answer could not be written yet
	backoffs sync.Map // public id → *UnreachableError of the last failed exchange
	settled  sync.Map // public id → struct{}: no intent of a dead process is left
}

// OpenStore opens the accounts under o.Dir. It writes nothing, and a missing
// file is an empty pool. Files that cannot be read are no error here: Accounts
// tells, and calls recover by themselves once they are mended.
func OpenStore(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("no folder for the accounts is given")
	}
	if o.Refresh == nil {
		return nil, errors.New("no way to refresh a token is given")
	}
	accounts, err := resolve(filepath.Join(o.Dir, accountsName))
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(accounts)
	s := &Store{
		accountsPath: accounts,
		flaggedPath:  filepath.Join(dir, flaggedName),
		backupDir:    filepath.Join(dir, backupsName),
		rootBackups:  filepath.Join(o.Dir, backupsName),
		lockDir:      filepath.Join(dir, locksName),
		refresh:      o.Refresh, now: o.Now, log: o.Log, refreshBefore: o.RefreshBefore,
		disk: o.disk, fault: o.fault,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	if s.refreshBefore == 0 {
		s.refreshBefore = 5 * time.Minute
	}
	if s.disk == nil {
		s.disk = osDisk{}
	}
	if s.fault == nil {
		s.fault = func(string) {}
	}
	s.consumed.path, s.consumed.disk = filepath.Join(s.lockDir, "consumed"), s.disk
	s.removed.path, s.removed.disk = filepath.Join(s.lockDir, "removed"), s.disk
	return s, nil
}

// resolve follows symlinks once, a dangling last one too: what is not there
// yet is written where it points.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range 40 {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real, nil
		}
		if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			path = filepath.Join(dir, filepath.Base(path))
		}
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil // plainly not there
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", errors.New("too many symlinks at " + path)
}

func (s *Store) claims(access, id logging.Secret) (auth.Claims, error) {
	return auth.ParseClaims(access, id)
}

// Accounts lists the accounts, those of the accounts file first, then the
// flagged ones (Flag is set). The slice is shared: it must not be changed. The
// error is an *UnreadableError. Nothing changed on disk costs two stats.
func (s *Store) Accounts() ([]Account, error) {
	p := s.current()
	return p.roster.All(), p.err
}

// Account gives one account by its public id.
func (s *Store) Account(id string) (Account, error) {
	p := s.current()
	if p.err != nil {
		return Account{}, p.err
	}
	a, ok := p.byID(id)
	if !ok {
		return Account{}, ErrNoAccount
	}
	return *a, nil
}

// Revision grows with every change of either file.
func (s *Store) Revision() (int64, error) {
	p := s.current()
	return p.roster.Revision(), p.err
}

// Notices tells what the person should know about the files: what another tool
// overwrote, as they are now or until this process mended it, and that flagged
// accounts cannot be read.
func (s *Store) Notices() []string {
	p := s.current()
	notices := p.notices
	if mended := s.mended.Load(); mended != nil && len(notices) == 0 {
		notices = mended.notices
	}
	if p.flaggedErr == nil {
		return notices
	}
	return append(slices.Clip(notices), p.flaggedErr.Error())
}

// Path is the accounts file, symlinks resolved.
func (s *Store) Path() string { return s.accountsPath }

// FlaggedPath is the file of accounts out of service, beside Path.
func (s *Store) FlaggedPath() string { return s.flaggedPath }

// LockDir is the folder of the lock files, beside the resolved accounts file.
func (s *Store) LockDir() string { return s.lockDir }

// accountFile names an account's file in the lock folder. An id from a
// hand-written file might be no file name.
func (s *Store) accountFile(id, suffix string) string {
	for _, r := range id {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r) {
			return filepath.Join(s.lockDir, "id-"+logging.NewSecret(id).Hash()[:24]+suffix)
		}
	}
	return filepath.Join(s.lockDir, id+suffix)
}

const (
	// accountWait bounds the wait for an account's lock: one exchange of
	// another process, and a little (DESIGN 5).
	accountWait = 35 * time.Second
	// storeWait bounds the wait for the store's lock, which is held for
	// milliseconds.
	storeWait = 10 * time.Second
)

// lockAccount takes an account's lock. Whoever needs the store's lock too
// takes that one second.
func (s *Store) lockAccount(ctx context.Context, id string, wait time.Duration) (unlock func(), err error) {
	return s.lock(ctx, s.accountFile(id, ".lock"), wait)
}

func (s *Store) lockStore(ctx context.Context) (unlock func(), err error) {
	return s.lock(ctx, filepath.Join(s.lockDir, storeLockName), storeWait)
}

func (s *Store) lock(ctx context.Context, path string, wait time.Duration) (unlock func(), err error) {
	unlock, err = s.disk.lock(ctx, path, wait)
	var held *LockTimeoutError
	if err != nil && ctx.Err() == nil && !errors.As(err, &held) {
		err = &UnwritableError{path, err}
	}
	return unlock, err
}
