// Package rpc speaks JSON-RPC 2.0 with a host on a pair of streams (DESIGN 3): it
// frames messages, keeps calls apart, names errors by number, and hands each
// method to the plugin service. It decides nothing about accounts or requests,
// and it opens, closes and reads no stream but the two it is given.
package rpc

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/sourcegraph/jsonrpc2"
)

const (
	// drainTime is what calls in flight get once the host has closed its end.
	drainTime = 2 * time.Second
	// lastWords is what the answers of cancelled calls get to be written.
	lastWords = 500 * time.Millisecond
	// learnTime is how long a new call waits for what a call that ended before it
	// still has to teach.
	learnTime = time.Second
	// writeTime is how long a host may leave one answer unread. It is long,
	// because a host that was stopped for a while is no reason to end.
	writeTime = time.Minute
)

// Options is what Serve needs beside its streams.
type Options struct {
	Service Service
	// Log may be nil. Its writer redacts; nothing of a message's content but
	// method names and errors is given to it.
	Log hclog.Logger
}

// Serve answers a host until the host closes in, and returns nil then: calls in
// flight get 2 s to end, what is left of them is answered `cancelled`. It returns
// the reason when out cannot be written to, or was not read for a minute; when in
// fails; or when ctx ends, which cancels the calls at once.
//
// No message of the host ends it. Nothing needs to be said before the first
// request: without `initialize` the service treats the host as an unknown one.
//
// Serve does not close the service: who built it calls its Close next, which
// finishes a token exchange in flight. On an early return a goroutine may still
// be blocked in in or out; it ends with them or with the process. A process whose
// out is its stdout must ignore SIGPIPE, or the death of the host kills it in the
// middle of that exchange.
func Serve(ctx context.Context, in io.Reader, out io.Writer, opt Options) error {
	log := opt.Log
	if log == nil {
		log = hclog.NewNullLogger()
	}
	s := &session{
		service: opt.Service, log: log, methods: map[string]Method{},
		reader: newReader(in), out: out, calls: newCalls(), notices: newNotices(log), turn: make(chan struct{}, 1),
	}
	for _, m := range Methods() {
		s.methods[m.Name] = m
	}
	// Detached: when ctx ends, answers must still be written.
	detached := context.WithoutCancel(ctx)
	s.work, s.stop = context.WithCancelCause(detached)
	defer s.stop(errEnding)
	s.workers = newWorkers(s.work.Done())
	s.broken, s.breakOff = context.WithCancelCause(detached)
	defer s.breakOff(errEnding)
	s.writing = &watch{limit: writeTime, late: func() {
		s.breakOff(fmt.Errorf("the host has not read an answer for %s", writeTime))
	}}
	defer s.writing.stop()

	s.service.SetNotifier(s.notices.put)
	s.service.SetReclaimer(s.reader.buffers.put)
	conn := jsonrpc2.NewConn(detached, s, s, jsonrpc2.OnSend(s.sending),
		jsonrpc2.SetLogger(log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Warn})))
	defer conn.Close()
	go s.notices.pump(func(method string, params any) error {
		return s.inTurn(func() error { return conn.Notify(s.broken, method, params) })
	})

	var reason error
	select {
	case <-conn.DisconnectNotify(): // the reader has drained
		reason = s.readErr
	case <-s.broken.Done():
	case <-ctx.Done():
		s.endCalls()
		reason = context.Cause(ctx)
	}
	s.notices.end(s.broken)
	if err := context.Cause(s.broken); err != nil {
		return err
	}
	return reason
}
