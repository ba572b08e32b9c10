//go:build !amd64

package request

func plain(raw []byte, i int) int { return plainWords(raw, i) }
