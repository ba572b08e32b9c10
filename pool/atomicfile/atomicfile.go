// Package atomicfile replaces a file in one step, so that a reader or a crash
// sees the old content or the new one, never a mixture. It does not lock:
// callers that read, modify and write hold a lock of their own.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces path with data: a temporary file in the same folder, chmod,
// write, fsync, close, rename, fsync of the folder. A symlink at path is
// written through; anything else that is not a regular file is refused.
func Write(path string, data []byte, perm fs.FileMode) (err error) {
	return write(path, data, perm, true)
}

// WriteNoSync is Write without either fsync, for data whose loss in a power
// cut costs little (DESIGN 6: quota facts).
func WriteNoSync(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, false)
}

func write(path string, data []byte, perm fs.FileMode, durable bool) (err error) {
	if target, lerr := filepath.EvalSymlinks(path); lerr == nil {
		path = target
	} else if !errors.Is(lerr, fs.ErrNotExist) {
		return lerr
	}
	if info, serr := os.Lstat(path); serr == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err = f.Chmod(perm); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err = f.Write(data); err != nil {
		return err
	}
	if durable {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	if durable {
		return syncDir(filepath.Dir(path))
	}
	return nil
}
