//go:build !windows

package pool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestResolveRoot(t *testing.T) {
	env := map[string]string{}
	if got := ResolveRoot(func(k string) string { return env[k] }, "/home/u"); got != filepath.Join("/home/u", ".codex", "multi-auth") {
		t.Error(got)
	}
	env["CODEX_MULTI_AUTH_DIR"] = "/elsewhere"
	if got := ResolveRoot(func(k string) string { return env[k] }, "/home/u"); got != "/elsewhere" {
		t.Error(got)
	}
}

func TestCheckRoot(t *testing.T) {
	chmod := func(t *testing.T, mode fs.FileMode, path string) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name    string
		prepare func(t *testing.T, home, root, accounts string)
		warns   string // a part of one warning; "" for none
		refuses string
	}{
		{"as it should be", func(*testing.T, string, string, string) {}, "", ""},
		{"open root", func(t *testing.T, _, root, _ string) { chmod(t, 0o755, root) }, "it is 0700 now", ""},
		{"open file", func(t *testing.T, _, _, accounts string) { chmod(t, 0o664, accounts) }, "it is 0600 now", ""},
		{"open backup", func(t *testing.T, _, root, _ string) {
			path := filepath.Join(root, backupsName)
			if err := errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "x.json"), nil, 0o644)); err != nil {
				t.Fatal(err)
			}
			chmod(t, 0o644, filepath.Join(path, "x.json"))
		}, "x.json had mode 0644", ""},
		{"folder for everybody", func(t *testing.T, home, _, _ string) { chmod(t, 0o777, home) }, "", "is writable by everybody"},
		{"sticky folder for everybody", func(t *testing.T, home, _, _ string) { chmod(t, 0o777|fs.ModeSticky, home) }, "", ""},
		{"folder of the group", func(t *testing.T, home, _, _ string) { chmod(t, 0o770, home) }, "is writable by its group", ""},
		{"no root yet", func(t *testing.T, _, root, _ string) {
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
		}, "", ""},
		{"a file for a root", func(t *testing.T, _, root, _ string) {
			if err := errors.Join(os.RemoveAll(root), os.WriteFile(root, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, "", "is not a folder"},
		{"linked into a folder for everybody", func(t *testing.T, home, _, accounts string) {
			open := filepath.Join(home, "open")
			if err := errors.Join(os.Mkdir(open, 0o777), os.Rename(accounts, filepath.Join(open, "a")), os.Symlink(filepath.Join(open, "a"), accounts)); err != nil {
				t.Fatal(err)
			}
			chmod(t, 0o777, open)
		}, "", "is writable by everybody"},
		{"another user's file", func(t *testing.T, _, _, accounts string) {
			if err := os.Chown(accounts, 12345, 12345); err != nil {
				t.Skip("SKIPPED: only root can give a file away")
			}
		}, "", "belongs to another user"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			home := filepath.Join(t.TempDir(), "home")
			root := filepath.Join(home, "root")
			accounts := filepath.Join(root, accountsName)
			if err := errors.Join(os.MkdirAll(root, 0o700), os.WriteFile(accounts, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			c.prepare(t, home, root, accounts)
			warnings, err := CheckRoot(root)
			if c.refuses == "" && err != nil || c.refuses != "" && (err == nil || !strings.Contains(err.Error(), c.refuses)) {
				t.Errorf("err = %v, want %q", err, c.refuses)
			}
			all := strings.Join(warnings, "\n")
			if c.warns == "" && all != "" || !strings.Contains(all, c.warns) {
				t.Errorf("warnings = %q, want %q", warnings, c.warns)
			}
			if again, _ := CheckRoot(root); c.refuses == "" && len(again) > 0 && !strings.Contains(again[0], "group") {
				t.Errorf("warned again: %q", again)
			}
		})
	}
}

// A symlinked accounts file is written through, and everything of the store
// lies beside its target.
func TestSymlinkedAccountsFile(t *testing.T) {
	r := newRig(t)
	real := filepath.Join(t.TempDir(), "real.json")
	link := filepath.Join(r.dir, accountsName)
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	s := r.open(Options{})
	if _, _, err := s.Add(t.Context(), r.issuer.login(anna, time.Hour), "", "test"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
	if s.LockDir() != filepath.Join(filepath.Dir(s.Path()), locksName) || filepath.Base(s.Path()) != "real.json" {
		t.Errorf("path %s, locks %s", s.Path(), s.LockDir())
	}
	if list, err := r.open(Options{}).Accounts(); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks", "x.lock")
	unlock, err := lockFile(t.Context(), path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var held *LockTimeoutError
	if _, err := lockFile(t.Context(), path, 0); !errors.As(err, &held) || held.Path != path {
		t.Errorf("a held lock: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := lockFile(ctx, path, time.Minute)
		waiting <- err
	}()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
	unlock()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the lock file: %v, %v", info, err)
	}
}

// A lock whose file was unlinked excludes nobody who comes later.
func TestUnlinkedLockIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	lock, err := tryLock(path)
	if err != nil || lock == nil {
		t.Fatal(lock, err)
	}
	defer lock.Unlock()
	check := func(name string, want bool) {
		t.Helper()
		if got, err := stillNamed(lock, path); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	check("as taken", true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("unlinked", false)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("made anew", false)
}
