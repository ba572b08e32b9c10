//go:build race

package proxy

// poison spoils a buffer that nobody may look at any more: whoever does is seen by
// the race detector, or has nonsense.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
