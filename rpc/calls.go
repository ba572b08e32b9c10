package rpc

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
)

// What a host may have unanswered at once. Beyond it nothing more is read, so a
// host that never takes its answers cannot make memory grow; cancels wait too
// then, as they are behind what is not read.
const (
	maxCalls = 4096
	maxBytes = 4 * maxMessage
)

// call is one message being worked on.
type call struct {
	message
	seq      uint64 // jsonrpc2's id for it
	ctx      context.Context
	cancel   context.CancelCauseFunc
	answered atomic.Bool
}

// claim reports whether the caller is the first that answers the call.
func (c *call) claim() bool { return c.answered.CompareAndSwap(false, true) }

// calls holds the messages that are not answered yet.
type calls struct {
	mu    sync.Mutex
	open  map[uint64]*call
	bytes int64
	last  uint64
	ended chan struct{} // closed, and a new one made, whenever a call ends
}

func newCalls() *calls {
	return &calls{open: map[uint64]*call{}, ended: make(chan struct{})}
}

// add takes m in, with a context that ends with ctx.
func (t *calls) add(ctx context.Context, m message) *call {
	c := &call{message: m}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	c.seq = t.last
	t.open[c.seq] = c
	t.bytes += m.size
	return c
}

// remove forgets a call that was answered.
func (t *calls) remove(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c.seq)
	t.bytes -= c.size
	close(t.ended)
	t.ended = make(chan struct{})
}

func (t *calls) get(seq uint64) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[seq]
}

// where gives the calls that match.
func (t *calls) where(match func(*call) bool) []*call {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []*call
	for _, c := range t.open {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}

// withID gives the calls whose id was written as id. One host gives an id once;
// of one that does not, all are meant.
func (t *calls) withID(id []byte) []*call {
	return t.where(func(c *call) bool { return c.id != nil && bytes.Equal(c.id, id) })
}

// waitRoom waits until a message of size bytes may be taken in. It reports false
// when ctx ended first. One message is always taken, whatever its size.
func (t *calls) waitRoom(ctx context.Context, size int64) bool {
	return t.wait(ctx, func() bool {
		return len(t.open) == 0 || len(t.open) < maxCalls && t.bytes+size <= maxBytes
	})
}

// waitIdle waits until every call was answered, or ctx ended: then false.
func (t *calls) waitIdle(ctx context.Context) bool {
	return t.wait(ctx, func() bool { return len(t.open) == 0 })
}

// wait waits for ready, which is called with the lock held.
func (t *calls) wait(ctx context.Context, ready func() bool) bool {
	for {
		t.mu.Lock()
		ok, ended := ready(), t.ended
		t.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return false
		}
	}
}
