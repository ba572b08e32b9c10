package logging

import "bytes"

// keyKind says how far a key's name condemns its value.
type keyKind int

const (
	keyHarmless keyKind = iota
	keyCredential
	keyHeaderLine // a credential whose unquoted value reaches to the line's end
	keyQuoted     // a credential as a JSON key only: "refresh", "token"
	keyWord       // a credential unless its value is a plain word: "code", "state"
)

// kindOf looks a key up, whatever its spelling: refresh_token, refreshToken and
// Refresh-Token are one. Names that end in a credential's name count
// (CODEX_ACCESS_TOKEN).
func kindOf(key []byte) keyKind {
	var buf [48]byte
	name := buf[:0]
	for _, c := range key {
		if c == '_' || c == '-' {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		name = append(name, c)
	}
	switch string(name) {
	case "code", "state":
		return keyWord
	case "token", "refresh", "access", "key", "sig", "signature":
		return keyQuoted
	}
	for _, suffix := range [...]string{"authorization", "cookie", "cookie2"} {
		if bytes.HasSuffix(name, []byte(suffix)) {
			return keyHeaderLine
		}
	}
	for _, suffix := range [...]string{
		"refreshtoken", "accesstoken", "idtoken", "sessiontoken", "authtoken", "bearertoken",
		"codeverifier", "authorizationcode", "deviceauthid", "usercode",
		"apikey", "clientsecret", "password", "passphrase", "secret",
	} {
		if bytes.HasSuffix(name, []byte(suffix)) {
			return keyCredential
		}
	}
	return keyHarmless
}

// isCredentialHeader reports whether a header's whole value is a credential.
func isCredentialHeader(name string) bool {
	switch kindOf([]byte(name)) {
	case keyHarmless:
		lower := bytes.ToLower([]byte(name))
		return bytes.HasSuffix(lower, []byte("-token")) || bytes.HasSuffix(lower, []byte("-key"))
	case keyWord:
		return false // "state" is no header of ours
	}
	return true
}

// keyedAt looks at the separator b[i]: is there a credential's name before it,
// and which bytes after it are the value?
func keyedAt(b []byte, i int) span {
	key, quoted, form := keyBefore(b, i)
	kind := kindOf(key)
	if kind == keyHarmless {
		return span{}
	}
	start := runEnd(b, i+1, isSpace)
	value, depth := openQuote(b, start)
	switch {
	case b[i] == ',':
		// A [name, value] pair, as headers travel on our wire. Lists of words
		// are far more common than pairs, so only header names count.
		if !quoted || value == start || kind != keyHeaderLine && !isCredentialHeader(string(key)) {
			return span{}
		}
	case kind == keyQuoted && !quoted && !form:
		return span{}
	}
	if value > start {
		end := closeQuote(b, value, depth, b[value-1])
		if kind == keyWord && !form && isPlainWord(b[value:end]) {
			return span{}
		}
		return nonEmpty(value, end)
	}
	return bareValue(b, start, kind, quoted, form)
}

// bareValue is the value at start that no quotes enclose.
func bareValue(b []byte, start int, kind keyKind, quoted, form bool) span {
	end := runEnd(b, start, isBareByte)
	value := b[start:end]
	switch {
	case len(value) > 0 && value[0] == '{', isJSONLiteral(value):
		return span{} // an object's own keys are looked at in turn
	case len(value) > 0 && value[0] == '[' && !bytes.HasPrefix(b[start:], []byte(redacted)):
		return nonEmpty(start+1, listEnd(b, start+1))
	case kind == keyHeaderLine && !quoted && !form:
		return nonEmpty(start, lineEnd(b, start))
	case bytes.HasPrefix(b[start:], []byte(redacted)):
		return span{}
	}
	form = form || end < len(b) && b[end] == '&'
	if kind == keyWord && !form && isPlainWord(value) {
		return span{}
	}
	s := nonEmpty(start, end)
	s.bare = true
	return s
}

// keyBefore is the key that ends just before the separator b[i], whether it
// stands in quotes, and whether it is a parameter of a URL or a form.
func keyBefore(b []byte, i int) (key []byte, quoted, form bool) {
	const longest = 48
	end := i
	for end > 0 && isBlank(b[end-1]) {
		end--
	}
	if end > 0 && isQuote(b[end-1]) {
		quoted = true
		end--
		for end > 0 && b[end-1] == '\\' {
			end--
		}
	}
	start := end
	for start > 0 && end-start < longest && isKeyByte(b[start-1]) {
		start--
	}
	form = b[i] == '=' && start > 0 && (b[start-1] == '?' || b[start-1] == '&')
	return b[start:end], quoted, form
}

// openQuote skips an opening quote at i with the backslashes before it, and
// gives where the text begins and how many backslashes there were. No quote: i.
func openQuote(b []byte, i int) (text, depth int) {
	q := runEnd(b, i, func(c byte) bool { return c == '\\' })
	if q == len(b) || !isQuote(b[q]) {
		return i, 0
	}
	return q + 1, q - i
}

// closeQuote is where a string ends that was opened with depth backslashes: at
// the first such quote with no more backslashes than that. A string without an
// end reaches to the end of the text.
func closeQuote(b []byte, i, depth int, quote byte) int {
	slashes := 0
	for ; i < len(b); i++ {
		switch {
		case b[i] == '\\':
			slashes++
			continue
		case b[i] == quote && slashes <= depth:
			return i - slashes
		}
		slashes = 0
	}
	return len(b)
}

// listEnd is where the list ends whose first element is at i.
func listEnd(b []byte, i int) int {
	if bytes.HasPrefix(b[i:], []byte(redacted)) {
		return i + len(redacted)
	}
	for i < len(b) && b[i] != ']' && b[i] != '\n' {
		if text, depth := openQuote(b, i); text > i {
			i = closeQuote(b, text, depth, b[text-1])
			i = runEnd(b, i, func(c byte) bool { return c == '\\' })
		}
		i++
	}
	return min(i, len(b))
}

// lineEnd is where the line at i ends, an escaped line break included.
func lineEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			return i
		}
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == 'n' || b[i+1] == 'r') {
			return i
		}
	}
	return len(b)
}

// isPlainWord reports whether a value says something like "usage_limit_reached"
// or 404, which no authorization code or state does.
func isPlainWord(v []byte) bool {
	if len(v) > 48 {
		return false
	}
	digits := 0
	for i, c := range v {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z', c == '_', i == 0 && c == '-':
		default:
			return false
		}
	}
	return digits == 0 || digits <= 6 && digits >= len(v)-1
}

func isJSONLiteral(v []byte) bool {
	switch string(v) {
	case "null", "true", "false":
		return true
	}
	return false
}

func isQuote(c byte) bool { return c == '"' || c == '\'' }
func isSpace(c byte) bool { return isBlank(c) || c == '\n' || c == '\r' }
func isBareByte(c byte) bool {
	switch c {
	case '&', ',', ';', '"', '\'', '<', '>', ')', '}', ']', '`', '\\':
		return false
	}
	return c > ' '
}
