package response

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Collapse turns a whole SSE answer into the one JSON answer that a caller gets
// who did not ask to stream: the response of the terminal event, its bytes as
// they are. A response whose output is empty gets the items that were streamed,
// in the order of their output_index. A failure becomes an OpenAI-shaped
// {"error":{message,type,code}}, a stream without a terminal event a 502
// incomplete_stream. A body that is one JSON document already stays what it is.
func Collapse(sse []byte, now time.Time) Collapsed {
	sse = bytes.TrimPrefix(sse, byteOrderMark)
	if trimmed := bytes.TrimSpace(sse); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(trimmed) {
		root := gjson.ParseBytes(trimmed)
		if !hasError(root) {
			return collapsed(statusOK, trimmed)
		}
		r := readJSON(root)
		return collapsedFailure(&r, now)
	}
	var c collapser
	var scanner eventScanner
	scanner.feed(sse, c.event)
	if !c.ended {
		scanner.finish(c.event)
	}
	switch {
	case c.failure != nil:
		return collapsedFailure(c.failure, now)
	case c.response != "":
		return collapsed(statusOK, c.whole())
	}
	return collapsedError(statusBadGateway, errorBody{
		Message: "the stream ended before the response was complete",
		Type:    "server_error",
		Code:    "incomplete_stream",
	})
}

type collapser struct {
	items    []outputItem
	response string // raw JSON of the terminal event's response
	failure  *refusal
	ended    bool
}

// outputItem is one finished item of the output, raw.
type outputItem struct {
	index int64
	raw   string
}

// event takes one event and reports whether to go on: the first terminal event
// ends the answer.
func (c *collapser) event(name, data []byte) bool {
	kind, eventType := readKind(name, data)
	switch kind {
	case kindOutput:
		if eventType == "response.output_item.done" && json.Valid(data) {
			c.addItem(gjson.ParseBytes(data))
		}
	case kindCompleted, kindIncomplete, kindFailed:
		if json.Valid(data) { // else the stream was cut in the middle of it
			c.terminal(kind, data)
		}
	}
	return !c.ended
}

func (c *collapser) addItem(event gjson.Result) {
	item := event.Get("item")
	if !item.IsObject() {
		return
	}
	index := int64(len(c.items))
	if told := event.Get("output_index"); told.Type == gjson.Number {
		index = told.Int()
	}
	for i := range c.items {
		if c.items[i].index == index {
			c.items[i].raw = item.Raw
			return
		}
	}
	c.items = append(c.items, outputItem{index: index, raw: item.Raw})
}

func (c *collapser) terminal(kind eventKind, data []byte) {
	if kind == kindFailed {
		r := readEvent(data)
		c.failure, c.ended = &r, true
		return
	}
	if response := gjson.GetBytes(data, "response"); response.IsObject() {
		c.response, c.ended = response.Raw, true
	}
}

// whole is the response with its output filled in.
func (c *collapser) whole() []byte {
	output := gjson.Get(c.response, "output")
	empty := !output.Exists() || output.Type == gjson.Null || output.IsArray() && len(output.Array()) == 0
	if !empty || len(c.items) == 0 {
		return []byte(c.response)
	}
	slices.SortStableFunc(c.items, func(a, b outputItem) int { return int(min(1, max(-1, a.index-b.index))) })
	var b bytes.Buffer
	if output.Exists() {
		b.WriteString(c.response[:output.Index])
		c.writeItems(&b)
		b.WriteString(c.response[output.Index+len(output.Raw):])
		return b.Bytes()
	}
	open := strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(c.response), "}"), " \t\r\n")
	b.WriteString(open)
	if !strings.HasSuffix(open, "{") {
		b.WriteByte(',')
	}
	b.WriteString(`"output":`)
	c.writeItems(&b)
	b.WriteByte('}')
	return b.Bytes()
}

func (c *collapser) writeItems(b *bytes.Buffer) {
	b.WriteByte('[')
	for i, item := range c.items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item.raw)
	}
	b.WriteByte(']')
}

func collapsed(status int, body []byte) Collapsed {
	return Collapsed{Status: status, Headers: []Header{{"content-type", "application/json"}}, Body: body}
}

// errorBody is OpenAI's error object.
type errorBody struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    string `json:"code"`
}

func collapsedError(status int, e errorBody) Collapsed {
	body, err := json.Marshal(struct {
		Error errorBody `json:"error"`
	}{e})
	if err != nil {
		panic(err) // three strings always marshal
	}
	return collapsed(status, body)
}

// collapsedFailure gives a failure the status that hosts understand: what ends by
// waiting is a 429, overload a 503, the rest a 400, which ends the turn in every
// host and shows the message (FACTS-hosts).
func collapsedFailure(r *refusal, now time.Time) Collapsed {
	out := newAnswer(statusOK, nil, now).refused(r)
	status, kind := statusBadRequest, "invalid_request_error"
	switch out.Class {
	case ClassQuota, ClassRateLimit:
		status, kind = statusTooManyRequests, "rate_limit_error"
	case ClassOverload:
		status, kind = statusUnavailable, "server_error"
	}
	e := errorBody{Message: out.Message, Type: r.kind, Code: out.Code}
	if e.Type == "" {
		e.Type = kind
	}
	if e.Code == "" {
		e.Code = "response_failed"
	}
	if e.Message == "" {
		e.Message = "the response failed: " + e.Code
	}
	return collapsedError(status, e)
}
