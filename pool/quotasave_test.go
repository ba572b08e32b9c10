package pool

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// slowDisk takes its time for a write.
type slowDisk struct {
	osDisk
	takes  time.Duration
	writes []time.Time
}

func (d *slowDisk) replaceUnsynced(path string, data []byte) error {
	d.writes = append(d.writes, time.Now())
	time.Sleep(d.takes)
	return d.osDisk.replaceUnsynced(path, data)
}

// Where a write takes long, more is gathered before the next; a block waits for
// nothing.
func TestLongWritesAreFarApart(t *testing.T) {
	for takes, apart := range map[time.Duration]time.Duration{time.Millisecond: 500 * time.Millisecond, 40 * time.Millisecond: 2 * time.Second, time.Second: 5 * time.Second} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			d := &slowDisk{takes: takes}
			b := OpenBook(BookOptions{Path: filepath.Join(dir, "quota-cache.json"), LockPath: filepath.Join(dir, "lock"), Now: time.Now, disk: d})
			t.Cleanup(func() { closeBook(t, b) })
			for range 200 {
				b.Bind(nil, "s", "a", time.Now())
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(2 * longestGather)
			synctest.Wait()
			for i := 1; i < len(d.writes); i++ {
				if pause := d.writes[i].Sub(d.writes[i-1]) - takes; pause < apart || pause > apart+100*time.Millisecond {
					t.Errorf("after a write of %s the next came %s later, want %s", takes, pause, apart)
				}
			}
			if len(d.writes) < 3 {
				t.Errorf("%d writes in 20 s", len(d.writes))
			}
			before := len(d.writes)
			b.Bind(nil, "s", "a", time.Now()) // and a write behind is due
			learn(t, b, limitedFor("a", time.Minute))
			if len(d.writes) != before+1 || !b.holds(b.book.changes) {
				t.Error("a block was not written at once")
			}
		})
	}
}
