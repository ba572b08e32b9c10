package rpc

import (
	"sync"
	"time"
)

// watch notices a write that takes too long. Its timer is set at most once in the
// limit, however many writes there are: to set one wakes a thread, which takes as
// long as a small answer.
type watch struct {
	limit time.Duration
	late  func() // called once, when a write has taken limit

	mu    sync.Mutex
	since time.Time // when the write under way began; zero when there is none
	timer *time.Timer
	set   bool // timer will fire
	over  bool // stop was called
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	w.arm(w.limit)
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Time{}
}

// arm has look called in d, unless it will be called anyway, or no more. The lock
// is held.
func (w *watch) arm(d time.Duration) {
	switch {
	case w.set, w.over:
		return
	case w.timer == nil:
		w.timer = time.AfterFunc(d, w.look)
	default:
		w.timer.Reset(d)
	}
	w.set = true
}

// look tells of a write that is late, or looks again when the one under way would be.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set = false
	if w.since.IsZero() || w.over { // it may have waited for the lock while stop had it
		return
	}
	if left := w.limit - time.Since(w.since); left > 0 {
		w.arm(left)
		return
	}
	w.late()
}

// stop ends the watch for good.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
