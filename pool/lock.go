package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// LockTimeoutError says that another process held a lock for the whole of a
// bounded wait.
type LockTimeoutError struct {
	Path   string
	Waited time.Duration
}

func (e *LockTimeoutError) Error() string {
	return fmt.Sprintf("%s is held by another process since %s or longer", filepath.Base(e.Path), e.Waited)
}

const (
	firstLockPoll = time.Millisecond
	lastLockPoll  = 25 * time.Millisecond
)

// lockFile takes the exclusive flock of path, waiting at most wait, and
// returns what releases it. The file (0600) and its folder (0700) are made
// when they are not there; the file is never unlinked, and says which process
// took the lock last and when. Two holders exclude each other inside one
// process too. The error is ctx's, a *LockTimeoutError,
// or the file system's.
func lockFile(ctx context.Context, path string, wait time.Duration) (unlock func(), err error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for poll := firstLockPoll; ; poll = min(2*poll, lastLockPoll) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lock, err := tryLock(path)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			return func() { _ = lock.Unlock() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return nil, &LockTimeoutError{Path: path, Waited: wait}
		case <-time.After(poll/2 + rand.N(poll)): // jitter: a herd must not poll in step
		}
	}
}

// tryLock takes the lock if nobody holds it; a nil lock without an error means
// try again.
func tryLock(path string) (*flock.Flock, error) {
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		ok, err = lock.TryLock()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // a purge took the folder away again
		}
	}
	if err != nil || !ok {
		return nil, err
	}
	named, err := stillNamed(lock, path)
	if named {
		// A full disk may cost the name of the holder, not the lock.
		_ = signHolder(path)
		return lock, nil
	}
	return nil, errors.Join(err, lock.Unlock())
}

// stillNamed reports whether path is the file that is locked. Whoever purged
// the folder may have unlinked it between our open and our lock: then we hold
// a lock that nobody else will ever see.
func stillNamed(lock *flock.Flock, path string) (bool, error) {
	held, err := lock.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, named), err
}
