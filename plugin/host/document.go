package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// document is a JSON file that may hold comments and trailing commas. It is
// edited by cutting and pasting text, so that every byte that is not ours stays.
type document struct {
	name string
	mark []byte // the byte order mark, if there is one
	text []byte // the rest
	root *hujson.Object
	span item // the root's own place
}

const byteOrderMark = "\xef\xbb\xbf"

// parseDocument wants an object, or nothing at all. An error names the file, the
// line and the column.
func parseDocument(name string, b []byte) (*document, error) {
	d := &document{name: name, root: &hujson.Object{}}
	text, marked := bytes.CutPrefix(b, []byte(byteOrderMark))
	d.text = text
	if marked {
		d.mark = []byte(byteOrderMark)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return d, nil
	}
	// hujson's values share the text's memory; the text itself is never changed.
	v, err := hujson.Parse(text)
	if err != nil {
		// hujson wants an end of line behind a comment; the error is told of the text
		// as it is.
		if ended, endedErr := hujson.Parse(append(bytes.Clone(text), '\n')); endedErr == nil {
			v, err = ended, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s; mend it, then run this again", name, strings.TrimPrefix(err.Error(), "hujson: "))
	}
	root, ok := v.Value.(*hujson.Object)
	if !ok {
		line, column := d.position(v.StartOffset)
		return nil, fmt.Errorf("%s: line %d, column %d: want an object; mend it, then run this again", name, line, column)
	}
	d.root = root
	d.span = item{start: v.StartOffset, end: v.EndOffset}
	return d, nil
}

// position counts lines and columns (bytes) from 1.
func (d *document) position(offset int) (line, column int) {
	before := d.text[:offset]
	return 1 + bytes.Count(before, []byte("\n")), offset - bytes.LastIndexByte(before, '\n')
}

// index is the last member of that name, the one that counts; -1 without.
func (d *document) index(name string) int {
	for i, m := range slices.Backward(d.root.Members) {
		if m.Name.Value.(hujson.Literal).String() == name {
			return i
		}
	}
	return -1
}

func (d *document) member(name string) *hujson.ObjectMember {
	if i := d.index(name); i >= 0 {
		return &d.root.Members[i]
	}
	return nil
}

// list is an object or an array by offsets into the text.
type list struct {
	open, close int    // its brackets
	items       []item // its members or elements
}

// item is one of them, without the comments around it. comma is where its comma
// stands, -1 without.
type item struct{ start, end, comma int }

func (d *document) item(start int, v hujson.Value) item {
	it := item{start: start, end: v.EndOffset, comma: v.EndOffset + len(v.AfterExtra)}
	if d.text[it.comma] != ',' {
		it.comma = -1
	}
	return it
}

// object is the whole document.
func (d *document) object() list {
	l := list{open: d.span.start, close: d.span.end - 1}
	for _, m := range d.root.Members {
		l.items = append(l.items, d.item(m.Name.StartOffset, m.Value))
	}
	return l
}

// array is the array that a member of the document holds.
func (d *document) array(name string) list {
	v := d.member(name).Value
	l := list{open: v.StartOffset, close: v.EndOffset - 1}
	for _, e := range v.Value.(*hujson.Array).Elements {
		l.items = append(l.items, d.item(e.StartOffset, e))
	}
	return l
}

// insert puts one more item at the end of the list, in the style of what is there.
func (d *document) insert(l list, text string) ([]byte, error) {
	last := len(l.items) - 1
	at := l.close // behind the last item and the comments that follow it
	for at > l.open+1 && isSpace(d.text[at-1]) {
		at--
	}
	lines := bytes.IndexByte(d.text[l.open:l.close], '\n') >= 0 || (last < 0 && d.text[l.open] == '{')
	var b bytes.Buffer
	b.Write(d.mark)
	if last >= 0 && l.items[last].comma < 0 {
		b.Write(d.text[:l.items[last].end])
		b.WriteByte(',')
		b.Write(d.text[l.items[last].end:at])
	} else {
		b.Write(d.text[:at])
	}
	switch {
	case lines:
		b.WriteString(d.newline() + d.indent(l))
	case last >= 0:
		b.WriteByte(' ')
	}
	b.WriteString(text)
	if last >= 0 && l.items[last].comma >= 0 {
		b.WriteByte(',')
	}
	if lines && bytes.IndexByte(d.text[at:l.close], '\n') < 0 && last < 0 {
		b.WriteString(d.newline())
	}
	b.Write(d.text[at:])
	return d.checked(b.Bytes())
}

// cut takes one item out of the list, with its comma and the blanks around it.
// Comments stay.
func (d *document) cut(l list, i int) ([]byte, error) {
	it := l.items[i]
	if i+1 < len(l.items) {
		next := l.items[i+1].start
		if blank(d.text[it.end:it.comma]) && blank(d.text[it.comma+1:next]) {
			return d.without([2]int{it.start, next})
		}
		return d.without([2]int{it.start, it.end}, [2]int{it.comma, it.comma + 1})
	}
	// The last item goes with the comma behind it, else with the one before.
	var spans [][2]int
	rest := it.end
	if it.comma >= 0 {
		rest = it.comma + 1
	} else if i > 0 {
		spans = append(spans, [2]int{l.items[i-1].comma, l.items[i-1].comma + 1})
	}
	lead := it.start
	for lead > l.open+1 && isSpace(d.text[lead-1]) {
		lead--
	}
	line := d.text[l.open:lead]
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	if bytes.Contains(line, []byte("//")) && !endsLine(d.text[rest:l.close]) {
		lead = it.start // a line comment before it would swallow what stands behind it
	}
	spans = append(spans, [2]int{lead, it.end})
	if it.comma >= 0 {
		spans = append(spans, [2]int{it.comma, it.comma + 1})
	}
	return d.without(spans...)
}

// without leaves the spans out, which are in order.
func (d *document) without(spans ...[2]int) ([]byte, error) {
	b := slices.Clone(d.mark)
	at := 0
	for _, span := range spans {
		b = append(b, d.text[at:span[0]]...)
		at = span[1]
	}
	return d.checked(append(b, d.text[at:]...))
}

// checked holds an edited text against the parser before anyone writes it.
func (d *document) checked(b []byte) ([]byte, error) {
	if _, err := parseDocument(d.name, b); err != nil {
		return nil, fmt.Errorf("the edit would break the file, nothing was changed: %w", err)
	}
	return b, nil
}

func (d *document) newline() string {
	if bytes.Contains(d.text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// indent is that of the items that begin a line, else one step more than the
// line that the list begins on.
func (d *document) indent(l list) string {
	for _, it := range slices.Backward(l.items) {
		if blanks, ok := d.lineStart(it.start); ok {
			return blanks
		}
	}
	step := "  "
	if bytes.Contains(d.text, []byte("\n\t")) {
		step = "\t"
	}
	line := d.text[bytes.LastIndexByte(d.text[:l.open], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))]) + step
}

// lineStart gives the blanks between the line's start and offset, if there is
// nothing else.
func (d *document) lineStart(offset int) (string, bool) {
	line := d.text[bytes.LastIndexByte(d.text[:offset], '\n')+1 : offset]
	return string(line), blank(line)
}

// endsLine reports whether nothing but blanks stands before the next line break.
func endsLine(b []byte) bool {
	end := bytes.IndexByte(b, '\n')
	return end >= 0 && blank(b[:end])
}

func blank(b []byte) bool { return len(bytes.TrimLeft(b, " \t\r\n")) == 0 }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// quote gives s as a JSON string.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes, and a strings.Builder takes all
	return strings.TrimSuffix(b.String(), "\n")
}
