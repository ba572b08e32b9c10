package sim

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Reply is what the model answers to one call. The zero value says hello with the
// name of the seat, so that a reader sees who answered.
type Reply struct {
	Text string          // "": Hello from NAME
	Tool *ToolCall       // not nil: a function call in place of the text
	Step <-chan struct{} // not nil: one receive before each delta
}

// ToolCall is a function call by the model.
type ToolCall struct {
	ID        string `json:"id"`                  // call_id
	Namespace string `json:"namespace,omitempty"` // that the tool was offered in, "" for none
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON text
}

// SetReply says what the model answers from now on; nil gives the zero Reply.
func (s *Server) SetReply(reply func(Call) Reply) {
	if reply == nil {
		reply = func(Call) Reply { return Reply{} }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = reply
}

// event is one server-sent event. Data's fields are those that clients read; the
// absent ones are left out.
type event struct {
	data  eventData
	hold  bool   // wait for Release before it
	delta bool   // one of the small pieces that Reply.Step paces
	raw   string // not "": these bytes in place of the event
}

func (e event) text() string {
	if e.raw != "" {
		return e.raw
	}
	return fmt.Sprintf("event: %s\ndata: %s\n\n", e.data.Type, toJSON(e.data))
}

type eventData struct {
	Type         string          `json:"type"`
	Sequence     int             `json:"sequence_number"`
	Response     *responseObject `json:"response,omitempty"`
	OutputIndex  *int            `json:"output_index,omitempty"`
	ContentIndex *int            `json:"content_index,omitempty"`
	ItemID       string          `json:"item_id,omitempty"`
	Item         *outputItem     `json:"item,omitempty"`
	Part         *contentPart    `json:"part,omitempty"`
	Delta        string          `json:"delta,omitempty"`
	Text         string          `json:"text,omitempty"`
	Arguments    string          `json:"arguments,omitempty"`
	Code         string          `json:"code,omitempty"`
	Message      string          `json:"message,omitempty"`
}

type responseObject struct {
	ID         string          `json:"id"`
	Object     string          `json:"object"`
	CreatedAt  int64           `json:"created_at"`
	Status     string          `json:"status"`
	Model      string          `json:"model"`
	Output     []outputItem    `json:"output"`
	Error      *streamError    `json:"error"`
	Incomplete *incompleteness `json:"incomplete_details"`
	Usage      *usageObject    `json:"usage"`
}

type streamError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Type    string `json:"type,omitempty"`
	// With a limit only.
	Plan            string `json:"plan_type,omitempty"`
	ResetsAt        int64  `json:"resets_at,omitempty"`
	ResetsInSeconds int64  `json:"resets_in_seconds,omitempty"`
}

type incompleteness struct {
	Reason string `json:"reason"`
}

type outputItem struct {
	Type      string        `json:"type"`
	ID        string        `json:"id"`
	Status    string        `json:"status,omitempty"`
	Role      string        `json:"role,omitempty"`
	Content   []contentPart `json:"content,omitzero"` // a message's is [] at its beginning, not absent
	Summary   *[]string     `json:"summary,omitempty"`
	Encrypted string        `json:"encrypted_content,omitempty"`
	CallID    string        `json:"call_id,omitempty"`
	Namespace string        `json:"namespace,omitempty"`
	Name      string        `json:"name,omitempty"`
	Arguments *string       `json:"arguments,omitempty"`
}

type contentPart struct {
	Type        string   `json:"type"`
	Text        string   `json:"text"`
	Annotations []string `json:"annotations"`
}

type usageObject struct {
	Input       int           `json:"input_tokens"`
	InputParts  inputDetails  `json:"input_tokens_details"`
	Output      int           `json:"output_tokens"`
	OutputParts outputDetails `json:"output_tokens_details"`
	Total       int           `json:"total_tokens"`
}

type inputDetails struct {
	Cached int `json:"cached_tokens"`
}

type outputDetails struct {
	Reasoning int `json:"reasoning_tokens"`
}

// script collects the events of one answer.
type script struct {
	response responseObject
	events   []event
	output   []outputItem
}

func (sc *script) add(d eventData) {
	d.Sequence = len(sc.events)
	sc.events = append(sc.events, event{data: d, delta: strings.HasSuffix(d.Type, ".delta")})
}

// state adds an event about the whole response.
func (sc *script) state(typ, status string) {
	r := sc.response
	r.Status, r.Output = status, append([]outputItem{}, sc.output...)
	sc.add(eventData{Type: typ, Response: &r})
}

