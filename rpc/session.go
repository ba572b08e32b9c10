package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/sourcegraph/jsonrpc2"

	"codex-rota/logging"
)

// session is one host's connection. To jsonrpc2 it is both the stream and the
// handler: ReadObject keeps the message in arrived and shows the Conn an envelope
// that is always the same, Handle takes what has arrived, and WriteObject puts the
// host's own id back. So ids, params and results cross the Conn unread
// (FACTS-upstream 7.1).
type session struct {
	service Service
	log     hclog.Logger
	methods map[string]Method
	reader  *reader
	out     io.Writer
	calls   *calls
	notices *notices
	workers *workers

	// work is the context of every call; stop ends it.
	work context.Context
	stop context.CancelCauseFunc
	// broken ends when stdout failed or is stuck.
	broken   context.Context
	breakOff context.CancelCauseFunc

	// turn is held by the one message being written. It comes before the Conn's own
	// lock, which those who wait could not leave when the host is stuck.
	turn    chan struct{}
	writing *watch // of that message

	readErr error // what ended the host's stream but its end

	// Only the reading goroutine touches these.
	envelope    reflect.Value
	arrived     *call
	initialized <-chan struct{}
	learned     <-chan struct{} // closed when every request/done so far is through
	shutdown    bool

	// Guarded by the Conn's lock for sending.
	next struct {
		request  *jsonrpc2.Request
		response *jsonrpc2.Response
	}
}

// ReadObject implements jsonrpc2.ObjectStream. At the end of the host's stream it
// returns only when the calls in flight are drained: the Conn closes on an error,
// and their answers would be lost.
func (s *session) ReadObject(v any) error {
	for {
		m, err := parse(s.reader.next())
		if errors.Is(err, errIgnored) {
			s.log.Debug("a message that needs no answer was passed over")
			continue
		}
		if err != nil {
			return s.drain(err)
		}
		s.notices.start()
		if !(m.method == methodCancel && m.id == nil) && !s.calls.waitRoom(s.broken, m.size) {
			return io.EOF
		}
		s.arrived = s.calls.add(s.work, m)
		return s.wrap(v)
	}
}

// wrap makes v, which is of a type of jsonrpc2's own, the envelope. Only the first
// one is decoded: that takes the package five passes, a small message's whole time.
func (s *session) wrap(v any) error {
	target := reflect.ValueOf(v).Elem()
	if s.envelope.IsValid() {
		target.Set(s.envelope)
		return nil
	}
	if err := json.Unmarshal([]byte(`{"method":"a message of the host"}`), v); err != nil {
		return fmt.Errorf("the envelope: %w", err)
	}
	s.envelope = reflect.New(target.Type()).Elem()
	s.envelope.Set(target)
	return nil
}

// drain lets the calls in flight end, then cancels what is left of them.
func (s *session) drain(cause error) error {
	if cause != io.EOF {
		s.readErr = fmt.Errorf("reading from the host: %w", cause)
	}
	ctx, cancel := context.WithTimeout(s.broken, drainTime)
	defer cancel()
	if !s.calls.waitIdle(ctx) {
		s.endCalls()
	}
	s.notices.end(s.broken)
	return io.EOF
}

// endCalls cancels every call and gives the answers a moment to be written.
func (s *session) endCalls() {
	s.stop(errEnding)
	ctx, cancel := context.WithTimeout(s.broken, lastWords)
	defer cancel()
	s.calls.waitIdle(ctx)
}

// Handle implements jsonrpc2.Handler. It is called in the order of the host's
// messages and must not wait, or no cancel would be read.
func (s *session) Handle(_ context.Context, conn *jsonrpc2.Conn, _ *jsonrpc2.Request) {
	c := s.arrived
	s.arrived = nil
	method, err := s.admit(c)
	if err != nil {
		s.workers.do(func() { s.answer(conn, c, nil, err) })
		return
	}
	var answered, learned chan struct{}
	before := s.learned
	switch c.method {
	case methodCancel:
		s.cancelRequest(c)
	case methodShutdown:
		s.shutdown = true
	case methodInitialize:
		answered = make(chan struct{})
	case methodDone:
		learned = make(chan struct{})
		s.learned = learned
	}
	// A script may write everything at once: what follows initialize waits for it.
	after := s.initialized
	if answered != nil {
		s.initialized = answered
	}
	s.workers.do(func() {
		if answered != nil {
			defer close(answered)
		}
		s.run(conn, c, method, after, before)
		if learned != nil {
			if before != nil {
				<-before
			}
			close(learned)
		}
	})
}

