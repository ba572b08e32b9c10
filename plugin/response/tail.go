package response

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/tidwall/gjson"
)

// tailLimit is how much of a stream's end is read (DESIGN 3).
const tailLimit = 1 << 20

// ParseTail reads the end of an answer: the last event or events, at most the
// last 1 MiB. A host's ring buffer may begin in the middle of an event; what
// stands before the first whole event is skipped. The last event carries the
// whole response and can be larger than the ring: when only its end is there,
// its usage, which stands near the end, is still found, and Terminal is then
// taken to be response.completed.
func ParseTail(data []byte, status int, headers []Header, now time.Time) Tail {
	data = bytes.TrimPrefix(data[max(0, len(data)-tailLimit):], byteOrderMark)
	p := tailParser{answer: newAnswer(status, headers, now)}
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(trimmed) {
		p.document(trimmed)
		return p.tail
	}
	fragment, events := splitFragment(data)
	var scanner eventScanner
	scanner.feed(events, p.event)
	scanner.finish(p.event)
	if p.tail.Terminal == "" {
		if usage := lastUsage(fragment); usage != nil {
			p.tail.Terminal, p.tail.Usage = typeCompleted, usage
		}
	}
	return p.tail
}

type tailParser struct {
	*answer
	tail Tail
}

func (p *tailParser) event(name, data []byte) bool {
	kind, eventType := readKind(name, data)
	switch kind {
	case kindRateLimits:
		windows, plan := readRateLimits(data, p.headers, p.now)
		p.tail.Windows = mergeWindows(p.tail.Windows, windows)
		p.windows = mergeWindows(p.windows, windows)
		if plan != "" {
			p.tail.Plan, p.plan = plan, plan
		}
	case kindCompleted, kindIncomplete, kindFailed:
		if json.Valid(data) { // else the stream was cut in the middle of it
			p.terminal(kind, eventType, data)
		}
	}
	return true
}

// terminal takes a terminal event. An error event is often followed by a
// response.failed that says less: the first failure that means something stays.
func (p *tailParser) terminal(kind eventKind, eventType string, data []byte) {
	if kind == kindCompleted {
		eventType = typeCompleted
	}
	p.tail.Terminal = eventType
	if usage := readUsage(gjson.GetBytes(data, "response.usage")); usage != nil {
		p.tail.Usage = usage
	}
	if kind == kindFailed {
		r := readEvent(data)
		p.fail(&r)
	}
}

func (p *tailParser) fail(r *refusal) {
	if p.tail.Failure == nil || p.tail.Failure.Class == ClassOther {
		failure := p.refused(r)
		p.tail.Failure = &failure
	}
}

// document takes an answer that is one JSON document, not a stream.
func (p *tailParser) document(data []byte) {
	root := gjson.ParseBytes(data)
	p.tail.Usage = readUsage(root.Get("usage"))
	switch {
	case hasError(root):
		p.tail.Terminal = typeError
		r := readJSON(root)
		p.fail(&r)
	case root.Get("status").String() == "incomplete":
		p.tail.Terminal = typeIncomplete
	default:
		p.tail.Terminal = typeCompleted
	}
}

// splitFragment splits off what stands before the first whole event: nothing
// when data begins with a field of an event, else all up to the first blank line.
func splitFragment(data []byte) (fragment, events []byte) {
	if looksLikeEvents(bytes.TrimLeft(data, "\r\n")) {
		return nil, data
	}
	end := len(data)
	for _, blank := range [...]string{"\n\n", "\r\n\r\n", "\r\r"} {
		if i := bytes.Index(data, []byte(blank)); i >= 0 {
			end = min(end, i+len(blank))
		}
	}
	return data[:end], data[end:]
}

// lastUsage finds the usage object in the end of a response whose beginning is
// missing. Quotes inside JSON strings are escaped, so the key cannot be a text
// that the model wrote. It is nil when the fragment does not end as JSON does.
func lastUsage(fragment []byte) *Usage {
	key := []byte(`"usage":`)
	if !bytes.HasSuffix(bytes.TrimSpace(fragment), []byte("}")) {
		return nil
	}
	for {
		i := bytes.LastIndex(fragment, key)
		if i < 0 {
			return nil
		}
		value := bytes.TrimLeft(fragment[i+len(key):], " ")
		if len(value) > 0 && value[0] == '{' {
			if usage := readUsage(gjson.ParseBytes(value)); usage != nil {
				return usage
			}
		}
		fragment = fragment[:i]
	}
}
