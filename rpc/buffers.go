package rpc

import (
	"math/bits"
	"sync"
)

// smallBuffer is the size in bytes below which a fresh buffer costs next to nothing.
const smallBuffer = 32 << 10

// buffers are where attachments lie. A fresh one of a large body is zeroed, met
// for the first time by the memory and collected soon after, which together take
// as long as reading the body. So the service gives back what it is through with
// (Service.SetReclaimer). What is not used again for a while, the garbage
// collector takes.
type buffers struct {
	spare sync.Pool // of *[]byte
}

// get gives size bytes, which hold anything; never nil.
func (b *buffers) get(size int) []byte {
	if size < smallBuffer {
		return make([]byte, size)
	}
	if spare, ok := b.spare.Get().(*[]byte); ok && cap(*spare) >= size {
		return (*spare)[:size]
	}
	// A session grows with each call: the next body is to fit as well.
	step := 1 << (bits.Len(uint(size)) - 3)
	return make([]byte, size, (size+step-1)/step*step)
}

// put takes a buffer that nobody uses any more.
func (b *buffers) put(used []byte) {
	if cap(used) >= smallBuffer {
		b.spare.Put(&used)
	}
}
