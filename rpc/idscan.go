package rpc

import (
	"bytes"
	"encoding/json"
)

// maxID bounds an id, in bytes as written. A longer one is answered as null.
const maxID = 4 << 10

// idScanner finds the top-level "id" of a JSON object that is too large to be
// held, or broken further on. It sees the bytes once, in pieces, and keeps no
// more than one key or short value of them.
type idScanner struct {
	depth    int
	inString bool
	escaped  bool
	ended    bool
	junk     bool // this is no object: there is nothing to find
	overflow bool
	key      bool   // token follows the key "id"
	token    []byte // what was seen at depth 1 since the last separator
	id       []byte
}

func (s *idScanner) write(b []byte) {
	for len(b) > 0 && !s.done() {
		if s.inString && !s.escaped && !s.keeps() {
			// A body is one long string: only these bytes matter in it.
			i := bytes.IndexAny(b, `"\`)
			if i < 0 {
				return
			}
			b = b[i:]
		}
		s.step(b[0])
		b = b[1:]
	}
}

func (s *idScanner) step(c byte) {
	if s.depth == 0 {
		if c == '{' {
			s.depth = 1
		} else {
			s.junk = !isBlank(c)
		}
		return
	}
	if s.inString {
		s.keep(c)
		switch {
		case s.escaped:
			s.escaped = false
		case c == '\\':
			s.escaped = true
		case c == '"':
			s.inString = false
		}
		return
	}
	switch c {
	case '"':
		s.inString = true
		s.keep(c)
	case '{', '[':
		s.depth++
	case '}', ']':
		s.depth--
		if s.depth == 0 {
			s.value()
			s.ended = true
		}
	case ':', ',':
		if s.depth != 1 {
			return
		}
		if c == ':' {
			s.key = string(bytes.TrimSpace(s.token)) == `"id"`
			s.token = s.token[:0]
			return
		}
		s.value()
	default:
		s.keep(c)
	}
}

// keeps reports whether the next byte may be part of a key or of the id.
func (s *idScanner) keeps() bool { return s.depth == 1 && !s.overflow }

func (s *idScanner) keep(c byte) {
	if !s.keeps() {
		return
	}
	if s.token = append(s.token, c); len(s.token) > maxID {
		s.overflow = true
	}
}

// value ends the value of one member.
func (s *idScanner) value() {
	if token := bytes.TrimSpace(s.token); s.key && !s.overflow && validID(token) {
		s.id = bytes.Clone(token)
	}
	s.key, s.overflow, s.token = false, false, s.token[:0]
}

// done reports that more bytes tell nothing new.
func (s *idScanner) done() bool { return s.ended || s.junk || s.id != nil }

// complete reports whether the object was seen to its end.
func (s *idScanner) complete() bool { return s.ended }

// found is the id as it was written, nil when there is none.
func (s *idScanner) found() []byte { return s.id }

// idOf is the id of a message that cannot be taken, nil when it has none that
// can be read.
func idOf(b []byte) []byte {
	var s idScanner
	s.write(b)
	return s.found()
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// validID reports whether token is an id as JSON-RPC 2.0 has them: a string, a
// number or null.
func validID(token []byte) bool {
	if len(token) == 0 || len(token) > maxID || !json.Valid(token) {
		return false
	}
	return token[0] == '"' || token[0] == '-' || token[0] >= '0' && token[0] <= '9' || string(token) == "null"
}
