package pool

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// save brings the file up to change need at least: under the file's lock it
// merges what is there and replaces it. Calls that come together share a write.
// edit, when not nil, changes the book under the lock, after the merge; when it
// reports false nothing is written and save reports false.
func (b *BookFile) save(ctx context.Context, need uint64, edit func(*Book) bool) (bool, error) {
	select {
	case b.saving <- struct{}{}:
		defer func() { <-b.saving }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if edit == nil && (b.holds(need) || b.nothingLeft()) {
		return true, nil
	}
	unlock, err := b.options.disk.lock(ctx, b.options.LockPath, bookLockWait)
	if err != nil {
		return false, b.saveError(err)
	}
	defer unlock()
	b.sweep()
	began := time.Now() // the wait for the lock is another process's work
	file, upTo, ok, err := b.prepare(edit)
	if err != nil || !ok {
		return false, err
	}
	data, err := encodeBook(file)
	if err != nil {
		return false, b.saveError(err)
	}
	if err := b.options.disk.replaceUnsynced(b.options.Path, data); err != nil {
		return false, b.saveError(err)
	}
	return true, b.written(upTo, time.Since(began))
}

// sweep takes away, once, what processes left that were killed while they wrote
// the file. The caller holds the file's lock, so none of that is in use.
func (b *BookFile) sweep() {
	b.swept.Do(func() {
		path, err := resolve(b.options.Path)
		if err == nil {
			err = sweepDir(b.options.disk, filepath.Dir(path), filepath.Base(path))
		}
		if err != nil {
			b.options.Log.Warn("temporary files of a process that died were not removed", "path", b.options.Path, "error", err)
		}
	})
}

func (b *BookFile) saveError(err error) error {
	return fmt.Errorf("write %s: %w", filepath.Base(b.options.Path), err)
}

// holds reports whether the file has change need already.
func (b *BookFile) holds(need uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.book.saved >= need
}

// prepare merges the file into the book and gives the content to write, with
// the last change in it.
func (b *BookFile) prepare(edit func(*Book) bool) (file bookFormat, upTo uint64, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := wall(b.options.Now())
	if err := b.refresh(now); err != nil {
		return bookFormat{}, 0, false, b.saveError(err) // never over what could not be read
	}
	if edit != nil && !edit(b.book) {
		return bookFormat{}, 0, false, nil
	}
	if b.garbage != nil {
		if err := b.setAside(now); err != nil {
			return bookFormat{}, 0, false, b.saveError(err)
		}
	}
	b.book.trim(now)
	b.forgetGone()
	return b.book.snapshot(), b.book.changes, true, nil
}

// written notes that the file holds everything up to a change. The file's lock
// is held, so what lies there is what was written.
func (b *BookFile) written(upTo uint64, took time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took = took
	b.book.saved = max(b.book.saved, upTo)
	info, err := b.options.disk.stat(b.options.Path)
	if err != nil {
		return b.saveError(err)
	}
	b.seen = info
	return nil
}

// setAside keeps a file that is not ours to overwrite under another name; of
// many such, the newest few.
func (b *BookFile) setAside(now time.Time) error {
	path, err := filepath.EvalSymlinks(b.options.Path)
	if err != nil {
		return err
	}
	aside := path + ".unreadable-" + now.UTC().Format("20060102T150405.000Z")
	if err := b.options.disk.rename(path, aside); err != nil {
		return err
	}
	b.warn(fmt.Sprintf("%s was not usable (%v) and is kept as %s", filepath.Base(path), b.garbage, filepath.Base(aside)))
	b.garbage, b.seen = nil, nil
	kept, err := b.asides(path)
	if err != nil || len(kept) <= asideKept {
		return err
	}
	for _, old := range kept[:len(kept)-asideKept] {
		if err := b.options.disk.remove(filepath.Join(filepath.Dir(path), old)); err != nil {
			return err
		}
	}
	return nil
}

// asides lists what setAside kept, oldest first.
func (b *BookFile) asides(path string) ([]string, error) {
	names, err := b.options.disk.list(filepath.Dir(path))
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, filepath.Base(path)+".unreadable-")
	})
	slices.Sort(names)
	return names, err
}

// later has what changed written behind soon. The caller holds mu. At most one
// write is due or running, and none when there is nothing to write.
func (b *BookFile) later() {
	if b.closed || b.timer != nil || b.book.saved >= b.book.changes {
		return
	}
	b.behind.Add(1)
	b.timer = time.AfterFunc(b.pause, b.writeBehind)
}

func (b *BookFile) writeBehind() {
	defer b.behind.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 2*bookLockWait)
	defer cancel()
	b.mu.Lock()
	need := b.book.changes
	b.mu.Unlock()
	_, err := b.save(ctx, need, nil)

	b.mu.Lock()
	defer b.mu.Unlock()
	// A write takes longer the more is known: it gets a fiftieth of the time.
	b.pause = max(b.options.Delay, min(gatherFactor*b.took, longestGather))
	if err != nil {
		b.failures++
		b.pause = min(b.options.Delay<<min(b.failures, 10), longestPause)
		b.options.Log.Warn("facts about the accounts are kept in memory only", "reason", err)
	} else {
		b.failures = 0
	}
	b.timer = nil
	b.later()
}
