package pool

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// scan reads JSON as this program writes it, in one pass. It is no parser of all
// JSON: at anything else, well-formed or not, it fails, and the caller lets
// encoding/json say what it is. What it does read it reads as encoding/json
// would. After a failure nothing that it gives means anything.
type scan struct {
	data   []byte
	at     int
	failed bool
}

// fail ends the scan: every list and object sees the end of the data.
func (s *scan) fail() {
	s.failed, s.at = true, len(s.data)
}

// peek is the first byte of the next token, 0 at the end.
func (s *scan) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// take steps over a byte that must come next.
func (s *scan) take(c byte) {
	if s.peek() != c {
		s.fail()
		return
	}
	s.at++
}

// end fails unless nothing is left.
func (s *scan) end() {
	if s.peek(); s.at != len(s.data) {
		s.fail()
	}
}

// object calls member for each member, in order; it must read the value. The name
// is only good until then.
func (s *scan) object(member func(name []byte)) {
	s.series('{', '}', func() {
		name := s.plain()
		s.take(':')
		if !s.failed {
			member(name)
		}
	})
}

// table is object for one whose names are anything: they are read as texts.
func (s *scan) table(member func(name string)) {
	s.series('{', '}', func() {
		name := s.text()
		s.take(':')
		if !s.failed {
			member(name)
		}
	})
}

// list calls element for each element; it must read it.
func (s *scan) list(element func()) { s.series('[', ']', element) }

func (s *scan) series(open, end byte, element func()) {
	s.take(open)
	if s.peek() == end {
		s.at++
		return
	}
	for !s.failed {
		element()
		if s.peek() == end {
			s.at++
			return
		}
		s.take(',')
	}
}

// plain is the inside of a text without escapes, in ASCII.
func (s *scan) plain() []byte {
	inside, ok := s.quick()
	if !ok {
		s.fail()
	}
	return inside
}

// quick is plain when the next token is such a text; else it stays before it.
func (s *scan) quick() (inside []byte, ok bool) {
	if s.peek() != '"' {
		return nil, false
	}
	rest := s.data[s.at+1:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 {
		return nil, false
	}
	for _, c := range rest[:n] {
		if c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			return nil, false
		}
	}
	s.at += n + 2
	return rest[:n], true
}

// text is any text.
func (s *scan) text() string {
	if inside, ok := s.quick(); ok {
		return string(inside)
	}
	var text string
	if quoted := s.value('"'); s.failed || json.Unmarshal(quoted, &text) != nil {
		s.fail()
	}
	return text
}

// texts is a list of texts.
func (s *scan) texts() []string {
	all := []string{}
	s.list(func() { all = append(all, s.text()) })
	return all
}

// boolean is true or false.
func (s *scan) boolean() bool {
	s.peek()
	rest := s.data[s.at:]
	switch {
	case bytes.HasPrefix(rest, []byte("true")):
		s.at += len("true")
		return true
	case bytes.HasPrefix(rest, []byte("false")):
		s.at += len("false")
	default:
		s.fail()
	}
	return false
}

// number is a number without an exponent, as its text.
func (s *scan) number() []byte {
	if s.peek() == '-' {
		s.at++
	}
	from := s.at
	whole := s.digits()
	if whole == 0 || whole > 1 && s.data[from] == '0' {
		s.fail()
		return nil
	}
	if s.at < len(s.data) && s.data[s.at] == '.' {
		s.at++
		if s.digits() == 0 {
			s.fail()
			return nil
		}
	}
	if from > 0 && s.data[from-1] == '-' {
		from--
	}
	return s.data[from:s.at]
}

func (s *scan) digits() (n int) {
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
		n++
	}
	return n
}

func (s *scan) integer() int64 {
	n, err := strconv.ParseInt(string(s.number()), 10, 64)
	if err != nil {
		s.fail()
	}
	return n
}

func (s *scan) float() float64 {
	f, err := strconv.ParseFloat(string(s.number()), 64)
	if err != nil {
		s.fail()
	}
	return f
}

// time is a time as time.Time writes it.
func (s *scan) time() time.Time {
	quoted := s.value('"')
	var t time.Time
	if !s.failed && t.UnmarshalJSON(quoted) != nil {
		s.fail()
	}
	return t
}

// any is a value of any kind, as it is written.
func (s *scan) any() json.RawMessage {
	raw := bytes.TrimRight(s.value(s.peek()), " \n\r\t")
	if s.failed || !json.Valid(raw) {
		s.fail()
		return nil
	}
	return bytes.Clone(raw)
}

// value is the next value, which begins with first. It ends where its brackets
// are closed; whether it is well-formed is the caller's to see.
func (s *scan) value(first byte) []byte {
	if s.peek() != first || first == 0 {
		s.fail()
		return nil
	}
	from, depth, inText := s.at, 0, false
	for ; s.at < len(s.data); s.at++ {
		c := s.data[s.at]
		switch {
		case inText && c == '\\':
			s.at++
			continue
		case c == '"':
			inText = !inText
		case inText:
			continue
		case c == '{' || c == '[':
			depth++
			continue
		case c == '}' || c == ']':
			if depth--; depth < 0 { // the end of what a bare word or number stands in
				return s.data[from:s.at]
			}
		case c == ',' && depth == 0:
			return s.data[from:s.at]
		default:
			continue
		}
		if depth == 0 && !inText && (c == '"' || c == '}' || c == ']') {
			s.at++
			return s.data[from:s.at]
		}
	}
	s.fail()
	return nil
}
