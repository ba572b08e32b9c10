package logging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/gofrs/flock"
)

const (
	maxFileSize = 10 << 20 // DESIGN 6
	keptFiles   = 5        // the current one and its four predecessors: FILE.1 is the newest
)

// rotatingFile is a log file that several processes append to at once. Each
// write is one whole line in one system call (O_APPEND keeps them apart). The
// one that finds the file full renames it under a file lock; the others notice
// that their descriptor is no longer the path's and open the new file.
type rotatingFile struct {
	path string
	max  int64
	mu   sync.Mutex
	f    *os.File
}

// openRotatingFile makes the folder (0700) and the file (0600) when absent.
func openRotatingFile(path string, max int64) (*rotatingFile, error) {
	r := &rotatingFile{path: path, max: max}
	if err := r.reopen(); err != nil {
		return nil, err
	}
	return r, nil
}

// Write appends p. When the file cannot be rotated, p is appended to it all the
// same and the error says what failed.
func (r *rotatingFile) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rotateErr := r.makeRoom(int64(len(p)))
	if r.f == nil {
		return 0, rotateErr
	}
	n, err := r.f.Write(p)
	return n, errors.Join(err, rotateErr)
}

// Close ends the file. A later write opens it again.
func (r *rotatingFile) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f == nil {
		return nil
	}
	err := r.f.Close()
	r.f = nil
	return err
}

// makeRoom sees to it that r.f is the path's file and has room for n bytes.
func (r *rotatingFile) makeRoom(n int64) error {
	full, err := r.current(n)
	if err != nil || !full {
		return err
	}
	lock := flock.New(r.path + ".lock")
	// No wait: whoever holds the lock is rotating this very file. Lines written
	// meanwhile may take it a little over its size.
	held, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s for rotation: %w", r.path, err)
	}
	if !held {
		return nil
	}
	defer lock.Unlock()
	// Another process may have rotated between our look and the lock.
	if full, err = r.current(n); err != nil || !full {
		return err
	}
	return r.rotate()
}

// current reopens the path when another process rotated it or somebody deleted
// it, and reports whether n more bytes would be too many.
func (r *rotatingFile) current(n int64) (full bool, err error) {
	onDisk, err := os.Stat(r.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if r.f != nil && err == nil {
		if open, err := r.f.Stat(); err == nil && os.SameFile(open, onDisk) {
			return open.Size() > 0 && open.Size()+n > r.max, nil
		}
	}
	if err := r.reopen(); err != nil {
		return false, err
	}
	info, err := r.f.Stat()
	if err != nil {
		return false, err
	}
	return info.Size() > 0 && info.Size()+n > r.max, nil
}

func (r *rotatingFile) rotate() error {
	for i := keptFiles - 1; i > 0; i-- {
		from := r.numbered(i - 1)
		if err := os.Rename(from, r.numbered(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotate the log: %w", err)
		}
	}
	return r.reopen()
}

// numbered is the name of the i-th newest file; 0 is the current one.
func (r *rotatingFile) numbered(i int) string {
	if i == 0 {
		return r.path
	}
	return r.path + "." + strconv.Itoa(i)
}

// reopen opens the path's file, and makes its folder again where a purge took
// it away.
func (r *rotatingFile) reopen() error {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if r.f != nil {
		r.f.Close() // nothing is buffered that this could lose
	}
	r.f = f
	return nil
}
