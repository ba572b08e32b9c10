//go:build !amd64

package request

// plain is plainWords: what steps further at once is written for amd64 alone.
func plain(raw []byte, i int) int { return plainWords(raw, i) }