// admit finds the message's method, or why it gets none.
func (s *session) admit(c *call) (Method, error) {
	method, known := s.methods[c.method]
	switch {
	case c.fault != nil:
		return Method{}, c.fault
	case !known:
		return Method{}, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "there is no method " + strconv.Quote(c.method)}
	case s.shutdown && !method.Notification && c.method != methodShutdown:
		return Method{}, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "shutdown was asked for: no more requests are taken"}
	}
	return method, nil
}

// run works on one call and answers it. A call that is cancelled meanwhile is
// answered at once, whether or not its method heeds the context.
func (s *session) run(conn *jsonrpc2.Conn, c *call, m Method, initialized, learned <-chan struct{}) {
	stop := context.AfterFunc(c.ctx, func() { s.answer(conn, c, nil, c.ctx.Err()) })
	if initialized != nil && c.method != methodCancel {
		select {
		case <-initialized:
		case <-c.ctx.Done():
			return
		}
	}
	switch c.method {
	case methodPrepare, methodAuthorize, methodResponse: // these choose an account
		waitToLearn(c.ctx, learned)
	}
	started := time.Now()
	result, err := s.invoke(c, m)
	s.log.Debug("method done", "method", c.method, "ms", time.Since(started).Milliseconds(), "failed", err != nil)
	stop() // or the end of c.ctx, which comes with the answer, would start a goroutine
	s.answer(conn, c, result, err)
}

// waitToLearn lets the calls that ended before a new attempt teach what they have
// to: a limit that was told at a stream's end must not be met again by it.
func waitToLearn(ctx context.Context, learned <-chan struct{}) {
	if learned == nil {
		return
	}
	select {
	case <-learned:
		return
	default:
	}
	limited, cancel := context.WithTimeout(ctx, learnTime)
	defer cancel()
	select {
	case <-learned:
	case <-limited.Done():
	}
}

// invoke calls the method and encodes its result. A panic in either ends that
// call alone.
func (s *session) invoke(c *call, m Method) (result json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", "method", c.method, "panic", logging.RedactString(fmt.Sprint(p)), "stack", string(debug.Stack()))
			result, err = nil, fmt.Errorf("panic in %s", c.method)
		}
	}()
	value, err := m.call(c.ctx, s, c)
	if err != nil {
		return nil, err
	}
	if direct, ok := value.(interface{ AppendJSON([]byte) []byte }); ok {
		return direct.AppendJSON(nil), nil
	}
	return encodeJSON(value)
}

// answer ends the call: with a response, or silently when it was a notification
// or has been answered already.
func (s *session) answer(conn *jsonrpc2.Conn, c *call, result json.RawMessage, err error) {
	if !c.claim() {
		return
	}
	defer s.calls.remove(c)
	defer c.cancel(nil)
	if c.id == nil {
		if err != nil {
			s.log.Debug("notification failed", "method", c.method, "error", err)
		}
		return
	}
	resp := &jsonrpc2.Response{ID: jsonrpc2.ID{Num: c.seq}, Result: &result}
	if err != nil {
		resp.Result, resp.Error = nil, s.answerError(c, err)
	}
	if err := s.inTurn(func() error { return conn.SendResponse(s.broken, resp) }); err != nil {
		s.log.Debug("answer not sent", "method", c.method, "error", err)
	}
}

// cancelRequest cancels the request that c names. One that is not open is
// ignored; params that cannot be read are told by the method itself.
func (s *session) cancelRequest(c *call) {
	var p CancelParams
	if decodeParams(c, &p) != nil {
		return
	}
	for _, open := range s.calls.withID(bytes.TrimSpace(p.ID)) {
		open.cancel(errHostCancelled)
	}
}

// Close implements jsonrpc2.ObjectStream. The streams are the caller's to close.
func (s *session) Close() error { return nil }
