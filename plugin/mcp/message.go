package mcp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/sourcegraph/jsonrpc2"
)

// maxLine bounds one message. A call of a tool takes a few hundred bytes.
const maxLine = 1 << 20

var errTooLong = fmt.Errorf("the message is longer than %d KiB", maxLine>>10)

// reader cuts the client's bytes into messages: one JSON text a line.
type reader struct{ in *bufio.Reader }

func newReader(in io.Reader) *reader { return &reader{bufio.NewReaderSize(in, 64<<10)} }

// next gives the next line that is not blank, errTooLong with the stream in order
// again behind that line, or the stream's own error. The last line may end with
// the stream instead.
func (r *reader) next() ([]byte, error) {
	for {
		line, err := r.line()
		if line = bytes.TrimSpace(line); len(line) > 0 || err != nil {
			return line, err
		}
	}
}

func (r *reader) line() ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		chunk, err := r.in.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(chunk) > maxLine; !tooLong {
			line = append(line, chunk...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && (err != io.EOF || len(line) == 0 && !tooLong):
			return nil, err
		case tooLong:
			return nil, errTooLong
		default:
			return line, nil
		}
	}
}

// message is what a client sends. Method is nil in an answer to a request; we
// send none, so answers are passed over.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`
}

// reply takes the answer to one message, nil when it gets none.
type reply func(answer []byte)

// receive works on one line: a message, or a batch of them where the revision
// has batches.
func (s *session) receive(line []byte) {
	switch {
	case !utf8.Valid(line):
		s.out.send(failed(nil, parseError("the message is not UTF-8")))
	case !json.Valid(line):
		s.out.send(failed(nil, parseError("the message is not JSON")))
	case line[0] == '[':
		s.batch(line)
	default:
		s.message(line, func(answer []byte) {
			if answer != nil {
				s.out.send(answer)
			}
		})
	}
}

// batch works on a list of messages; their answers are one list. Only revision
// 2025-03-26 has batches.
func (s *session) batch(text []byte) {
	var items []json.RawMessage
	err := json.Unmarshal(text, &items)
	if err != nil || s.revision != revisionWithBatches || len(items) == 0 || len(items) > maxCalls {
		s.out.send(failed(nil, invalidRequest("send one message at a time")))
		return
	}
	var mu sync.Mutex
	var answers [][]byte
	left := len(items)
	for _, item := range items {
		s.message(item, func(answer []byte) {
			mu.Lock()
			defer mu.Unlock()
			if answer != nil {
				answers = append(answers, answer)
			}
			if left--; left == 0 && len(answers) > 0 {
				s.out.send(append(append([]byte{'['}, bytes.Join(answers, []byte{','})...), ']'))
			}
		})
	}
}

// message works on one message. Its answer may come later, from another goroutine.
func (s *session) message(text []byte, answer reply) {
	var m message
	err := json.Unmarshal(text, &m) // of an object with a wrong member the others are read
	switch {
	case m.ID != nil && !validID(m.ID):
		answer(failed(nil, invalidRequest("the id is neither a string nor a number")))
	case err != nil || m.Version != "2.0":
		answer(failed(m.ID, invalidRequest("the message is no JSON-RPC 2.0 request")))
	case m.Method == nil && (m.Result != nil || m.Error != nil):
		answer(nil)
	case m.Method == nil:
		answer(failed(m.ID, invalidRequest("the message has no method")))
	case m.ID == nil:
		s.notified(*m.Method, m.Params)
		answer(nil)
	case *m.Method == "tools/call":
		s.callTool(m, answer)
	default:
		result, err := s.request(*m.Method, m.Params)
		if err != nil {
			answer(failed(m.ID, err))
			return
		}
		answer(succeeded(m.ID, result))
	}
}

// validID: MCP has strings and numbers, and no null.
func validID(id json.RawMessage) bool {
	return id[0] == '"' || id[0] == '-' || '0' <= id[0] && id[0] <= '9'
}

func parseError(reason string) *jsonrpc2.Error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeParseError, Message: reason}
}

func invalidRequest(reason string) *jsonrpc2.Error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: reason}
}

func badParams(format string, args ...any) *jsonrpc2.Error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: fmt.Sprintf(format, args...)}
}

// failed is an answer with an error; id nil is one that could not be read.
func failed(id json.RawMessage, err *jsonrpc2.Error) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	return encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   *jsonrpc2.Error `json:"error"`
	}{"2.0", id, err})
}

func succeeded(id json.RawMessage, result any) []byte {
	return encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  any             `json:"result"`
	}{"2.0", id, result})
}

// encode cannot fail on what this package gives it: strings, and JSON that was
// checked. HTML escapes would only make tables of accounts longer.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("mcp: encoding an answer: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
