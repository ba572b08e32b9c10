package request

import (
	"bytes"
	"strings"
)

// liteContext is reasoning.context in the responses-lite shape.
const liteContext = "all_turns"

// shape is where instructions and tools go (FACTS-upstream 3). The zero shape
// leaves them where the host put them.
type shape struct {
	setInstructions bool
	instructions    string
	moveTools       bool   // into the head's additional_tools item
	head            string // items to put before all others, joined by commas
}

// shaped decides the shape. A body that begins with additional_tools has the
// lite shape already and keeps it.
func (t *transform) shaped() shape {
	b, codex := t.body, t.o.Instructions
	first := b.first()
	if t.o.Mode != ModeCodex || first != nil && first.kind == kindTools {
		if codex != "" && b.NeedsInstructions() {
			return shape{setInstructions: true, instructions: codex}
		}
		return shape{}
	}
	own := b.value(fieldInstructions)
	hosts := b.isText(own) && !b.is(own, `""`)
	// A host that sends Codex's text itself does not get it twice.
	same := hosts && codex != "" && bytes.HasPrefix(b.text(own), []byte(codex))
	if !t.lite {
		switch {
		case codex == "" || same:
			return shape{}
		case hosts:
			return shape{setInstructions: true, instructions: codex, head: developer(copied(b.raw[own.start:own.end]))}
		}
		return shape{setInstructions: true, instructions: codex}
	}
	head := []string{`{"type":"additional_tools","role":"developer","tools":` + t.tools() + `}`}
	if codex != "" && !same {
		head = append(head, developer(quote(codex)))
	}
	if hosts {
		head = append(head, developer(copied(b.raw[own.start:own.end])))
	}
	return shape{setInstructions: true, moveTools: true, head: strings.Join(head, ",")}
}

// tools is the body's list of tools, empty when it has none.
func (t *transform) tools() string {
	v := t.body.value(fieldTools)
	if t.body.kindAt(v) != '[' {
		return "[]"
	}
	return copied(t.body.raw[v.start:v.end])
}

// What stands around the text of a message, which is a JSON string.
const (
	developerOpen = `{"type":"message","role":"developer","content":[{"type":"input_text","text":`
	userOpen      = `{"type":"message","role":"user","content":[{"type":"input_text","text":`
	messageEnd    = `}]}`
)

func developer(text string) string { return developerOpen + text + messageEnd }
