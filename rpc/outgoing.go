package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sourcegraph/jsonrpc2"
)

// inTurn sends when nobody else does, or gives up when the host is gone.
func (s *session) inTurn(send func() error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		return send()
	case <-s.broken.Done():
		return context.Cause(s.broken)
	}
}

// sending is the Conn's OnSend: it shows the message that the next WriteObject,
// under the same lock, is to write. WriteObject's own argument can only be
// marshalled, which escapes and copies every result three times.
func (s *session) sending(req *jsonrpc2.Request, resp *jsonrpc2.Response) {
	s.next.request, s.next.response = req, resp
}

// WriteObject implements jsonrpc2.ObjectStream: one message, one Write.
func (s *session) WriteObject(any) error {
	text, err := s.outgoing()
	if err != nil {
		return err
	}
	if err := context.Cause(s.broken); err != nil {
		return err
	}
	s.writing.begin()
	defer s.writing.end()
	if _, err := s.out.Write(text); err != nil {
		s.breakOff(fmt.Errorf("writing to the host: %w", err))
		return err
	}
	return nil
}

// outgoing is the message of the last sending as it goes out, framed as the host
// frames its own.
func (s *session) outgoing() ([]byte, error) {
	var parts [][]byte
	switch req, resp := s.next.request, s.next.response; {
	case req != nil:
		text, err := encodeJSON(struct {
			Version string           `json:"jsonrpc"`
			Method  string           `json:"method"`
			Params  *json.RawMessage `json:"params,omitempty"`
		}{"2.0", req.Method, req.Params})
		if err != nil {
			return nil, fmt.Errorf("encoding a notification: %w", err)
		}
		parts = [][]byte{text}
	case resp.Error != nil:
		text, err := encodeJSON(resp.Error)
		if err != nil {
			return nil, fmt.Errorf("encoding an error: %w", err)
		}
		parts = s.response(resp, "error", text)
	default:
		parts = s.response(resp, "result", *resp.Result)
	}
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	out := make([]byte, 0, size+32)
	if s.reader.framing == framingHeaders {
		out = fmt.Appendf(out, "Content-Length: %d\r\n\r\n", size)
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	if s.reader.framing == framingLines {
		out = append(out, '\n')
	}
	return out, nil
}

func (s *session) response(resp *jsonrpc2.Response, member string, text []byte) [][]byte {
	id := s.calls.get(resp.ID.Num).id
	return [][]byte{[]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"` + member + `":`), text, []byte("}")}
}
