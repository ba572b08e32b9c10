package request

import (
	"slices"
	"strings"
)

// encryptedReasoning is what include must hold for reasoning to survive the next
// turn.
const encryptedReasoning = "reasoning.encrypted_content"

// transform is one run of Transform: what was decided about the whole body, and
// the edits made so far.
type transform struct {
	body  *Body
	o     Options
	mend  bool // false for Untouched: only Model and the dropping of reasoning
	edits editList

	model  string // the new model
	effort string // the effort to set, "" for none
	lite   bool
	shape  shape

	removed int      // top-level members cut so far
	dropped []string // hashes
}

// Transform decides the edits that make the body one that the backend takes
// (FACTS-upstream 3). It always starts from the body as scanned, so a retry with
// other options is re-shaped from the original.
func (b *Body) Transform(o Options) Result {
	res := Result{Edits: []Edit{}, Model: b.Model(), Collapse: !b.Stream()}
	if o.Mode == ModeOff {
		return res
	}
	t := transform{body: b, o: o, mend: !o.Untouched, model: res.Model}
	t.edits.expect = len(b.entries) + len(b.cuts) + b.unpaired() + 8
	if o.Model != "" {
		t.model = o.Model
	}
	if t.mend {
		t.decide()
		if t.lite {
			res.Headers = []Header{{"x-openai-internal-codex-responses-lite", "true"}}
		}
	} else {
		// Nothing turns its stream on, so its answer comes as it was asked for.
		res.Collapse = false
	}
	for i := range b.entries {
		e := &b.entries[i]
		switch current := b.last[e.field] == int32(i+1); {
		case !t.mend:
			if current {
				t.untouched(e)
			}
		case current:
			t.entry(e)
		default:
			// The last of two counts; two readers must not see two bodies.
			t.cut(e)
		}
	}
	t.missing()
	if t.edits.list != nil {
		res.Edits = t.edits.list
	}
	res.Model, res.Dropped = t.model, t.dropped
	return res
}

// decide settles what concerns more than one place of the body.
func (t *transform) decide() {
	b, c := t.body, t.o.Catalogue
	slug, effort := Slug(b.Model(), c)
	if t.o.Model != "" {
		fallback, own := Slug(t.o.Model, c)
		slug = fallback
		if own != "" {
			effort = own
		}
	}
	t.model = slug
	if effort != "" && !t.hasEffort() {
		t.effort = nearest(effort, c[slug].Efforts)
	}
	t.lite = t.o.Mode == ModeCodex && c[slug].Lite
	t.shape = t.shaped()
}

// hasEffort reports whether the host chose an effort; null is none.
func (t *transform) hasEffort() bool {
	b := t.body
	return b.kindAt(b.value(fieldReasoning)) == '{' && b.effort.present() && !b.is(b.effort, "null")
}

// untouched makes the edits that a host gets whose bodies are fit as they are.
func (t *transform) untouched(e *fieldEntry) {
	switch {
	case e.field == fieldModel && t.o.Model != "":
		t.set(e, quote(t.model))
	case e.field == fieldInput && t.body.kindAt(e.span()) == '[':
		t.items(e.span())
	}
}

// entry mends one top-level member.
func (t *transform) entry(e *fieldEntry) {
	b, v := t.body, e.span()
	switch e.field {
	case fieldModel:
		if t.model != b.Model() {
			t.set(e, quote(t.model))
		}
	case fieldInstructions:
		if t.shape.setInstructions {
			t.set(e, quote(t.shape.instructions))
		}
	case fieldInput:
		t.input(v)
	case fieldInclude:
		t.include(e)
	case fieldStore:
		t.set(e, "false")
	case fieldStream:
		t.set(e, "true")
	case fieldReasoning:
		t.reasoning(e)
	case fieldTools:
		if t.shape.moveTools {
			t.cut(e)
		}
	case fieldParallel:
		if t.lite {
			t.set(e, "false")
		}
	case fieldRefused:
		t.cut(e)
	case fieldSampling:
		if reasons(t.model, t.o.Catalogue) {
			t.cut(e)
		}
	}
}

// set gives a member a value, unless it has it.
func (t *transform) set(e *fieldEntry, value string) {
	if !t.body.is(e.span(), value) {
		t.edits.replace(e.span(), value)
	}
}

func (t *transform) cut(e *fieldEntry) {
	t.edits.delete(e.cut(t.removed))
	t.removed++
}

func (t *transform) include(e *fieldEntry) {
	b := t.body
	switch text := `"` + encryptedReasoning + `"`; {
	case b.kindAt(e.span()) != '[':
		t.set(e, "["+text+"]")
	case b.includesReasoning:
	case b.includeEmpty:
		t.edits.insert(e.end-1, text)
	default:
		t.edits.insert(e.end-1, ","+text)
	}
}

// reasoning completes the reasoning object with the effort that the model's
// suffix asked for, and with the lite shape's context.
func (t *transform) reasoning(e *fieldEntry) {
	b := t.body
	if t.effort == "" && !t.lite {
		return
	}
	if b.kindAt(e.span()) != '{' {
		t.set(e, t.newReasoning())
		return
	}
	type change struct {
		at   span
		text string
	}
	var changes []change
	var extra strings.Builder
	put := func(name, value string, at span) {
		switch value = quote(value); {
		case !at.present():
			addMember(&extra, name, value)
		case !b.is(at, value):
			changes = append(changes, change{at, value})
		}
	}
	if t.effort != "" {
		put("effort", t.effort, b.effort)
	}
	if t.lite {
		put("context", liteContext, b.context)
	}
	slices.SortFunc(changes, func(x, y change) int { return int(x.at.start - y.at.start) })
	for _, c := range changes {
		t.edits.replace(c.at, c.text)
	}
	if text := extra.String(); text != "" {
		if !b.reasoningEmpty {
			text = "," + text
		}
		t.edits.insert(e.end-1, text)
	}
}

// newReasoning is the reasoning object for a body that has none, "" when there
// is nothing to say in it.
func (t *transform) newReasoning() string {
	var members strings.Builder
	if t.effort != "" {
		addMember(&members, "effort", quote(t.effort))
	}
	if t.lite {
		addMember(&members, "context", quote(liteContext))
	}
	if members.Len() == 0 {
		return ""
	}
	return "{" + members.String() + "}"
}

// missing adds the members that the body must have and has not, at its end.
func (t *transform) missing() {
	b := t.body
	var added strings.Builder
	add := func(f field, name, value string) {
		if b.last[f] == 0 && value != "" {
			addMember(&added, name, value)
		}
	}
	if t.o.Model != "" {
		add(fieldModel, "model", quote(t.model))
	}
	if t.mend {
		if t.shape.setInstructions {
			add(fieldInstructions, "instructions", quote(t.shape.instructions))
		}
		if t.shape.head != "" {
			add(fieldInput, "input", "["+t.shape.head+"]")
		}
		add(fieldReasoning, "reasoning", t.newReasoning())
		if t.lite {
			add(fieldParallel, "parallel_tool_calls", "false")
		}
		add(fieldInclude, "include", `["`+encryptedReasoning+`"]`)
		add(fieldStore, "store", "false")
		add(fieldStream, "stream", "true")
	}
	text := added.String()
	if text == "" {
		return
	}
	if int(b.total) > t.removed {
		text = "," + text
	}
	t.edits.insert(b.end, text)
}

// addMember appends a member of an object to its text, with a comma after the
// one before.
func addMember(to *strings.Builder, name, value string) {
	if to.Len() > 0 {
		to.WriteByte(',')
	}
	to.WriteString(`"` + name + `":` + value)
}
