//go:build !windows

package pool

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestInspectRootNamesEverything, and changes nothing unless told to.
func TestInspectRootNamesEverything(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	at := func(name string) string { return filepath.Join(root, name) }
	if err := errors.Join(os.MkdirAll(at("locks"), 0o700), os.WriteFile(at(accountsName), nil, 0o600), os.WriteFile(at("locks/a.lock"), nil, 0o600),
		os.Mkdir(at("settings.json"), 0o700), os.WriteFile(at("backups"), nil, 0o600), os.Symlink(at("nowhere"), at("cache"))); err != nil {
		t.Fatal(err)
	}
	setMode(t, at(accountsName), 0o644)
	setMode(t, at("locks/a.lock"), 0o640)
	got := InspectRoot(root, false)
	if len(got.Refused) != 2 || !strings.Contains(got.Refused[0].Text, "backups is not a folder") || !strings.Contains(got.Refused[1].Text, "settings.json is not a regular file") {
		t.Errorf("refused: %q", got.Refused)
	}
	if len(got.Loose) != 2 || len(got.Tightened) > 0 || len(got.Links) != 1 || !slices.Equal(got.Links, got.Dangling) {
		t.Errorf("got %+v", got)
	}
	if info, err := os.Stat(at(accountsName)); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("looking changed the mode: %v, %v", info.Mode(), err)
	}
	mended := InspectRoot(root, true)
	if len(mended.Tightened) != 2 || len(mended.Loose) > 0 || len(mended.Warnings) > 0 {
		t.Errorf("mended: %+v", mended)
	}
	if again := InspectRoot(root, false); len(again.Loose) > 0 {
		t.Errorf("still loose: %q", again.Loose)
	}
}

// TestInspectRootFollowsTheAccountsFile: locks and backups lie beside its target.
func TestInspectRootFollowsTheAccountsFile(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Chmod(root, 0o700), os.Mkdir(filepath.Join(other, "backups"), 0o700),
		os.Symlink(filepath.Join(other, "real.json"), filepath.Join(root, accountsName))); err != nil {
		t.Fatal(err)
	}
	setMode(t, filepath.Join(other, "backups"), 0o755)
	if got := InspectRoot(root, false); len(got.Loose) != 1 || !strings.HasPrefix(got.Loose[0], filepath.Join(other, "backups")) {
		t.Errorf("got %+v", got)
	}
}

// TestWhatMendsTheRoot: the command for each thing that is refused or warned of.
func TestWhatMendsTheRoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b")
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	setMode(t, dir, 0o777)
	if got := InspectRoot(root, true); len(got.Refused) != 1 || got.Refused[0].Mend != "chmod o-w '"+dir+"'" {
		t.Errorf("refused %+v", got.Refused)
	}
	setMode(t, dir, 0o770)
	if got := InspectRoot(root, true); len(got.Refused) != 0 || len(got.Warnings) != 1 || got.Warnings[0].Mend != "chmod g-w '"+dir+"'" {
		t.Errorf("got %+v", got)
	}
	setMode(t, dir, 0o700)
	if err := os.Chown(root, 12345, 12345); err != nil {
		t.Skip("SKIPPED: only root can give a folder away")
	}
	if got := InspectRoot(root, true); len(got.Refused) != 1 || !strings.HasPrefix(got.Refused[0].Mend, "sudo chown ") {
		t.Errorf("refused %+v", got.Refused)
	}
}

func setMode(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
