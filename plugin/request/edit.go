package request

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// MarshalJSON gives the wire's [start, delete, "text"]. Text is valid UTF-8, so
// that what is decoded is what Apply would write.
func (e Edit) MarshalJSON() ([]byte, error) { return e.appendJSON(nil), nil }

func (e *Edit) appendJSON(to []byte) []byte {
	to = strconv.AppendInt(append(to, '['), int64(e.Start), 10)
	to = strconv.AppendInt(append(to, ','), int64(e.Delete), 10)
	return append(AppendQuoted(append(to, ','), e.Text), ']')
}

// AppendEdits appends the wire's list of edits; null for nil.
func AppendEdits(to []byte, edits []Edit) []byte {
	if edits == nil {
		return append(to, "null"...)
	}
	to = append(to, '[')
	for i := range edits {
		if i > 0 {
			to = append(to, ',')
		}
		to = edits[i].appendJSON(to)
	}
	return append(to, ']')
}

// UnmarshalJSON reads what MarshalJSON writes and nothing else.
func (e *Edit) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 3 {
		return fmt.Errorf("an edit has 3 parts, this has %d", len(parts))
	}
	var read Edit
	for i, to := range []any{&read.Start, &read.Delete, &read.Text} {
		if err := json.Unmarshal(parts[i], to); err != nil {
			return fmt.Errorf("part %d of an edit: %w", i+1, err)
		}
	}
	*e = read
	return nil
}

// Apply makes a Result's edits. Without edits it returns body itself.
func Apply(body []byte, edits []Edit) []byte {
	if len(edits) == 0 {
		return body
	}
	size := len(body)
	for _, e := range edits {
		size += len(e.Text) - e.Delete
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(out, body[at:e.Start]...)
		out = append(out, e.Text...)
		at = e.Start + e.Delete
	}
	return append(out, body[at:]...)
}

// editList gathers edits in ascending order. Edits that touch become one, so
// that the start of each lies past the end of the one before.
type editList struct {
	list   []Edit
	expect int // edits to make room for when the first one comes
}

func (l *editList) replace(at span, text string) {
	start, end := int(at.start), int(at.end)
	if n := len(l.list); n > 0 && l.list[n-1].Start+l.list[n-1].Delete == start {
		l.list[n-1].Delete += end - start
		l.list[n-1].Text += text
		return
	}
	if l.list == nil {
		l.list = make([]Edit, 0, l.expect)
	}
	l.list = append(l.list, Edit{Start: start, Delete: end - start, Text: text})
}

func (l *editList) insert(at int32, text string) { l.replace(span{at, at}, text) }
func (l *editList) delete(at span)               { l.replace(at, "") }

// quote is s as a JSON string, by AppendQuoted.
func quote(s string) string { return string(AppendQuoted(nil, s)) }

// AppendQuoted appends s as a JSON string. `<`, `>` and `&` stay as they are; bytes
// that are no UTF-8 become U+FFFD.
func AppendQuoted(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return appendEscaped(to, s)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}

func appendEscaped(to []byte, s string) []byte {
	out := bytes.NewBuffer(to)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // unreachable: a string always encodes
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// copied is a piece of the body for use in an edit's text. What is no UTF-8
// becomes U+FFFD, as every reader of JSON would read it.
func copied(piece []byte) string { return strings.ToValidUTF8(string(piece), "\uFFFD") }
