package request

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// ErrNotObject is Scan's answer to a body that is no JSON object at all.
var ErrNotObject = errors.New("the body is not a JSON object")

// field is a top-level key that some rule reads or writes.
type field uint8

const (
	fieldUnknown field = iota
	fieldModel
	fieldInstructions
	fieldInput
	fieldInclude
	fieldStore
	fieldStream
	fieldReasoning
	fieldTools
	fieldParallel
	fieldCacheKey
	fieldRefused  // one of those that the backend never takes
	fieldSampling // temperature, top_p
	fieldCount
)

func fieldOf(name []byte) field {
	switch string(name) {
	case "model":
		return fieldModel
	case "instructions":
		return fieldInstructions
	case "input":
		return fieldInput
	case "include":
		return fieldInclude
	case "store":
		return fieldStore
	case "stream":
		return fieldStream
	case "reasoning":
		return fieldReasoning
	case "tools":
		return fieldTools
	case "parallel_tool_calls":
		return fieldParallel
	case "prompt_cache_key":
		return fieldCacheKey
	case "max_output_tokens", "max_completion_tokens", "prompt_cache_retention", "safety_identifier":
		return fieldRefused
	case "temperature", "top_p":
		return fieldSampling
	}
	return fieldUnknown
}

// fieldEntry is a top-level member whose key is a field.
type fieldEntry struct {
	member
	field field
}

// Body is a scanned request body: offsets into it, no copy of it. It is never
// changed after Scan, and may be transformed any number of times, concurrently.
// The bytes that were scanned must not change while it is in use.
type Body struct {
	raw     []byte
	entries []fieldEntry      // in the body's order
	last    [fieldCount]int32 // 1 + index in entries of a field's last entry, 0 for none
	total   int32             // members of the object, unknown ones counted
	end     int32             // end of the last member, or just inside the brace
	items   []item            // of input, when it is an array
	cuts    []cut             // inside items, ascending
	paired  int               // items that are a call or an output

	includeEmpty, includesReasoning bool
	reasoningEmpty                  bool
	effort, context                 span // in reasoning

	usual [16]fieldEntry // room for the entries of any usual body
}

// Scan finds the offsets that Transform needs, in one pass. It refuses what
// encoding/json refuses, and anything but an object (ErrNotObject): such a body
// is none that can be mended, and is to be sent as it is. Of keys that come
// twice the last one counts. Invalid UTF-8 inside strings is passed over.
func Scan(body []byte) (*Body, error) {
	if len(body) > math.MaxInt32 {
		return nil, fmt.Errorf("the body has %d bytes, at most %d can be read", len(body), math.MaxInt32)
	}
	s := scanner{raw: body}
	s.space()
	if s.peek() != '{' {
		return nil, ErrNotObject
	}
	b := &Body{raw: body}
	b.entries = b.usual[:0]
	b.scanObject(&s)
	s.space()
	if s.bad || s.pos != len(body) {
		return nil, fmt.Errorf("the body is not valid JSON at byte %d", s.pos)
	}
	b.pair()
	return b, nil
}

func (b *Body) scanObject(s *scanner) {
	c := s.enter()
	for c.next() {
		f := fieldOf(c.name())
		switch open := s.peek(); {
		case f == fieldInput && open == '[':
			b.scanInput(s)
		case f == fieldInclude && open == '[':
			b.scanInclude(s)
		case f == fieldReasoning && open == '{':
			b.scanReasoning(s)
		default:
			s.value()
		}
		c.done()
		if f != fieldUnknown {
			b.entries = append(b.entries, fieldEntry{c.member, f})
			b.last[f] = int32(len(b.entries))
		}
	}
	b.total, b.end = c.member.index+1, c.member.end
}

func (b *Body) scanInclude(s *scanner) {
	b.includeEmpty, b.includesReasoning = true, false
	c := s.enter()
	for c.next() {
		v := s.value()
		b.includeEmpty = false
		if b.isText(v) && string(b.text(v)) == encryptedReasoning {
			b.includesReasoning = true
		}
		c.done()
	}
}

func (b *Body) scanReasoning(s *scanner) {
	b.reasoningEmpty, b.effort, b.context = true, span{}, span{}
	c := s.enter()
	for c.next() {
		b.reasoningEmpty = false
		name, v := c.name(), s.value()
		switch string(name) {
		case "effort":
			b.effort = v
		case "context":
			b.context = v
		}
		c.done()
	}
}

// Model is the model as the host wrote it, "" when there is none.
func (b *Body) Model() string { return b.string(fieldModel) }

// PromptCacheKey is prompt_cache_key, "" when there is none.
func (b *Body) PromptCacheKey() string { return b.string(fieldCacheKey) }

// Stream reports whether the host asked for a stream.
func (b *Body) Stream() bool { return b.is(b.value(fieldStream), "true") }

// Slug is the model's slug: Model without provider prefix and effort suffix.
func (b *Body) Slug(c Catalogue) string {
	slug, _ := Slug(b.Model(), c)
	return slug
}

// NeedsInstructions reports whether the backend would refuse the body for want
// of instructions: it has none (absent, null or ""), and its input does not
// begin with a developer, system or additional_tools item.
func (b *Body) NeedsInstructions() bool {
	v := b.value(fieldInstructions)
	if v.present() && !b.is(v, "null") && !b.is(v, `""`) {
		return false
	}
	first := b.first()
	return first == nil || !first.leads
}

// first is the first input item that is sent, references being dropped.
func (b *Body) first() *item {
	if b.kindAt(b.value(fieldInput)) != '[' {
		return nil
	}
	for i := range b.items {
		if b.items[i].kind != kindReference {
			return &b.items[i]
		}
	}
	return nil
}

// value is where the value of a field lies, absent when the body has none.
func (b *Body) value(f field) span {
	if b.last[f] == 0 {
		return span{}
	}
	return b.entries[b.last[f]-1].span()
}

func (b *Body) string(f field) string {
	if v := b.value(f); b.isText(v) {
		return string(b.text(v))
	}
	return ""
}

// is compares a value's bytes.
func (b *Body) is(v span, literal string) bool { return string(b.raw[v.start:v.end]) == literal }

// kindAt is a value's first byte, which tells its JSON type; 0 when absent.
func (b *Body) kindAt(v span) byte {
	if !v.present() {
		return 0
	}
	return b.raw[v.start]
}

func (b *Body) isText(v span) bool { return b.kindAt(v) == '"' && v.end-v.start >= 2 }

// text is the content of a string value, decoded.
func (b *Body) text(v span) []byte { return decoded(b.raw, span{v.start + 1, v.end - 1}) }

// hasText reports whether v is a string with something other than spaces in it.
func (b *Body) hasText(v span) bool { return b.isText(v) && len(bytes.TrimSpace(b.text(v))) > 0 }
