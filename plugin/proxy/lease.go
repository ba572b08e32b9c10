package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
)

// The buffers of bodies from leaseLeast to leaseMost are used again: a long
// conversation is sent anew with each of its calls, and a fresh megabyte costs
// more to clear and to collect than to fill. Others are left to the collector.
const (
	leaseLeast = 64 << 10
	leaseMost  = 8 << 20
)

// leases lends buffers, by powers of two. What nobody borrowed through two
// collections is freed.
type leases struct {
	pools [8]sync.Pool // of 64 KiB to 8 MiB; the sizes are leaseLeast << index
}

// lease is a buffer on loan. It starts with one holder, and goes back when the
// last of them has released it; one that is never released is collected.
type lease struct {
	from    *leases
	buffer  []byte
	holders atomic.Int32
}

// lend gives a buffer with room for size bytes.
func (l *leases) lend(size int) *lease {
	b := &lease{from: l}
	b.holders.Store(1)
	if i := classOf(size); i >= 0 {
		if kept, ok := l.pools[i].Get().(*[]byte); ok {
			b.buffer = *kept
		} else {
			b.buffer = make([]byte, leaseLeast<<i)
		}
		return b
	}
	b.buffer = make([]byte, size)
	return b
}

// classOf is the index of the smallest buffers that hold size bytes, -1 for a size
// that is not kept.
func classOf(size int) int {
	if size <= leaseLeast/2 || size > leaseMost {
		return -1
	}
	return max(0, bits.Len(uint(size-1))-bits.Len(leaseLeast-1))
}

// kept reports whether the buffer goes back when it is released.
func (b *lease) kept() bool {
	i := classOf(len(b.buffer))
	return i >= 0 && len(b.buffer) == leaseLeast<<i
}

// release is called once by each holder, which must not look at the buffer again.
func (b *lease) release() {
	if b.holders.Add(-1) > 0 || !b.kept() {
		return
	}
	poison(b.buffer)
	b.from.pools[classOf(len(b.buffer))].Put(&b.buffer)
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
	if !b.kept() {
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
