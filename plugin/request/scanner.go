package request

import (
	"bytes"
	"encoding/json"
)

// maxDepth is how deep values may nest: the limit of encoding/json, so that a
// body is refused here exactly when that package refuses it.
const maxDepth = 10_000

// span is a range of the body's bytes. No value ends at byte 0, so the zero span
// stands for a value that is absent.
type span struct{ start, end int32 }

func (v span) present() bool { return v.end > 0 }

// scanner walks JSON (RFC 8259) once, front to back, and checks all of it. It
// allocates nothing. An error sticks in bad and ends every loop; pos is then
// where it was met.
type scanner struct {
	raw   []byte
	pos   int
	depth int
	bad   bool
}

// value steps over one value of any kind and returns where it lies; it is absent
// when there was none.
func (s *scanner) value() span {
	start := s.pos
	switch s.peek() {
	case '"':
		s.text()
	case '{', '[':
		c := s.enter()
		for c.next() {
			s.value()
			c.done()
		}
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
	if s.bad {
		return span{}
	}
	return span{int32(start), int32(s.pos)}
}

// peek returns the byte at pos, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.raw) {
		return s.raw[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.raw) {
		switch s.raw[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) literal(word string) {
	if len(s.raw)-s.pos < len(word) || string(s.raw[s.pos:s.pos+len(word)]) != word {
		s.bad = true
		return
	}
	s.pos += len(word)
}

func (s *scanner) number() {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else {
		s.digits()
	}
	if s.peek() == '.' {
		s.pos++
		s.digits()
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		s.digits()
	}
}

// digits steps over one digit or more.
func (s *scanner) digits() {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	if s.pos == start {
		s.bad = true
	}
}

// text steps over a string and returns its content, without the quotes and with
// its escapes as written.
func (s *scanner) text() span {
	if s.peek() != '"' {
		s.bad = true
		return span{}
	}
	start := s.pos + 1
	s.pos = start
	for {
		s.pos = plain(s.raw, s.pos)
		switch s.peek() {
		case '"':
			s.pos++
			return span{int32(start), int32(s.pos - 1)}
		case '\\':
			s.escape()
		default: // a control character, or the end
			s.bad = true
		}
		if s.bad {
			return span{}
		}
	}
}

func (s *scanner) escape() {
	s.pos++
	switch c := s.peek(); {
	case usual(c):
		s.pos++
	case c == 'u':
		s.pos++
		for range 4 {
			c := s.peek() | 0x20
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') || s.peek() < '0' {
				s.bad = true
				return
			}
			s.pos++
		}
	default:
		s.bad = true
	}
}

// member is one entry of an object or array, with what it takes to cut it out.
type member struct {
	prev  int32 // end of the entry before it, or just inside the bracket
	start int32 // its key, or its value in an array
	value int32
	end   int32
	next  int32 // start of the entry after it; end when there is none
	index int32
}

func (m member) span() span { return span{m.value, m.end} }

// cut is the bytes that go with the entry: it and one comma beside it. removed
// is how many entries before it were cut already; when that is all of them, no
// comma is left in front and the one behind goes.
func (m member) cut(removed int) span {
	if int(m.index) > removed {
		return span{m.prev, m.end}
	}
	return span{m.start, m.next}
}

// cursor walks the entries of an object or array:
//
//	c := s.enter()
//	for c.next() {
//		s.value()
//		c.done()
//	}
//
// The loop's body must step over exactly one value before done. A cursor that is
// declared in the for statement would be copied for each entry.
type cursor struct {
	s      *scanner
	close  byte // 0 before the first entry
	ended  bool
	key    span // of an object's entry, as text gives it
	member member
}

// enter begins with the object or array at pos. It is small enough to be inlined,
// so that the cursor is made where it stays.
func (s *scanner) enter() cursor { return cursor{s: s} }

// open steps inside the bracket.
func (c *cursor) open() {
	s := c.s
	c.close = s.peek() + 2 // '{'+2 is '}', '['+2 is ']'
	s.pos++
	s.depth++
	if s.depth > maxDepth {
		s.bad = true
	}
	c.member.end = int32(s.pos)
	c.member.index = -1
	s.space()
	if s.peek() == c.close {
		c.leave()
	}
}

func (c *cursor) leave() {
	c.s.pos++
	c.s.depth--
	c.ended = true
}

// next steps to the value of the next entry, if there is one.
func (c *cursor) next() bool {
	s := c.s
	if c.close == 0 {
		c.open()
	}
	if c.ended || s.bad {
		return false
	}
	c.member = member{prev: c.member.end, start: int32(s.pos), index: c.member.index + 1}
	if c.close == '}' {
		c.key = s.text()
		s.space()
		if s.peek() != ':' {
			s.bad = true
			return false
		}
		s.pos++
		s.space()
	}
	c.member.value = int32(s.pos)
	return !s.bad
}

// done is called after the entry's value and completes member.
func (c *cursor) done() {
	s := c.s
	c.member.end = int32(s.pos)
	c.member.next = c.member.end
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		s.space()
		c.member.next = int32(s.pos)
	case c.close:
		c.leave()
	default:
		s.bad = true
	}
}

// name is the current entry's key. Only a key short enough to be one of ours is
// decoded, so that foreign keys cost nothing.
func (c *cursor) name() []byte {
	const longest = len("max_completion_tokens") * len(`\u0000`)
	if c.key.end-c.key.start > int32(longest) {
		return nil
	}
	return decoded(c.s.raw, c.key)
}

// decoded is a string's content without escapes: the body's own bytes when it
// has none.
func decoded(raw []byte, content span) []byte {
	text := raw[content.start:content.end]
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	var out string
	if err := json.Unmarshal(raw[content.start-1:content.end+1], &out); err != nil {
		return text // unreachable: the scanner has checked the string
	}
	return []byte(out)
}
