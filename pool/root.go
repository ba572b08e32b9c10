package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ResolveRoot gives the root folder of everything we keep (DESIGN 6):
// $CODEX_MULTI_AUTH_DIR, else .codex/multi-auth in the home folder.
func ResolveRoot(env func(string) string, home string) string {
	if dir := env("CODEX_MULTI_AUTH_DIR"); dir != "" {
		return dir
	}
	return filepath.Join(home, ".codex", "multi-auth")
}

// UnsafeError refuses a root or a file that somebody else could change or
// replace.
type UnsafeError struct {
	Path   string
	Reason string
}

func (e *UnsafeError) Error() string { return fmt.Sprintf("%s %s", e.Path, e.Reason) }

// CheckRoot checks owner and mode of the root and of what we keep in it, and
// tightens what is looser than 0700 for folders and 0600 for files; each
// warning says what was done or what somebody should look at. Only names of
// ours are touched, for the root may be a folder with other things in it. A
// root that is not there is fine. The error is an *UnsafeError or the file
// system's.
func CheckRoot(dir string) (warnings []string, err error) {
	c := checker{}
	if err := c.folder(dir); err != nil {
		return c.warnings, err
	}
	for _, name := range []string{locksName, backupsName, "cache", "usage", "logs", filepath.Join("logs", "codex-plugin")} {
		if err := c.folder(filepath.Join(dir, name)); err != nil {
			return c.warnings, err
		}
		if err := c.filesIn(filepath.Join(dir, name)); err != nil {
			return c.warnings, err
		}
	}
	for _, name := range []string{accountsName, flaggedName, "quota-cache.json", "settings.json"} {
		if err := c.file(filepath.Join(dir, name)); err != nil {
			return c.warnings, err
		}
	}
	return c.warnings, nil
}

type checker struct{ warnings []string }

func (c *checker) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

func (c *checker) folder(path string) error {
	return c.entry(path, 0o700, fs.FileMode.IsDir, "is not a folder")
}

func (c *checker) file(path string) error {
	return c.entry(path, 0o600, fs.FileMode.IsRegular, "is not a regular file")
}

func (c *checker) filesIn(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		// Logs rotate and temporary files come and go while we look.
		if err := c.file(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// entry checks one name. A symlink is followed once, and both the folder of
// the link and that of its target must be safe.
func (c *checker) entry(path string, want fs.FileMode, kind func(fs.FileMode) bool, otherwise string) error {
	target, err := resolve(path)
	if err != nil {
		return err
	}
	if err := c.parent(filepath.Dir(path)); err != nil {
		return err
	}
	if filepath.Dir(target) != filepath.Dir(path) {
		if err := c.parent(filepath.Dir(target)); err != nil {
			return err
		}
	}
	info, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !kind(info.Mode()) {
		return &UnsafeError{target, otherwise}
	}
	if err := checkOwner(target, info); err != nil {
		return err
	}
	return c.tighten(target, info, want)
}
