package proxy

import (
	"sync"
	"time"
)

// activity counts the requests in flight, and tells when there was none for a
// while.
type activity struct {
	mu      sync.Mutex
	running int
	limit   time.Duration
	timer   *time.Timer
}

// watch starts the clock; the channel is closed when limit has passed without a
// request in flight.
func (a *activity) watch(limit time.Duration) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	idle := make(chan struct{})
	a.limit = limit
	a.timer = time.AfterFunc(limit, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.running > 0 {
			return // it began while the timer fired; its end starts the clock anew
		}
		a.timer = nil
		close(idle)
	})
	if a.running > 0 {
		a.timer.Stop()
	}
	return idle
}

func (a *activity) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running++; a.timer != nil {
		a.timer.Stop()
	}
}

func (a *activity) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running--; a.running == 0 && a.timer != nil {
		a.timer.Reset(a.limit)
	}
}

// close stops the clock.
func (a *activity) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer = nil
}