// item adds an output item: its beginning, what between adds, its end.
func (sc *script) item(begun, done outputItem, between func(index *int)) {
	index := len(sc.output)
	sc.add(eventData{Type: "response.output_item.added", OutputIndex: &index, Item: &begun})
	if between != nil {
		between(&index)
	}
	sc.add(eventData{Type: "response.output_item.done", OutputIndex: &index, Item: &done})
	sc.output = append(sc.output, done)
}

func (sc *script) reasoning(id, encrypted string) {
	none := []string{}
	sc.item(outputItem{Type: "reasoning", ID: id, Summary: &none}, outputItem{Type: "reasoning", ID: id, Summary: &none, Encrypted: encrypted}, nil)
}

func (sc *script) message(id, text string) {
	item := outputItem{Type: "message", ID: id, Status: "in_progress", Role: "assistant", Content: []contentPart{}}
	done := item
	done.Status, done.Content = "completed", []contentPart{{Type: "output_text", Text: text, Annotations: []string{}}}
	sc.item(item, done, func(index *int) {
		zero, empty := 0, contentPart{Type: "output_text", Annotations: []string{}}
		sc.add(eventData{Type: "response.content_part.added", OutputIndex: index, ContentIndex: &zero, ItemID: id, Part: &empty})
		for _, word := range strings.SplitAfter(text, " ") {
			sc.add(eventData{Type: "response.output_text.delta", OutputIndex: index, ContentIndex: &zero, ItemID: id, Delta: word})
		}
		sc.add(eventData{Type: "response.output_text.done", OutputIndex: index, ContentIndex: &zero, ItemID: id, Text: text})
		sc.add(eventData{Type: "response.content_part.done", OutputIndex: index, ContentIndex: &zero, ItemID: id, Part: &done.Content[0]})
	})
}

func (sc *script) call(id string, t ToolCall) {
	empty := ""
	item := outputItem{Type: "function_call", ID: id, Status: "in_progress", CallID: t.ID, Namespace: t.Namespace, Name: t.Name, Arguments: &empty}
	done := item
	done.Status, done.Arguments = "completed", &t.Arguments
	sc.item(item, done, func(index *int) {
		sc.add(eventData{Type: "response.function_call_arguments.delta", OutputIndex: index, ItemID: id, Delta: t.Arguments})
		sc.add(eventData{Type: "response.function_call_arguments.done", OutputIndex: index, ItemID: id, Arguments: t.Arguments})
	})
}

// script writes the whole answer to a model call that passed every check.
func (x *exchange) script(q *modelRequest, reply Reply, cached int) []event {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	input := len(x.body) / 4
	sc := &script{response: responseObject{ID: x.s.id("resp_"), Object: "response", CreatedAt: x.s.opts.Now().Unix(), Model: q.Model}}
	sc.state("response.created", "in_progress")
	sc.state("response.in_progress", "in_progress")
	thought := 0
	if q.wantsReasoning() {
		thought = 64
		sc.reasoning(x.s.id("rs_"), x.s.id(encryptedFor(x.seat)))
	}
	text := reply.Text
	if text == "" {
		text = "Hello from " + x.seat.Name
	}
	if q.wantsCompaction() {
		text = x.s.id(encryptedFor(x.seat))
		sc.compaction(x.s.id("cmp_"), text)
	} else if reply.Tool != nil {
		text = reply.Tool.Arguments
		sc.call(x.s.id("fc_"), *reply.Tool)
	} else {
		sc.message(x.s.id("msg_"), text)
	}
	output := thought + 1 + len(text)/4
	sc.response.Usage = &usageObject{input, inputDetails{cached}, output, outputDetails{thought}, input + output}
	sc.state("response.completed", "completed")
	return sc.events
}

// firstDelta is the number of events up to and with the first delta.
func firstDelta(events []event) int {
	for i, e := range events {
		if e.delta {
			return i + 1
		}
	}
	return len(events)
}

// failing ends a stream after n events with a failure.
func failing(events []event, n int, e streamError) []event {
	r := *events[0].data.Response
	r.Status, r.Error = "failed", &e
	return append(events[:n:n], event{data: eventData{Type: "response.failed", Sequence: n, Response: &r}})
}

// stream sends the events one by one.
func (x *exchange) stream(w http.ResponseWriter, a answer) End {
	out := http.NewResponseController(w)
	for _, e := range a.events {
		if e.hold && !x.hold() {
			return EndGone
		}
		if e.delta && a.step != nil {
			select {
			case <-a.step:
			case <-x.r.Context().Done():
				return EndGone
			}
		}
		if _, err := io.WriteString(w, e.text()); err != nil {
			return EndGone
		}
		if out.Flush() != nil {
			return EndGone
		}
	}
	if a.cut {
		return EndCut
	}
	return EndAnswered
}
