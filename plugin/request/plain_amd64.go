package request

// blocks is true where plainBlocks can run: on nearly any x86 processor since 2013.
// (golang.org/x/sys/cpu knows it too, but this package is to import nothing.)
var blocks = canBlocks()

func canBlocks() bool

// plainBlocks does plainWords' work on 32 bytes at a time, four to ten times as
// fast, and stops where less than 32 are left. i must not be behind the end.
//
//go:noescape
func plainBlocks(raw []byte, i int) int

// plain is plainWords where a block tells no more.
func plain(raw []byte, i int) int {
	if blocks {
		if i = plainBlocks(raw, i); i < len(raw) && raw[i] == '"' {
			return i
		}
	}
	return plainWords(raw, i)
}
