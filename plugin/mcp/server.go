// Package mcp is the pool's face for Model Context Protocol clients, Codex first
// of all: four tools on a pair of streams, each the text of the host tool of that
// name (plugin.Service.RunTool). It decides nothing about accounts, and it opens
// and closes no stream.
//
// It speaks the revisions of the protocol that begin with `initialize`, 2024-11-05
// to 2025-11-25; a client of a later one probes with `server/discover`, is told
// that there is no such method, and falls back to them. It is written by hand
// because the official SDK makes the binary 1.6 MB larger, for four tools.
package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/plugin"
)

const (
	// drainTime is what calls in flight get once the client has closed its end.
	drainTime = 2 * time.Second
	// writeTime is how long a client may leave an answer unread.
	writeTime = time.Minute
	// maxCalls may run at once; beyond them nothing more is read.
	maxCalls = 64
)

// Tools runs a host's tool by name: *plugin.Service. An error is *plugin.Error.
type Tools interface {
	RunTool(context.Context, plugin.ToolParams) (*plugin.ToolResult, error)
}

// Options is what Serve needs beside its streams.
type Options struct {
	Tools   Tools
	Version string // of codex-rota
	// Log may be nil. Its writer redacts; no message's content is given to it.
	Log hclog.Logger
}

// Why a call's context ended.
var (
	errCancelled = errors.New("the client cancelled the call")
	errEnding    = errors.New("the call was ended because codex-rota is ending")
)

// session is one client's connection.
type session struct {
	tools   Tools
	table   []tool
	version string
	log     hclog.Logger
	out     *writer

	// work is the context of every call; stop ends it.
	work    context.Context
	stop    context.CancelCauseFunc
	running sync.WaitGroup
	room    chan struct{} // holds one for each call that runs

	mu   sync.Mutex
	open map[string]context.CancelCauseFunc // by the id as it was written

	revision string // agreed on; only the reading goroutine touches it
}

// Serve answers a client until the client closes in, and returns nil then: calls
// in flight get 2 s, what is left of them is cancelled and waited for. It returns
// the reason when out cannot be written to, or was not read for a minute; when in
// fails; or when ctx ends, which cancels the calls at once. No message of the
// client ends it.
//
// On an early return a goroutine may still be blocked in in or out; it ends with
// them or with the process. A process whose out is its stdout must ignore SIGPIPE.
func Serve(ctx context.Context, in io.Reader, out io.Writer, opt Options) error {
	log := opt.Log
	if log == nil {
		log = hclog.NewNullLogger()
	}
	// Detached: when ctx ends, answers must still be written.
	detached := context.WithoutCancel(ctx)
	s := &session{
		tools: opt.Tools, table: toolTable(), version: opt.Version, log: log, out: newWriter(detached, out),
		room: make(chan struct{}, maxCalls), open: map[string]context.CancelCauseFunc{},
	}
	defer s.out.breakOff(errEnding)
	s.work, s.stop = context.WithCancelCause(detached)
	defer s.stop(errEnding)

	ended := make(chan error, 1)
	go func() { ended <- s.read(newReader(in)) }()
	select {
	case err := <-ended:
		s.drain()
		return errors.Join(err, s.out.failure())
	case <-s.out.broken.Done():
		return s.out.failure()
	case <-ctx.Done():
		s.endCalls()
		s.wait()
		return context.Cause(ctx)
	}
}

// read takes message after message. Its error is what ended the stream but its end.
func (s *session) read(r *reader) error {
	for {
		line, err := r.next()
		switch {
		case err == nil:
			s.receive(line)
		case errors.Is(err, errTooLong):
			s.out.send(failed(nil, invalidRequest(err.Error())))
		case err == io.EOF:
			return nil
		default:
			return fmt.Errorf("reading from the client: %w", err)
		}
		if s.out.broken.Err() != nil || s.work.Err() != nil {
			return nil // told by who broke it
		}
	}
}

// drain lets the calls in flight end, then cancels what is left of them.
func (s *session) drain() {
	limit := time.AfterFunc(drainTime, s.endCalls)
	defer limit.Stop()
	s.wait()
}

// endCalls cancels what runs, and no call begins after it.
func (s *session) endCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop(errEnding)
}

// wait waits until no call runs any more: a tool heeds its context, except for a
// token exchange, which it finishes. A client that is gone is not waited for.
func (s *session) wait() {
	idle := make(chan struct{})
	go func() {
		s.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-s.out.broken.Done():
	}
}

// writer sends one message at a time.
type writer struct {
	out  io.Writer
	turn chan struct{} // held by the one message being written
	// broken ends when out failed or is stuck.
	broken   context.Context
	breakOff context.CancelCauseFunc
}

func newWriter(ctx context.Context, out io.Writer) *writer {
	w := &writer{out: out, turn: make(chan struct{}, 1)}
	w.broken, w.breakOff = context.WithCancelCause(ctx)
	return w
}

// send writes one message, or gives up when the client is gone.
func (w *writer) send(text []byte) {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-w.broken.Done():
		return
	}
	stuck := time.AfterFunc(writeTime, func() {
		w.breakOff(fmt.Errorf("the client has not read an answer for %s", writeTime))
	})
	defer stuck.Stop()
	if _, err := w.out.Write(append(text, '\n')); err != nil {
		w.breakOff(fmt.Errorf("writing to the client: %w", err))
	}
}

// failure is why nothing can be written any more, nil while it can.
func (w *writer) failure() error { return context.Cause(w.broken) }
