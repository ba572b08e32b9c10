package request

import (
	"encoding/binary"
	"math/bits"
)

// plainWords returns the first offset from i on that needs a closer look inside a
// string: its quote, a control character, or a backslash with which no usual
// escape begins. Nearly all of a body is the inside of strings, so it looks at
// eight bytes at a time; and since code has an escape every dozen bytes, it steps
// over the usual ones without looking at any byte twice.
func plainWords(raw []byte, i int) int {
	const (
		ones  = 0x0101010101010101
		lows  = 0x7f * ones
		highs = 0x80 * ones
	)
	for i+8 < len(raw) { // the byte behind the eight may be an escaped one
		w := binary.LittleEndian.Uint64(raw[i:])
		// With bit 1 turned over, the quote lies right above the control characters.
		low, slash := w^2*ones, w^'\\'*ones
		hits := highs &^ ((low&lows + (0x80-0x21)*ones | w) & (slash&lows + lows | slash))
		next := i + 8
		for ; hits != 0; hits &= hits - 1 {
			bit := bits.TrailingZeros64(hits)
			at := i + bit/8
			if raw[at] != '\\' || !usual(raw[at+1]) {
				return at
			}
			if at+1 == next {
				next++
			}
			hits &^= 1 << (bit + 8) // the escaped byte may be a quote or a backslash
		}
		i = next
	}
	for ; i < len(raw) && raw[i] >= 0x20 && raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			if i+1 == len(raw) || !usual(raw[i+1]) {
				return i
			}
			i++
		}
	}
	return i
}

// usual reports whether c after a backslash is an escape of two bytes.
func usual(c byte) bool {
	const (
		low  = 1<<'"' | 1<<'/'
		high = 1<<('\\'-64) | 1<<('b'-64) | 1<<('f'-64) | 1<<('n'-64) | 1<<('r'-64) | 1<<('t'-64)
	)
	return (uint64(low)>>c|uint64(high)>>(c-64))&1 != 0
}
