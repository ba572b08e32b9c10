package response

import (
	"bytes"
	"strings"

	"github.com/tidwall/gjson"
)

// eventScanner splits a stream of server-sent events, fed in any pieces: in the
// middle of a line, of CRLF, or of a character. Its zero value is ready.
type eventScanner struct {
	line     []byte // an unfinished line
	name     []byte
	data     []byte
	hasData  bool
	lineFeed bool // the last byte was CR: an LF that follows belongs to it
}

// feed gives emit every event that p completes, until emit says stop by
// returning false. name and data are valid only during the call.
func (s *eventScanner) feed(p []byte, emit func(name, data []byte) bool) {
	for len(p) > 0 {
		if s.lineFeed {
			s.lineFeed = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			s.line = append(s.line, p...)
			return
		}
		line := p[:end]
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line, s.line = s.line, s.line[:0]
		}
		s.lineFeed = p[end] == '\r'
		p = p[end+1:]
		if !s.take(line, emit) {
			return
		}
	}
}

// finish treats the end of the stream as the end of the last event: some servers
// close without the blank line.
func (s *eventScanner) finish(emit func(name, data []byte) bool) {
	if len(s.line) > 0 {
		line := s.line
		s.line = nil
		if !s.take(line, emit) {
			return
		}
	}
	s.take(nil, emit)
}

// take handles one whole line and reports whether to go on.
func (s *eventScanner) take(line []byte, emit func(name, data []byte) bool) bool {
	if len(line) == 0 {
		proceed := true
		if len(s.data) > 0 {
			proceed = emit(s.name, s.data)
		}
		s.name, s.data, s.hasData = s.name[:0], s.data[:0], false
		return proceed
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		s.name = append(s.name[:0], value...)
	case "data":
		if s.hasData {
			s.data = append(s.data, '\n')
		}
		s.data = append(s.data, value...)
		s.hasData = true
	}
	return true
}

// looksLikeEvents reports whether text begins as a stream of events does.
func looksLikeEvents(text []byte) bool {
	for _, field := range [...]string{":", "event:", "data:", "id:", "retry:"} {
		if bytes.HasPrefix(text, []byte(field)) {
			return true
		}
	}
	return false
}

// eventKind is what an event means for the call.
type eventKind int

const (
	kindOutput     eventKind = iota // an output item or delta, or anything unknown
	kindPreamble                    // says nothing yet
	kindRateLimits                  // codex.rate_limits: windows
	kindCompleted
	kindIncomplete
	kindFailed
	kindDone // the [DONE] mark of other OpenAI streams
)

const (
	typeCompleted  = "response.completed"
	typeIncomplete = "response.incomplete"
	typeFailed     = "response.failed"
	typeError      = "error"
)

// readKind tells an event's kind and type. The type in the JSON counts, as it
// does for Codex's own client, then the event's name. What is unknown counts as
// output, because a stream that may have begun is never asked for again.
func readKind(name, data []byte) (kind eventKind, eventType string) {
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		return kindDone, ""
	}
	eventType = gjson.GetBytes(data, "type").String()
	// An error event may hold the error's type where others have their own.
	if eventType == "" || kindOf(string(name)) == kindFailed {
		eventType = string(name)
	}
	kind = kindOf(eventType)
	if kind == kindOutput && !strings.HasPrefix(eventType, "response.") && gjson.GetBytes(data, "error").IsObject() {
		return kindFailed, typeError
	}
	return kind, eventType
}

func kindOf(eventType string) eventKind {
	switch eventType {
	case "response.created", "response.in_progress", "response.queued", "response.metadata",
		"ping", "keepalive", "heartbeat", "rate_limits.updated":
		return kindPreamble
	case "codex.rate_limits":
		return kindRateLimits
	case typeCompleted, "response.done":
		return kindCompleted
	case typeIncomplete:
		return kindIncomplete
	case typeFailed, typeError:
		return kindFailed
	}
	// The backend's own notices: codex.response.metadata,
	// responsesapi.websocket_timing.
	if strings.HasPrefix(eventType, "codex.") || strings.HasPrefix(eventType, "responsesapi.") {
		return kindPreamble
	}
	return kindOutput
}
