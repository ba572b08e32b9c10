package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"
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
// replace. Mend is a shell command against it, "" where none is known.
type UnsafeError struct {
	Path   string
	Reason string
	Mend   string
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
	err = c.root(dir)
	for _, w := range c.warnings {
		c.tightened = append(c.tightened, w.Text)
	}
	return c.tightened, err
}

// RootReport is what InspectRoot found. Loose are modes that let others in and
// were left so, Tightened those that were mended; Warnings are for somebody to
// look at; Refused keeps codex-rota from working. Links are the symlinks among
// our names, Dangling those of them that point to nothing.
type RootReport struct {
	Loose, Tightened, Links, Dangling []string
	Warnings, Refused                 []RootFinding
}

// RootFinding is a sentence, and the shell command that mends it, "" for none.
type RootFinding struct{ Text, Mend string }

// InspectRoot is CheckRoot for looking: it names everything there is, not the
// first refusal alone, and changes modes only if mend is set.
func InspectRoot(dir string, mend bool) RootReport {
	c := checker{look: !mend, all: true}
	_ = c.root(dir) // it all is in c
	if accounts, err := resolve(filepath.Join(dir, accountsName)); err == nil {
		if real, err := resolve(dir); err == nil && filepath.Dir(accounts) != real {
			_ = c.names(filepath.Dir(accounts), []string{locksName, backupsName}, []string{flaggedName})
		}
	}
	return RootReport{Loose: c.loose, Tightened: c.tightened, Links: c.links, Dangling: c.dangling, Warnings: c.warnings, Refused: c.refused}
}

// checker checks names of ours and gathers what it finds.
type checker struct {
	look bool // leave modes as they are
	all  bool // go on after a refusal

	loose, tightened, links, dangling []string
	warnings, refused                 []RootFinding
}

func (c *checker) root(dir string) error {
	if err := c.folder(dir); err != nil {
		return err
	}
	return c.names(dir,
		[]string{locksName, backupsName, "cache", "usage", "logs", filepath.Join("logs", "codex-plugin")},
		[]string{accountsName, flaggedName, "quota-cache.json", "settings.json", "front-end.json", "front-end.nonce"})
}

// names checks what lies in dir: folders with the files in them, and files.
func (c *checker) names(dir string, folders, files []string) error {
	for _, name := range folders {
		if err := c.folder(filepath.Join(dir, name)); err != nil {
			return err
		}
		if err := c.filesIn(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range files {
		if err := c.file(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// mended reports a mode, or an ACL, that let others in and does no more.
func (c *checker) mended(format string, args ...any) {
	c.tightened = append(c.tightened, fmt.Sprintf(format, args...))
}

// shellWord is a path as a shell takes it for one word.
func shellWord(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-:", r)
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

func (c *checker) isLoose(format string, args ...any) {
	c.loose = append(c.loose, fmt.Sprintf(format, args...))
}

func (c *checker) folder(path string) error {
	return c.entry(path, 0o700, fs.FileMode.IsDir, "is not a folder")
}

func (c *checker) file(path string) error {
	return c.entry(path, 0o600, fs.FileMode.IsRegular, "is not a regular file")
}

func (c *checker) filesIn(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil // no folder at all was told before
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
	return c.refuse(err)
}

func (c *checker) entry(path string, want fs.FileMode, kind func(fs.FileMode) bool, otherwise string) error {
	return c.refuse(c.check(path, want, kind, otherwise))
}

// refuse ends the check with err, or notes it and lets the check go on.
func (c *checker) refuse(err error) error {
	if err == nil || !c.all || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	finding := RootFinding{Text: err.Error()}
	var unsafe *UnsafeError
	if errors.As(err, &unsafe) {
		finding.Mend = unsafe.Mend
	}
	if !slices.Contains(c.refused, finding) {
		c.refused = append(c.refused, finding)
	}
	return nil
}

// check checks one name. A symlink is followed once, and both the folder of
// the link and that of its target must be safe.
func (c *checker) check(path string, want fs.FileMode, kind func(fs.FileMode) bool, otherwise string) error {
	target, err := resolve(path)
	if err != nil {
		return err
	}
	link := ""
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		link = path + " → " + target
		c.links = append(c.links, link)
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
		if link != "" {
			c.dangling = append(c.dangling, link)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if !kind(info.Mode()) {
		return &UnsafeError{target, otherwise, "mv " + shellWord(target) + " " + shellWord(target+".aside")}
	}
	if err := checkOwner(target, info); err != nil {
		return err
	}
	return c.tighten(target, info, want)
}
