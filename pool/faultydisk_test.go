package pool

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"codex-rota/pool/atomicfile"
)

// faultyDisk is the real file layer, of which every step of every operation is
// counted and one can be made to fail: the at-th from now, with lasts all that
// follow too.
type faultyDisk struct {
	unsyncedDisk

	mu    sync.Mutex
	at    int // 0: none fails
	lasts bool
	err   error
	steps []string // since reset, as "step of file"
	hit   string   // the first that failed
}

// reset begins to count anew and lets the at-th step fail.
func (d *faultyDisk) reset(at int, lasts bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.lasts, d.err, d.steps, d.hit = at, lasts, err, nil, ""
}

// taken are the steps that were taken since the last reset.
func (d *faultyDisk) taken() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// failed is the step that was the first to fail since the last reset.
func (d *faultyDisk) failed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hit
}

func (d *faultyDisk) before(step, path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = append(d.steps, step+" of "+kindOf(path))
	if n := len(d.steps); d.at == 0 || n != d.at && !(d.lasts && n > d.at) {
		return nil
	}
	if d.hit == "" {
		d.hit = d.steps[len(d.steps)-1]
	}
	return &fs.PathError{Op: step, Path: path, Err: d.err}
}

var seatName = regexp.MustCompile(`^acct_[0-9a-f]+`)

// kindOf says what a file of the pool is, whatever its account or number.
func kindOf(path string) string {
	name := filepath.Base(path)
	for part, kind := range map[string]string{".r0": "a backup", ".unreadable-": "what the quota cache was"} {
		if strings.Contains(name, part) {
			return kind
		}
	}
	switch {
	case seatName.MatchString(name):
		return "an account's " + strings.TrimPrefix(filepath.Ext(name), ".")
	case name == locksName || name == backupsName:
		return "folder " + name
	case !strings.Contains(name, ".") && name != "consumed" && name != "removed":
		return "the root"
	}
	return name
}

// replace has the steps of a synced replacement, of which the syncs do nothing.
func (d *faultyDisk) replace(path string, data []byte) error {
	writer := atomicfile.Writer{Before: func(step atomicfile.Step, path string) error {
		if step == atomicfile.StepClose {
			if err := d.before(string(atomicfile.StepSync), path); err != nil {
				return err
			}
		}
		return d.before(string(step), path)
	}}
	if err := (osDisk{writer}).replaceUnsynced(path, data); err != nil {
		return err
	}
	return d.before(string(atomicfile.StepSyncDir), path)
}

func (d *faultyDisk) replaceUnsynced(path string, data []byte) error {
	writer := atomicfile.Writer{Before: func(step atomicfile.Step, path string) error { return d.before(string(step), path) }}
	return osDisk{writer}.replaceUnsynced(path, data)
}

// inPlace plays a write without a rename: it may leave nothing, half or all of
// the data when it fails.
func (d *faultyDisk) inPlace(path string, data []byte, write func([]byte) error) error {
	if err := d.before("open", path); err != nil {
		return err
	}
	if err := d.before("write", path); err != nil {
		if half := write(data[:len(data)/2]); half != nil {
			return fmt.Errorf("not even half: %w", half)
		}
		return err
	}
	if err := write(data); err != nil {
		return err
	}
	return d.before("sync", path)
}

func (d *faultyDisk) overwrite(path string, offset int64, data []byte) error {
	return d.inPlace(path, data, func(part []byte) error { return d.unsyncedDisk.overwrite(path, offset, part) })
}

func (d *faultyDisk) append(path string, data []byte) error {
	return d.inPlace(path, data, func(part []byte) error { return d.unsyncedDisk.append(path, part) })
}

func (d *faultyDisk) rename(from, to string) error {
	if err := d.before("rename", from); err != nil {
		return err
	}
	return d.osDisk.rename(from, to)
}

func (d *faultyDisk) remove(path string) error {
	if err := d.before("remove", path); err != nil {
		return err
	}
	return d.osDisk.remove(path)
}

func (d *faultyDisk) removeAll(path string) error {
	if err := d.before("remove", path); err != nil {
		return err
	}
	return d.osDisk.removeAll(path)
}

func (d *faultyDisk) lock(ctx context.Context, path string, wait time.Duration) (func(), error) {
	if err := d.before("lock", path); err != nil {
		return nil, err
	}
	return d.osDisk.lock(ctx, path, wait)
}

func (d *faultyDisk) read(path string) ([]byte, fs.FileInfo, error) {
	data, info, err := d.osDisk.read(path)
	if fault := d.before("read", path); fault != nil {
		return nil, info, fault
	}
	return data, info, err
}

func (d *faultyDisk) stat(path string) (fs.FileInfo, error) {
	if err := d.before("look", path); err != nil {
		return nil, err
	}
	return d.osDisk.stat(path)
}

func (d *faultyDisk) list(dir string) ([]string, error) {
	if err := d.before("list", dir); err != nil {
		return nil, err
	}
	return d.osDisk.list(dir)
}
