package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Holder is the process that took a lock last, as it wrote itself into the lock
// file. It says who holds the lock only while somebody does.
type Holder struct {
	PID   int
	Since time.Time
}

// HeldLock is a lock that somebody holds. Holder is the zero value when it
// cannot be read.
type HeldLock struct {
	Path   string
	Holder Holder
	Alive  bool // Holder.PID is a process that can be seen from here
}

const (
	// holderAt leaves the first byte alone: on Windows it is what is locked, and
	// nobody else could read it.
	holderAt = 1
	// secondLook is when a lock that seems to be held for long is looked at
	// again: a process writes itself down just after it took the lock.
	secondLook = 100 * time.Millisecond
)

// record is of one length, so that it replaces the one before it whole.
func (h Holder) record() string { return fmt.Sprintf("%20d %20d\n", h.PID, h.Since.UnixMilli()) }

func parseHolder(text string) (Holder, error) {
	var pid int
	var since int64
	if _, err := fmt.Sscanf(text, "%d %d\n", &pid, &since); err != nil {
		return Holder{}, fmt.Errorf("who holds the lock: %w", err)
	}
	return Holder{PID: pid, Since: time.UnixMilli(since)}, nil
}

// signHolder writes this process into a lock file whose lock it holds.
func signHolder(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(Holder{os.Getpid(), time.Now()}.record()), holderAt)
	return errors.Join(err, f.Close())
}

func readHolder(path string) (Holder, error) {
	f, err := os.Open(path)
	if err != nil {
		return Holder{}, err
	}
	defer f.Close()
	text := make([]byte, len(Holder{}.record()))
	if _, err := f.ReadAt(text, holderAt); err != nil && !errors.Is(err, io.EOF) {
		return Holder{}, err
	}
	return parseHolder(string(text))
}

// HeldLocks gives the locks of the pool that are held for longer than limit; a
// holder that is not known, or that died without giving the lock to anybody
// else, counts as one that holds it for longer. Each lock that is free is taken
// for a moment.
func (s *Store) HeldLocks(ctx context.Context, limit time.Duration) ([]HeldLock, error) {
	names, err := s.disk.list(s.lockDir)
	if err != nil {
		return nil, err
	}
	var held []HeldLock
	for _, name := range names {
		if !strings.HasSuffix(name, ".lock") {
			continue
		}
		first, err := longHeld(filepath.Join(s.lockDir, name), limit)
		if err != nil {
			return held, err
		}
		if first != nil {
			held = append(held, *first)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(secondLook):
	}
	var still []HeldLock
	for _, h := range held {
		second, err := longHeld(h.Path, limit)
		if err != nil {
			return still, err
		}
		if second != nil && second.Holder == h.Holder {
			still = append(still, *second)
		}
	}
	return still, nil
}

// longHeld looks once; nil says that the lock is free, or held for a moment.
func longHeld(path string, limit time.Duration) (*HeldLock, error) {
	free, err := isFree(path)
	if err != nil || free {
		return nil, err
	}
	h := HeldLock{Path: path}
	// A record that cannot be read leaves the holder unknown.
	h.Holder, _ = readHolder(path)
	if h.Alive = h.Holder.PID != 0 && ProcessLives(h.Holder.PID); h.Alive && time.Since(h.Holder.Since) < limit {
		return nil, nil
	}
	return &h, nil
}

// isFree reports whether nobody holds the lock of path. It makes no file.
func isFree(path string) (bool, error) {
	lock := flock.New(path, flock.SetFlag(os.O_RDWR))
	free, err := lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil || !free:
		return false, err
	}
	return true, lock.Unlock()
}
