package atomicfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// content fails the test unless path holds want and no temporary file lies
// beside it.
func content(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("%s holds %q, %v; want %q", path, b, err, want)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), ".tmp-") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestWrite(t *testing.T) {
	for _, tc := range []struct {
		name  string
		write func(string, []byte) error
	}{
		{"durable", func(p string, b []byte) error { return Write(p, b, 0o600) }},
		{"no sync", func(p string, b []byte) error { return WriteNoSync(p, b, 0o600) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			for _, text := range []string{"first, longer", "second", ""} {
				if err := tc.write(path, []byte(text)); err != nil {
					t.Fatal(err)
				}
				content(t, path, text)
			}
		})
	}
}

// A looser mode of the file before does not survive: it may hold tokens.
func TestWriteSetsMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no modes")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestWriteThroughSymlinks(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	target := filepath.Join(other, "real")
	middle, link := filepath.Join(dir, "middle"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(target, middle), os.Symlink("middle", link)); err != nil {
		t.Skipf("SKIPPED: no symlinks here: %v", err)
	}
	if err := Write(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	content(t, target, "new")
	for _, l := range []string{middle, link} {
		if info, err := os.Lstat(l); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no symlink any more: %v, %v", l, info.Mode(), err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	dangling, folder := filepath.Join(dir, "dangling"), filepath.Join(dir, "folder")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.Symlink(filepath.Join(dir, "nowhere"), dangling)); err != nil {
		t.Skipf("SKIPPED: no symlinks here: %v", err)
	}
	for _, tc := range []struct{ name, path, want string }{
		{"a folder", folder, "not a regular file"},
		{"a symlink that leads nowhere", dangling, "leads nowhere"},
		{"a missing folder", filepath.Join(dir, "missing", "f"), ""},
		{"a file as the folder", filepath.Join(os.Args[0], "f"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Write(tc.path, []byte("x"), 0o600)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
	if _, err := os.Lstat(filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the dangling symlink's target was made")
	}
}

// Whatever step fails, the old content stays, the temporary file goes, and the
// disk's own error can be told by errors.Is.
func TestFailingSteps(t *testing.T) {
	for _, tc := range []struct {
		step Step
		left string
	}{
		{StepCreate, "old"}, {StepWrite, "old"}, {StepSync, "old"}, {StepClose, "old"}, {StepRename, "old"},
		{StepSyncDir, "new"}, // the rename is done and cannot be taken back
	} {
		t.Run(string(tc.step), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			var seen []Step
			w := Writer{Before: func(s Step, p string) error {
				seen = append(seen, s)
				if s == tc.step {
					return syscall.ENOSPC
				}
				return nil
			}}
			if err := w.Write(path, []byte("new"), 0o600); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("got %v, want ENOSPC", err)
			}
			content(t, path, tc.left)
			if seen[len(seen)-1] != tc.step {
				t.Errorf("steps after the failure: %v", seen)
			}
		})
	}
}

func TestSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	var seen []Step
	w := Writer{Before: func(s Step, _ string) error { seen = append(seen, s); return nil }}
	if err := w.Write(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if want := []Step{StepCreate, StepWrite, StepSync, StepClose, StepRename, StepSyncDir}; !slices.Equal(seen, want) {
		t.Errorf("durable steps %v, want %v", seen, want)
	}
	seen = nil
	if err := w.WriteNoSync(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if want := []Step{StepCreate, StepWrite, StepClose, StepRename}; !slices.Equal(seen, want) {
		t.Errorf("steps without sync %v, want %v", seen, want)
	}
}

func TestReadersSeeWholeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	texts := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 50_000)}
	if err := WriteNoSync(path, texts[0], 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	done := make(chan struct{})
	for _, text := range texts {
		writers.Go(func() {
			for range 100 {
				if err := WriteNoSync(path, text, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { writers.Wait(); close(done) }()
	for {
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(b, texts[0]) && !bytes.Equal(b, texts[1]) {
			t.Errorf("read a mixture of %d bytes, %v", len(b), err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
