package pool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a tmpfs of its own for the test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIPPED: a small tmpfs can be mounted on Linux by root only; the full disk was not tried for real")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size+",mode=0700", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no tmpfs can be mounted here (%v: %s); the full disk was not tried for real", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// fillDisk writes until the disk takes no more, and gives what makes room again.
func fillDisk(t *testing.T, dir string) (room func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; size /= 2 {
		for block := make([]byte, size); err == nil; _, err = f.Write(block) {
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	return func() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

// The same for real: a small disk that fills up at every step of a refresh.
func TestFullDiskForReal(t *testing.T) {
	root := smallDisk(t, "2m")
	served, renewed, refused := 0, 0, 0
	for _, step := range append([]string{"before"}, refreshSteps...) {
		r := &rig{t: t, dir: filepath.Join(root, strings.ReplaceAll(step, " ", "-")), clock: newTick()}
		r.issuer = newIssuer(t, r.clock.now)
		r.Store = r.open(Options{})
		a := r.add(anna, 4*time.Minute) // still good, and due to be renewed
		other := r.add(bert, time.Hour)
		r.clock.add(2 * time.Minute)
		room := func() {}
		s := r.open(Options{fault: func(at string) {
			if at == step {
				room = fillDisk(t, root)
			}
		}})
		if step == "before" {
			room = fillDisk(t, root)
		}
		token, err := s.Token(t.Context(), a.ID, TokenOptions{})
		if err != nil {
			t.Errorf("full from %q on: %v", step, err)
		} else if served++; token.Renewed {
			renewed++
		}
		if err := s.Update(t.Context(), other.ID, func(a *Account) error { a.Note = strings.Repeat("long ", 2000); return nil }); err != nil {
			refused++
			var unwritable *UnwritableError
			if !errors.As(err, &unwritable) || !strings.Contains(err.Error(), unwritable.Path) {
				t.Errorf("full from %q on: %v does not name the file", step, err)
			}
		}
		if list, err := r.open(Options{}).Accounts(); err != nil || len(list) != 2 {
			t.Errorf("full from %q on: %d accounts, %v", step, len(list), err)
		}
		room()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		next := r.open(Options{})
		held, err := next.Token(t.Context(), a.ID, TokenOptions{})
		if err == nil {
			_, err = next.Token(t.Context(), a.ID, TokenOptions{Rejected: held.Access})
		}
		if err != nil || r.issuer.presentedAgain() != 0 {
			t.Errorf("with room again after %q: %v, %d used-up tokens presented", step, err, r.issuer.presentedAgain())
		}
		if err := os.RemoveAll(r.dir); err != nil {
			t.Error(err)
		}
	}
	t.Logf("figures: a real tmpfs of 2 MiB full from each of %d points on: %d calls served (%d with a renewed token), %d changes refused with the file's name, 0 used-up tokens presented",
		len(refreshSteps)+1, served, renewed, refused)
}

// A folder that cannot be written, for real: modes prove nothing to root, a
// disk that was remounted read-only does.
func TestReadOnlyDiskForReal(t *testing.T) {
	root := smallDisk(t, "2m")
	r := &rig{t: t, dir: filepath.Join(root, "pool"), clock: newTick()}
	r.issuer = newIssuer(t, r.clock.now)
	r.Store = r.open(Options{})
	a := r.add(anna, 4*time.Minute)
	r.clock.add(2 * time.Minute) // due to be renewed, and still good
	remount := func(how string) {
		if out, err := exec.Command("mount", "-o", "remount,"+how, root).CombinedOutput(); err != nil {
			t.Fatalf("remount %s: %v: %s", how, err, out)
		}
	}
	remount("ro")
	token, err := r.Token(t.Context(), a.ID, TokenOptions{})
	if err != nil || !token.Access.Equal(a.Access) || r.issuer.count("W1") != 0 {
		t.Errorf("a call: %+v, %v, %d requests to the issuer", token, err, r.issuer.count("W1"))
	}
	err = r.Update(t.Context(), a.ID, func(a *Account) error { a.Label = "x"; return nil })
	var unwritable *UnwritableError
	if !errors.As(err, &unwritable) || !strings.Contains(err.Error(), r.dir) {
		t.Errorf("a change: %v", err)
	}
	remount("rw")
	if token, err := r.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !token.Renewed || r.issuer.count("W1") != 1 {
		t.Errorf("on a disk that can be written again: %+v, %v", token, err)
	}
	t.Logf("figures: a real read-only disk: the held token served, 0 requests to the issuer, the change refused with the file's name; renewed once it could be written")
}
