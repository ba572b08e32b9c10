package pool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"codex-rota/pool/atomicfile"
)

// disk is all the store asks of the file system, so that a test can let any of
// it fail. Every write is durable when it returns without an error; files are
// made 0600 and folders 0700.
type disk interface {
	read(path string) ([]byte, fs.FileInfo, error)
	stat(path string) (fs.FileInfo, error)
	replace(path string, data []byte) error                 // in one step
	overwrite(path string, offset int64, data []byte) error // in place, into room that is there
	append(path string, data []byte) error
	remove(path string) error // nil when it is not there
	list(dir string) ([]string, error)
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
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	return data, info, err
}

func (osDisk) stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

func (d osDisk) replace(path string, data []byte) error {
	err := d.writer.Write(path, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = d.writer.Write(path, data, 0o600)
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
