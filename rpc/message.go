package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/sourcegraph/jsonrpc2"
	"github.com/tidwall/gjson"

	"codex-rota/plugin"
)

// message is one request or notification of the host, or the reason why what it
// sent is none. Ids and params are kept as the host wrote them: jsonrpc2.Request
// would re-sort params and turn −1 into 1.8e19 (FACTS-upstream 7.1).
type message struct {
	id     json.RawMessage // nil for a notification
	method string
	params json.RawMessage
	// attachment is nil when there was none.
	attachment []byte
	// fault is the answer when the message cannot be taken.
	fault error
	// size is what the message holds in memory, about.
	size int64
}

var nullID = json.RawMessage("null")

// errIgnored marks a message that gets no answer and no work: an answer of the
// host to a request that we never send, or a notification too large to be read.
var errIgnored = errors.New("message ignored")

// parse makes a message of what the reader gave. The error is errIgnored, or one
// that ended the stream; everything else is a message with a fault.
func parse(f frame, err error) (message, error) {
	var refused *frameError
	switch {
	case errors.As(err, &refused):
		return refused.message()
	case err != nil:
		return message{}, err
	}
	m := message{attachment: f.attachment, size: int64(len(f.json) + len(f.attachment))}
	if !utf8.Valid(f.json) {
		return m.faulty(jsonrpc2.CodeParseError, "the message is not UTF-8"), nil
	}
	text := bytes.TrimSpace(f.json)
	if !json.Valid(text) {
		var raw json.RawMessage
		return m.faulty(jsonrpc2.CodeParseError, "the message is not JSON: "+json.Unmarshal(text, &raw).Error()), nil
	}
	switch text[0] {
	case '{':
		return m.decode(text)
	case '[':
		return m.faulty(jsonrpc2.CodeInvalidRequest, "batches are not taken: send one message at a time"), nil
	default:
		return m.faulty(jsonrpc2.CodeInvalidRequest, "the message is not a JSON object"), nil
	}
}

// message is the answer to what could not be read.
func (e *frameError) message() (message, error) {
	m := message{id: e.id}
	if e.tooLarge {
		if e.id == nil && e.complete {
			return message{}, errIgnored
		}
		m.fault = &plugin.Error{Code: plugin.CodeTooLarge, Message: e.reason}
		if e.id == nil {
			m.id = nullID
		}
		return m, nil
	}
	return m.faulty(jsonrpc2.CodeParseError, e.reason), nil
}

// faulty is m with an answer in place of its work. An id that is not known is
// answered as null, as JSON-RPC 2.0 has it.
func (m message) faulty(code int64, reason string) message {
	m.fault = &jsonrpc2.Error{Code: code, Message: reason}
	if m.id == nil {
		m.id = nullID
	}
	return m
}

// decode reads the members of the valid JSON object text into m. A struct would
// take "ID" for "id", and a map of a hostile message ten times its size.
func (m message) decode(text []byte) (message, error) {
	var version, method json.RawMessage
	answer, idOK := false, true
	gjson.ParseBytes(text).ForEach(func(name, value gjson.Result) bool {
		raw := json.RawMessage(value.Raw)
		switch name.Str {
		case "jsonrpc":
			version = raw
		case "id":
			if idOK = validID(raw); idOK {
				m.id = raw
			}
		case "method":
			method = raw
		case "params":
			m.params = raw
		case "result", "error":
			answer = true
		}
		return true
	})
	switch {
	case !idOK:
		m.id = nil
		return m.faulty(jsonrpc2.CodeInvalidRequest, "the id is neither a string nor a number"), nil
	case answer && method == nil:
		return message{}, errIgnored
	case string(version) != `"2.0"`:
		return m.faulty(jsonrpc2.CodeInvalidRequest, `the message lacks "jsonrpc":"2.0"`), nil
	case len(method) == 0 || method[0] != '"' || json.Unmarshal(method, &m.method) != nil:
		return m.faulty(jsonrpc2.CodeInvalidRequest, "the method is not a string"), nil
	}
	return m, nil
}
