package proxy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The buffers of bodies from leaseLeast to leaseMost are used again: a long
// conversation is sent anew with each of its calls, and a fresh megabyte costs
// more to clear and to collect than to fill. Others are left to the collector.
const (
	leaseLeast = 64 << 10
	leaseMost  = 8 << 20
	// keptMost is what lies ready in all: many calls at once may leave much more.
	keptMost = 12 << 20
	// keptTime is how long they lie ready after the last was given back.
	keptTime = time.Minute
)

// leases lends buffers.
type leases struct {
	mu    sync.Mutex
	kept  [][]byte
	size  int         // of all that is kept
	empty *time.Timer // lets them go
}

// lease is a buffer on loan. It starts with one holder, and goes back when the
// last of them has released it; one that is never released is collected.
type lease struct {
	from    *leases // nil for a buffer that is not used again
	buffer  []byte
	holders atomic.Int32
}

// lend gives a buffer with room for size bytes.
func (l *leases) lend(size int) *lease {
	b := &lease{}
	b.holders.Store(1)
	if size < leaseLeast || size > leaseMost {
		b.buffer = make([]byte, size)
		return b
	}
	b.from = l
	if b.buffer = l.take(size); b.buffer == nil {
		b.buffer = make([]byte, (size+leaseLeast-1)/leaseLeast*leaseLeast)
	}
	return b
}

// take gives the smallest of the kept buffers that fits and wastes no more than
// half, nil when there is none.
func (l *leases) take(size int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	best := -1
	for i, b := range l.kept {
		if len(b) >= size && len(b) <= 2*size && (best < 0 || len(b) < len(l.kept[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	b := l.kept[best]
	l.kept = slices.Delete(l.kept, best, best+1)
	l.size -= len(b)
	return b
}

func (l *leases) giveBack(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+len(b) > keptMost {
		return
	}
	l.kept, l.size = append(l.kept, b), l.size+len(b)
	if l.empty == nil {
		l.empty = time.AfterFunc(keptTime, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.kept, l.size = nil, 0
		})
	} else {
		l.empty.Reset(keptTime)
	}
}

// release is called once by each holder, which must not look at the buffer again.
func (b *lease) release() {
	if b.holders.Add(-1) > 0 || b.from == nil {
		return
	}
	poison(b.buffer)
	b.from.giveBack(b.buffer)
}

// readAll reads all of r into a buffer on loan; size is what is expected, -1 for
// unknown. More than maxBody bytes are errTooLarge.
func (l *leases) readAll(r io.Reader, size int64) (*lease, []byte, error) {
	room := int64(leaseLeast)
	if size >= 0 {
		room = min(size, maxBody) + 1 // one more, to see the end without growing
	}
	b, n := l.lend(int(room)), 0
	for {
		m, err := r.Read(b.buffer[n:])
		n += m
		switch {
		case n > maxBody:
			b.release()
			return nil, nil, errTooLarge
		case errors.Is(err, io.EOF):
			return b, b.buffer[:n], nil
		case err != nil:
			b.release()
			return nil, nil, err
		case n == len(b.buffer):
			larger := l.lend(min(2*n, maxBody+1))
			copy(larger.buffer, b.buffer)
			b.release()
			b = larger
		}
	}
}

// upload is a body on its way to the backend. The transport may still read it
// after it has given the answer; it is done with it when it closes it.
type upload struct {
	mu   sync.Mutex
	rest []byte
	from *lease // nil once closed
}

var errUploadClosed = errors.New("the body is closed")

// upload gives a body that lies in the buffer to a transport. One in a buffer that
// is not used again needs no watching, and net/http sends it in one write with the
// head, as it does for its own readers only.
func (b *lease) upload(body []byte) io.ReadCloser {
	if b.from == nil {
		return io.NopCloser(bytes.NewReader(body))
	}
	b.holders.Add(1)
	return &upload{rest: body, from: b}
}

func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.from == nil:
		return 0, errUploadClosed
	case len(u.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *upload) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.from != nil {
		u.from.release()
		u.from, u.rest = nil, nil
	}
	return nil
}
