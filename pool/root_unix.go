//go:build !windows

package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(stat.Uid) != os.Geteuid() {
		return &UnsafeError{path, fmt.Sprintf("belongs to another user (uid %d, and this is %d)", stat.Uid, os.Geteuid()),
			fmt.Sprintf("sudo chown %d %s", os.Geteuid(), shellWord(path))}
	}
	return nil
}

// tighten takes every permission of others away, and reports it.
func (c *checker) tighten(path string, info fs.FileInfo, want fs.FileMode) error {
	mode := info.Mode().Perm()
	if mode&^want == 0 {
		return nil
	}
	if c.look {
		c.isLoose("%s has mode %04o, which lets others in", path, mode)
		return nil
	}
	if err := os.Chmod(path, mode&want); err != nil {
		return err
	}
	c.mended("%s had mode %04o, which let others in; it is %04o now", path, mode, mode&want)
	return nil
}

// parent checks the folder that holds a name: who may write there can put
// something else in its place.
func (c *checker) parent(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mode := info.Mode()
	switch {
	case mode&0o002 != 0 && mode&fs.ModeSticky == 0:
		return &UnsafeError{dir, fmt.Sprintf("is writable by everybody (mode %04o); run `chmod o-w` on it", mode.Perm()), "chmod o-w " + shellWord(dir)}
	case mode&0o020 != 0 && mode&fs.ModeSticky == 0:
		w := RootFinding{fmt.Sprintf("%s is writable by its group (mode %04o): its members can replace what is in it", dir, mode.Perm()), "chmod g-w " + shellWord(dir)}
		if !slices.Contains(c.warnings, w) {
			c.warnings = append(c.warnings, w)
		}
	}
	return nil
}
