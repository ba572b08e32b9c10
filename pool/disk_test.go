package pool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
)

// brokenDisk is a disk that refuses every write while it is broken; with room,
// what was preallocated can still be written.
type brokenDisk struct {
	osDisk
	broken atomic.Bool
	room   bool
	only   string            // the end of the one name it refuses to replace
	onRead func(path string) // called before each read
}

func (d *brokenDisk) read(path string) ([]byte, fs.FileInfo, error) {
	if d.onRead != nil {
		d.onRead(path)
	}
	return d.osDisk.read(path)
}

func (d *brokenDisk) replace(path string, data []byte) error {
	if d.broken.Load() && strings.HasSuffix(path, d.only) {
		return syscall.ENOSPC
	}
	return d.osDisk.replace(path, data)
}

func (d *brokenDisk) overwrite(path string, offset int64, data []byte) error {
	if d.broken.Load() && !d.room {
		return syscall.EIO
	}
	return d.osDisk.overwrite(path, offset, data)
}

func (d *brokenDisk) append(path string, data []byte) error {
	if d.broken.Load() {
		return syscall.ENOSPC
	}
	return d.osDisk.append(path, data)
}

// countingDisk refuses to replace the accounts file and counts the tries.
type countingDisk struct {
	osDisk
	tries atomic.Int32
}

func (d *countingDisk) replace(path string, data []byte) error {
	if !strings.HasSuffix(path, accountsName) {
		return d.osDisk.replace(path, data)
	}
	d.tries.Add(1)
	return syscall.ENOSPC
}

// hookedDisk is a disk whose unsynced replacements are made by the function.
type hookedDisk struct {
	osDisk
	replaced func(path string, data []byte) error
}

func (d hookedDisk) replaceUnsynced(path string, data []byte) error { return d.replaced(path, data) }

func writesOf(replaced func(path string, data []byte) error) disk {
	return hookedDisk{replaced: replaced}
}

// unsyncedDisk waits for no disk: for tests that write very much and cut no power.
type unsyncedDisk struct{ osDisk }

func (d unsyncedDisk) replace(path string, data []byte) error { return d.replaceUnsynced(path, data) }

func (unsyncedDisk) overwrite(path string, offset int64, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Close())
}

func (unsyncedDisk) append(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// exitGoroutine ends a process that is played by a goroutine: no line of ours
// runs any more, and the locks go.
func exitGoroutine() { runtime.Goexit() }
