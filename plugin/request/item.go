package request

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// kind is what the rules need to know of an input item's type.
type kind uint8

const (
	kindNone kind = iota // no type: a bare message, or a reference
	kindOther
	kindMessage
	kindReference
	kindReasoning
	kindTools // additional_tools
	kindFunctionCall
	kindCustomCall
	kindShellCall
	kindFunctionOutput
	kindCustomOutput
	kindShellOutput
)

func kindOf(name []byte) kind {
	switch string(name) {
	case "message":
		return kindMessage
	case "item_reference":
		return kindReference
	case "reasoning":
		return kindReasoning
	case "additional_tools":
		return kindTools
	case "function_call":
		return kindFunctionCall
	case "custom_tool_call":
		return kindCustomCall
	case "local_shell_call":
		return kindShellCall
	case "function_call_output":
		return kindFunctionOutput
	case "custom_tool_call_output":
		return kindCustomOutput
	case "local_shell_call_output":
		return kindShellOutput
	}
	return kindOther
}

func (k kind) isCall() bool   { return k >= kindFunctionCall && k <= kindShellCall }
func (k kind) isOutput() bool { return k >= kindFunctionOutput }

// answers is the set of kinds, as bits, any one of which completes a pair with k
// (FACTS-upstream 3: a function_call_output also answers a local_shell_call).
func (k kind) answers() uint16 {
	switch k {
	case kindFunctionCall:
		return 1 << kindFunctionOutput
	case kindCustomCall:
		return 1 << kindCustomOutput
	case kindShellCall:
		return 1<<kindShellOutput | 1<<kindFunctionOutput
	case kindFunctionOutput:
		return 1<<kindFunctionCall | 1<<kindShellCall
	case kindCustomOutput:
		return 1 << kindCustomCall
	case kindShellOutput:
		return 1 << kindShellCall
	}
	return 0
}

// item is one entry of input. The spans are whole values, quotes included.
type item struct {
	span
	callID, name, output span
	arguments, encrypted span
	kind                 kind
	hasID, hasRole       bool
	leads                bool // developer or system message, or additional_tools
	alone                bool // a call without output, or an output without call
}

// cut is bytes inside an input item that go under a condition.
type cut struct {
	span
	detail bool // an image's detail (lite only); else the item's id
}

// scanInput reads the array of input items at s.pos.
func (b *Body) scanInput(s *scanner) {
	start := s.pos
	b.items, b.cuts, b.paired = b.items[:0], b.cuts[:0], 0
	c := s.enter()
	for c.next() {
		b.items = append(room(b.items, s.pos-start, len(s.raw)-start), item{})
		it := &b.items[len(b.items)-1]
		if s.peek() == '{' {
			b.scanItem(s, it, start)
		} else {
			it.span = s.value()
		}
		c.done()
	}
}

// scanItem reads one input item into it. list is where the array began.
func (b *Body) scanItem(s *scanner, it *item, list int) {
	it.start = int32(s.pos)
	removed := 0
	c := s.enter()
	for c.next() {
		isID := false
		switch name := c.name(); string(name) {
		case "type":
			if v := s.value(); b.isText(v) {
				it.kind = kindOf(b.text(v))
			}
		case "role":
			if v := s.value(); b.isText(v) {
				it.hasRole = true
				role := string(b.text(v))
				it.leads = role == "developer" || role == "system"
			}
		case "id":
			s.value()
			isID = true
		case "call_id":
			it.callID = s.value()
		case "name":
			it.name = s.value()
		case "arguments":
			it.arguments = s.value()
		case "encrypted_content":
			it.encrypted = s.value()
		case "output":
			it.output = b.scanParts(s, list)
		case "content":
			b.scanParts(s, list)
		default:
			s.value()
		}
		c.done()
		if isID && !s.bad {
			it.hasID = true
			b.addCut(cut{span: c.member.cut(removed)}, list)
			removed++
		}
	}
	it.end = int32(s.pos)
	if it.kind == kindNone && it.hasID && !it.hasRole {
		it.kind = kindReference // the API lets a reference leave its type out
	}
	message := it.kind == kindNone || it.kind == kindMessage
	it.leads = it.leads && message || it.kind == kindTools
	if it.kind.isCall() || it.kind.isOutput() {
		b.paired++
	}
}

// scanParts steps over a message's content or a tool's output and notes the
// detail of each input_image in it.
func (b *Body) scanParts(s *scanner, list int) span {
	start := int32(s.pos)
	if s.peek() != '[' {
		return s.value()
	}
	c := s.enter()
	for c.next() {
		if s.peek() == '{' {
			b.scanPart(s, list)
		} else {
			s.value()
		}
		c.done()
	}
	return span{start, int32(s.pos)}
}

func (b *Body) scanPart(s *scanner, list int) {
	before, image, removed := len(b.cuts), false, 0
	c := s.enter()
	for c.next() {
		name := c.name()
		v := s.value()
		c.done()
		switch {
		case s.bad:
		case string(name) == "type":
			image = b.isText(v) && string(b.text(v)) == "input_image"
		case string(name) == "detail":
			b.addCut(cut{span: c.member.cut(removed), detail: true}, list)
			removed++
		}
	}
	if !image {
		b.cuts = b.cuts[:before]
	}
}

func (b *Body) addCut(c cut, list int) {
	b.cuts = append(room(b.cuts, int(c.end)-list, len(b.raw)-list), c)
}

// room makes place for one more record. It grows by what the part read so far
// says of the whole, and so takes a few allocations however long the body is;
// no more than one record per 256 bytes is believed in advance.
func room[T any](list []T, read, total int) []T {
	if len(list) < cap(list) {
		return list
	}
	if len(list) == 0 {
		return make([]T, 0, 32)
	}
	guess := len(list) * total / max(read, 1) * 9 / 8
	grown := make([]T, len(list), max(2*len(list), min(guess, total/256)))
	copy(grown, list)
	return grown
}

// pair marks every call without output and every output without call. Which
// comes first does not matter. A call without call_id is left alone; an output
// without one has no call.
func (b *Body) pair() {
	if b.paired == 0 {
		return
	}
	table := make([]pairSlot, 2<<bits.Len(uint(b.paired))) // a power of two, at most half full
	seed := maphash.MakeSeed()
	slot := func(id []byte) *pairSlot {
		for h := maphash.Bytes(seed, id); ; h++ {
			p := &table[h&uint64(len(table)-1)]
			if p.kinds == 0 || bytes.Equal(b.text(b.items[p.item].callID), id) {
				return p
			}
		}
	}
	for i := range b.items {
		it := &b.items[i]
		if it.kind.answers() == 0 || !b.hasText(it.callID) {
			continue
		}
		if p := slot(b.text(it.callID)); p.kinds == 0 {
			*p = pairSlot{item: int32(i), kinds: 1 << it.kind}
		} else {
			p.kinds |= 1 << it.kind
		}
	}
	for i := range b.items {
		switch it := &b.items[i]; {
		case it.kind.answers() == 0:
		case b.hasText(it.callID):
			it.alone = slot(b.text(it.callID)).kinds&it.kind.answers() == 0
		default:
			it.alone = it.kind.isOutput()
		}
	}
}

// pairSlot is one call_id in pair's table: an item that has it, and the kinds of
// all that have it, as bits.
type pairSlot struct {
	item  int32
	kinds uint16
}
