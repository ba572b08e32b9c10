package request

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// maxOrphanText is how many characters of an output without its call are kept.
const maxOrphanText = 16_000

// unpaired is how many edits calls and outputs without their partner may need.
func (b *Body) unpaired() int {
	n := 0
	for i := range b.items {
		if b.items[i].alone {
			n += 2
		}
	}
	return n
}

// input mends input. The API takes a plain string for one user message; the
// Codex backend takes a list only (assumed from what it says of such bodies:
// "Input must be a list").
func (t *transform) input(v span) {
	switch t.body.kindAt(v) {
	case '[':
		t.items(v)
	case '"':
		open := "[" + userOpen
		if t.shape.head != "" {
			open = "[" + t.shape.head + "," + userOpen
		}
		t.edits.insert(v.start, open)
		t.edits.insert(v.end, messageEnd+"]")
	case 'n':
		if t.shape.head != "" {
			t.edits.replace(v, "["+t.shape.head+"]")
		}
	}
}

// items mends the list of input items that lies at v.
func (t *transform) items(v span) {
	b, cuts, kept := t.body, t.body.cuts, false
	if t.shape.head != "" {
		at := v.start + 1
		if len(b.items) > 0 {
			at = b.items[0].start
		}
		t.edits.insert(at, t.shape.head)
	}
	for i := range b.items {
		it := &b.items[i]
		within := 0
		for within < len(cuts) && cuts[within].start < it.end {
			within++
		}
		own := cuts[:within]
		cuts = cuts[within:]
		if t.drops(it) {
			t.edits.delete(b.around(i, kept))
			continue
		}
		if t.shape.head != "" && !kept {
			t.edits.insert(it.start, ",")
		}
		kept = true
		if t.mend {
			t.item(it, own)
		}
	}
}

// around is item i with one comma: the one before it when an item before it was
// kept, else the one after it.
func (b *Body) around(i int, kept bool) span {
	at := b.items[i].span
	switch {
	case kept:
		at.start = b.items[i-1].end
	case i+1 < len(b.items):
		at.end = b.items[i+1].start
	}
	return at
}

// item mends one item that is kept. cuts are those inside it.
func (t *transform) item(it *item, cuts []cut) {
	if it.alone && it.kind.isOutput() {
		t.orphan(it)
		return
	}
	arguments := it.kind == kindFunctionCall && t.body.is(it.arguments, "null")
	for _, c := range cuts {
		if arguments && it.arguments.start < c.start {
			t.edits.replace(it.arguments, `"{}"`)
			arguments = false
		}
		if !c.detail || t.lite {
			t.edits.delete(c.span)
		}
	}
	if arguments {
		t.edits.replace(it.arguments, `"{}"`)
	}
	if it.kind == kindFunctionCall && !it.arguments.present() {
		t.edits.insert(it.end-1, `,"arguments":"{}"`)
	}
	if it.alone {
		id := copied(t.body.raw[it.callID.start:it.callID.end])
		t.edits.insert(it.end, `,{"type":"`+outputOf(it.kind)+`","call_id":`+id+`,"output":"Operation cancelled by user"}`)
	}
}

// outputOf is the type of the output that answers a kind of call.
func outputOf(k kind) string {
	switch k {
	case kindCustomCall:
		return "custom_tool_call_output"
	case kindShellCall:
		return "local_shell_call_output"
	}
	return "function_call_output"
}

// orphan makes an assistant message of an output without its call. A text stays
// where it is, so that its bytes are not touched; what is cut off lies behind it.
func (t *transform) orphan(it *item) {
	b := t.body
	open := `{"type":"message","role":"assistant","content":"[Previous ` +
		b.label(it.name, "tool") + ` result; call_id=` + b.label(it.callID, "unknown") + `]: `
	if !b.isText(it.output) {
		t.edits.replace(it.span, open+copied(b.compact(it.output))+`"}`)
		return
	}
	start, end := it.output.start+1, it.output.end-1
	t.edits.replace(span{it.start, start}, open)
	t.edits.replace(span{start + int32(textPrefix(b.raw[start:end])), it.end}, `"}`)
}

// label is a string's content as written in the body, or other when v is no
// string or an empty one.
func (b *Body) label(v span, other string) string {
	if !b.hasText(v) {
		return other
	}
	return copied(b.raw[v.start+1 : v.end-1])
}

// textPrefix is how many bytes of a string's content, escapes as written, make
// up its first maxOrphanText characters.
func textPrefix(text []byte) int {
	i := 0
	for range maxOrphanText {
		if i >= len(text) {
			return len(text)
		}
		switch {
		case text[i] != '\\':
			_, size := utf8.DecodeRune(text[i:])
			i += size
		case text[i+1] != 'u':
			i += 2
		default:
			high := isSurrogate(text[i:], "89ab")
			i += 6
			if high && isSurrogate(text[i:], "cdef") {
				i += 6
			}
		}
	}
	return i
}

// isSurrogate reports whether text begins with a \uDxxx whose second digit is
// one of those given.
func isSurrogate(text []byte, second string) bool {
	return len(text) >= 6 && text[0] == '\\' && text[1] == 'u' && text[2]|0x20 == 'd' &&
		strings.IndexByte(second, text[3]|0x20) >= 0
}

// compact is a value without the spaces between its parts, cut to maxOrphanText
// characters, as the content of a JSON string. It is empty for an absent value.
func (b *Body) compact(v span) []byte {
	var out []byte
	text, escape := false, false
	characters := 0
	for _, c := range b.raw[v.start:v.end] {
		if !text && (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			continue
		}
		if c&0xC0 != 0x80 { // not the inside of a character
			if characters == maxOrphanText {
				break
			}
			characters++
		}
		switch {
		case escape:
			escape = false
		case text && c == '\\':
			escape = true
		case c == '"':
			text = !text
		}
		if c == '"' || c == '\\' {
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	return out
}

// drops reports whether an item is left out: a reference, which fails with
// store:false, or content encrypted for another account. Never dropped are what
// the host instructs with, and a call or its output: the other half would be left
// alone.
func (t *transform) drops(it *item) bool {
	b := t.body
	if it.kind == kindReference {
		return t.mend
	}
	if !t.o.DropReasoning && t.o.Dropped == nil || it.leads || it.kind.isCall() || it.kind.isOutput() {
		return false
	}
	var sum [sha256.Size]byte
	switch {
	case b.hasText(it.encrypted):
		sum = sha256.Sum256(b.text(it.encrypted))
	case it.kind == kindReasoning: // nothing encrypted to know it by
		sum = sha256.Sum256(b.raw[it.start:it.end])
	default:
		return false
	}
	hash := hex.EncodeToString(sum[:16])
	if !t.o.DropReasoning && !t.o.Dropped(hash) {
		return false
	}
	t.dropped = append(t.dropped, hash)
	return true
}
