package logging

import (
	"bytes"
	"net/url"
	"strings"
)

// Redact replaces every credential in text by "[redacted]" and leaves the rest
// as it is, e-mail addresses too. It returns b itself when there is nothing to
// hide. What counts as a credential:
//
//   - a JWT: base64url parts joined by dots, the first beginning with eyJ;
//   - what follows the word Bearer;
//   - a word that begins with rt_ (OpenAI's refresh tokens);
//   - the value of a key or header that names a credential, in JSON (escaped
//     JSON inside a string too), forms, URLs, header lines and [name, value]
//     pairs.
//
// It errs on the side of hiding: a log with a word too few is still a log.
func Redact(b []byte) []byte {
	var out []byte
	done := 0 // b[:done] is in out
	for i := 0; i < len(b); i++ {
		s := secretAt(b, i)
		if s.end == 0 {
			continue
		}
		// A rule may look further ahead than an earlier one already hid.
		start := max(s.start, done)
		if start < s.end && !bytes.Equal(b[start:s.end], []byte(redacted)) {
			out = append(out, b[done:start]...)
			out = append(out, redacted...)
			done = s.end
		}
		if s.bare {
			// "refresh_token=" with nothing behind it takes the next word for its
			// value; where that is "Bearer" or a key, the secret is yet to come.
			i = max(i, s.end-1-len("bearer"))
			continue
		}
		i = max(i, s.end-1)
	}
	if out == nil {
		return b
	}
	return append(out, b[done:]...)
}

// RedactString is Redact for a string.
func RedactString(s string) string { return string(Redact([]byte(s))) }

// RedactURL is Redact for a URL: its user and password go, and so does every
// query value whose key names a credential. A URL that does not parse is
// redacted as text.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err == nil && u.User != nil {
		u.User = url.User(redacted)
		raw = strings.Replace(u.String(), url.PathEscape(redacted), redacted, 1)
	}
	return RedactString(raw)
}

// RedactHeaders is a copy of headers in which every credential's value is
// "[redacted]" and every other value went through Redact.
func RedactHeaders(headers [][2]string) [][2]string {
	out := make([][2]string, len(headers))
	for i, h := range headers {
		out[i] = [2]string{h[0], RedactString(h[1])}
		if isCredentialHeader(h[0]) {
			out[i][1] = redacted
		}
	}
	return out
}

// span is a piece of text to hide. The zero span means none.
type span struct {
	start, end int
	bare       bool // a value without quotes, which is guessed to be one
}

// secretAt says what is to be hidden where b[i] begins a token, or ends a key.
func secretAt(b []byte, i int) span {
	switch b[i] {
	case 'e':
		return jwtAt(b, i)
	case 'b', 'B':
		return bearerAt(b, i)
	case 'r':
		return refreshTokenAt(b, i)
	case ':', '=', ',':
		return keyedAt(b, i)
	}
	return span{}
}

// jwtAt accepts two parts as well as three: a token that was cut off is still
// worth hiding. Base64 without dots (an image) is left alone.
func jwtAt(b []byte, i int) span {
	const longestPart = 4096
	if !bytes.HasPrefix(b[i:], []byte("eyJ")) {
		return span{}
	}
	dot := runEnd(b, i, isBase64URL)
	if dot == len(b) || b[dot] != '.' || dot+1 == len(b) || !isBase64URL(b[dot+1]) {
		if dot-i > longestPart {
			// Nothing in here: without the jump an image full of eyJ would be
			// read again and again. The last bytes may still begin "Bearer".
			return span{start: dot - len("bearer"), end: dot - len("bearer")}
		}
		return span{}
	}
	return span{start: i, end: runEnd(b, dot, func(c byte) bool { return c == '.' || isBase64URL(c) })}
}

func bearerAt(b []byte, i int) span {
	const word = "bearer"
	if len(b)-i <= len(word) || !bytes.EqualFold(b[i:i+len(word)], []byte(word)) {
		return span{}
	}
	start := runEnd(b, i+len(word), isBlank)
	if bytes.HasPrefix(b[start:], []byte("%20")) {
		start += len("%20")
	}
	if start == i+len(word) {
		return span{}
	}
	return nonEmpty(start, runEnd(b, start, isToken68))
}

func refreshTokenAt(b []byte, i int) span {
	const prefix = "rt_"
	if !bytes.HasPrefix(b[i:], []byte(prefix)) || inWord(b, i) {
		return span{}
	}
	end := runEnd(b, i, isToken68)
	if end == i+len(prefix) {
		return span{}
	}
	return span{start: i, end: end}
}

// inWord reports whether b[i] stands in the middle of a word. The letter of an
// escape (\n) does not count as one.
func inWord(b []byte, i int) bool {
	if i == 0 || !isKeyByte(b[i-1]) {
		return false
	}
	return i == 1 || b[i-2] != '\\'
}

func nonEmpty(start, end int) span {
	if start >= end {
		return span{}
	}
	return span{start: start, end: end}
}

// runEnd is the end of the run of bytes from i on that in accepts.
func runEnd(b []byte, i int, in func(byte) bool) int {
	for i < len(b) && in(b[i]) {
		i++
	}
	return i
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
func isBase64URL(c byte) bool { return isAlnum(c) || c == '-' || c == '_' }
func isKeyByte(c byte) bool   { return isBase64URL(c) }
func isToken68(c byte) bool {
	return isBase64URL(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='
}
func isBlank(c byte) bool { return c == ' ' || c == '\t' }
