package pool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBookForgetsWhatTheStoreDropped: a process that outlives a removal writes
// nothing of that account back, and after a purge no file at all.
func TestBookForgetsWhatTheStoreDropped(t *testing.T) {
	dir := t.TempDir()
	held := map[string]bool{"acct_a": true, "acct_b": true}
	open := func() *BookFile {
		return OpenBook(BookOptions{Path: filepath.Join(dir, "quota-cache.json"), LockPath: filepath.Join(dir, "locks", "quota-cache.lock"),
			Delay: time.Hour, Holding: func() func(string) bool { return func(id string) bool { return held[id] } }})
	}
	outlives := open()
	now := time.Now()
	for id := range held {
		outlives.Bind(nil, "ses_"+id, id, now)
	}
	block := Event{Account: "acct_a", At: now, Block: &Block{Until: now.Add(time.Hour), Reason: "usage_limit_reached"}}
	if err := outlives.Learn(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	held["acct_b"] = false
	if err := outlives.Learn(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "quota-cache.json"))
	if err != nil || strings.Contains(string(data), "acct_b") || !strings.Contains(string(data), "acct_a") {
		t.Errorf("after a removal: %s %v", data, err)
	}

	held["acct_a"] = false
	if err := open().Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "locks")); err != nil {
		t.Fatal(err)
	}
	if err := outlives.Learn(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	if err := outlives.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			t.Errorf("made again after the purge: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPurgeWhileWaiting: a refresh that waited for its lock while everything was
// purged leaves neither a file nor a folder behind.
func TestPurgeWhileWaiting(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	waiting := &renewal{s: r.open(Options{}), id: a.ID, seen: a.Access, wait: time.Second}
	if err := r.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := waiting.underLock(t.Context()); !errors.Is(err, ErrNoAccount) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(r.dir); len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	r.add(anna, time.Hour)
}
