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
// write, fsync, close, rename, fsync of the folder. The folder must exist. A
// symlink at path is written through; one that leads nowhere and anything else
// that is not a regular file are refused. After an error path holds what it
// held before, except when only the last step failed: then the new content is
// in place, but may not outlast a power cut.
func Write(path string, data []byte, perm fs.FileMode) error {
	return Writer{}.Write(path, data, perm)
}

// WriteNoSync is Write without either fsync, for data whose loss in a power
// cut costs little (DESIGN 6: quota facts).
func WriteNoSync(path string, data []byte, perm fs.FileMode) error {
	return Writer{}.WriteNoSync(path, data, perm)
}

// Step names a step of a replacement that a disk can fail.
type Step string

const (
	StepCreate  Step = "create"
	StepWrite   Step = "write"
	StepSync    Step = "sync"
	StepClose   Step = "close"
	StepRename  Step = "rename"
	StepSyncDir Step = "sync folder"
)

// Writer replaces files; the zero value is what the program uses. Before, when
// not nil, is asked ahead of each step, and its error stands for that step's
// failure: so tests play a full or dying disk.
type Writer struct {
	Before func(step Step, path string) error
}

// Write is the function of the same name.
func (w Writer) Write(path string, data []byte, perm fs.FileMode) error {
	return w.replace(path, data, perm, true)
}

// WriteNoSync is the function of the same name.
func (w Writer) WriteNoSync(path string, data []byte, perm fs.FileMode) error {
	return w.replace(path, data, perm, false)
}

func (w Writer) replace(path string, data []byte, perm fs.FileMode, durable bool) error {
	path, err := resolve(path)
	if err != nil {
		return err
	}
	if err := w.before(StepCreate, path); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	if err := w.fill(f, path, data, perm, durable); err != nil {
		// Close again is harmless, and Windows removes no open file.
		return errors.Join(err, closeAndRemove(f))
	}
	if durable {
		if err := w.before(StepSyncDir, path); err != nil {
			return err
		}
		return syncDir(filepath.Dir(path))
	}
	return nil
}

// fill writes the temporary file f and renames it to path.
func (w Writer) fill(f *os.File, path string, data []byte, perm fs.FileMode, durable bool) error {
	if err := f.Chmod(perm); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := w.before(StepWrite, path); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if durable {
		if err := w.before(StepSync, path); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := w.before(StepClose, path); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := w.before(StepRename, path); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (w Writer) before(step Step, path string) error {
	if w.Before == nil {
		return nil
	}
	if err := w.Before(step, path); err != nil {
		return &fs.PathError{Op: string(step), Path: path, Err: err}
	}
	return nil
}

// resolve follows symlinks and refuses what is there but no regular file.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	switch {
	case err == nil:
		path = target
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case info.Mode()&fs.ModeSymlink != 0:
		return "", fmt.Errorf("%s is a symlink that leads nowhere", path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	return path, nil
}

// closeAndRemove gives only the error that leaves something behind.
func closeAndRemove(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Remove(f.Name())
}
