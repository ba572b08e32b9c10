package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"codex-rota/pool/atomicfile"
)

// disk is all that the store and the book ask of the file system, so that a test
// can let any of it fail. Every write but replaceUnsynced is durable when it
// returns without an error; files are made 0600 and folders 0700.
type disk interface {
	read(path string) ([]byte, fs.FileInfo, error)
	stat(path string) (fs.FileInfo, error)
	replace(path string, data []byte) error                 // in one step
	replaceUnsynced(path string, data []byte) error         // in one step, and a power cut may undo it
	overwrite(path string, offset int64, data []byte) error // in place, into room that is there
	append(path string, data []byte) error
	rename(from, to string) error
	remove(path string) error    // a file or an empty folder; nil when it is not there
	removeAll(path string) error // with what is in it
	list(dir string) ([]string, error)
	lock(ctx context.Context, path string, wait time.Duration) (unlock func(), err error) // lockFile
}

// osDisk is the real one; tests let single steps of a replacement fail through
// writer.
type osDisk struct{ writer atomicfile.Writer }

// maxFile bounds what is read into memory: no file of ours comes near it.
const maxFile = 64 << 20

func (osDisk) read(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	// The stamp comes from the descriptor: the name may point elsewhere by the
	// time the content is read.
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file", path)
	}
	var data bytes.Buffer
	data.Grow(int(min(info.Size(), maxFile)) + bytes.MinRead) // in one piece, if it does not grow meanwhile
	_, err = data.ReadFrom(io.LimitReader(f, maxFile+1))
	if err == nil && data.Len() > maxFile {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	return data.Bytes(), info, err
}

func (osDisk) stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

func (d osDisk) replace(path string, data []byte) error {
	return replaceWith(d.writer.Write, path, data)
}

func (d osDisk) replaceUnsynced(path string, data []byte) error {
	return replaceWith(d.writer.WriteNoSync, path, data)
}

// replaceWith makes the folder if that is what was missing.
func replaceWith(write func(path string, data []byte, perm fs.FileMode) error, path string, data []byte) error {
	err := write(path, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = write(path, data, 0o600)
		}
	}
	return err
}

func (osDisk) overwrite(path string, offset int64, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return closeSynced(f, err)
}

func (osDisk) append(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return closeSynced(f, err)
}

func closeSynced(f *os.File, err error) error {
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) removeAll(path string) error { return os.RemoveAll(path) }

func (osDisk) lock(ctx context.Context, path string, wait time.Duration) (unlock func(), err error) {
	return lockFile(ctx, path, wait)
}

func (osDisk) remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (osDisk) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
