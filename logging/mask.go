package logging

import (
	"strings"
	"unicode/utf8"
)

// MaskEmail shows the first two characters of an address and its domain:
// "us***@example.com". What is no address becomes "***"; the empty text stays.
func MaskEmail(email string) string {
	if email == "" {
		return ""
	}
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return "***"
	}
	end := 0
	for range 2 {
		if end < at {
			_, size := utf8.DecodeRuneInString(email[end:at])
			end += size
		}
	}
	return email[:end] + "***" + email[at:]
}
