package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"codex-rota/plugin"
)

// What the service wants to see of an answer (DESIGN 3).
const (
	errorBody64K = 64 << 10
	undecided    = 1 << 20
)

// attempt sends the call once and reads of the answer until the service knows
// what to do with it. The answer is nil when none came.
func (c *call) attempt(ctx context.Context, p *plugin.Prepared, number int) (*answer, *plugin.Verdict, error) {
	sent := time.Now()
	params := plugin.ResponseParams{Call: c.id, Attempt: &number}
	judge := func(bytes []byte) (*plugin.Verdict, error) {
		return c.f.Service.Response(ctx, params, bytes)
	}
	a, err := c.send(ctx, p)
	if err == nil {
		params.Status, params.Headers, params.ElapsedMs = a.status, a.headers, sinceMs(sent)
		var v *plugin.Verdict
		if a.ok() {
			v, err = a.judgeStream(judge, &params)
		} else {
			v, err = a.judgeError(judge)
		}
		if err == nil {
			return a, v, nil
		}
		a.close()
	}
	var known *plugin.Error
	if ctx.Err() != nil || errors.As(err, &known) {
		return nil, nil, err
	}
	kind := kindOf(err)
	c.f.Log.Debug("an attempt broke off", "call", c.id.String(), "attempt", number, "kind", kind, "reason", err)
	v, err := c.f.Service.Response(ctx, plugin.ResponseParams{Call: c.id, Attempt: &number, ElapsedMs: sinceMs(sent),
		TransportError: &plugin.TransportError{Kind: kind, Message: err.Error()}}, nil)
	if err == nil && v.Verdict != plugin.VerdictRetry && v.Verdict != plugin.VerdictReply {
		err = fmt.Errorf("no answer came, and the verdict is %s", v.Verdict)
	}
	return nil, v, err
}

// send sends the prepared request and waits for the head of its answer, for as
// long as the service allows.
func (c *call) send(parent context.Context, p *plugin.Prepared) (*answer, error) {
	ctx, stop := context.WithCancelCause(parent)
	a := &answer{stop: stop, idle: milliseconds(p.Timeouts.IdleMs)}
	request, dropEncoding, err := c.body.outgoing(ctx, c.r.Method, p)
	if err != nil {
		stop(nil)
		return nil, err
	}
	request.Header = make(http.Header, len(p.Headers)+1)
	for _, h := range p.Headers {
		if !dropEncoding || http.CanonicalHeaderKey(h[0]) != "Content-Encoding" {
			request.Header.Add(h[0], h[1])
		}
	}
	if _, named := request.Header["User-Agent"]; !named {
		request.Header["User-Agent"] = []string{""} // or net/http would say its own name
	}
	a.late = time.AfterFunc(milliseconds(p.Timeouts.HeadersMs), func() { stop(errSilent) })
	response, err := c.f.HTTP.RoundTrip(request) // not a Client: a redirect is not followed
	if err != nil {
		a.late.Stop()
		stop(nil)
		return nil, cause(ctx, err)
	}
	if response.StatusCode < http.StatusOK { // a 101: nobody asked for another protocol
		a.late.Stop()
		stop(nil)
		return nil, errors.Join(fmt.Errorf("the backend answered %s", response.Status), response.Body.Close())
	}
	a.take(ctx, response)
	if a.ok() {
		a.late.Stop() // of a stream the service says how long it is looked at
		a.silent = a.late
	}
	return a, nil
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// judgeStream shows the service chunk by chunk, until it is clear what the stream
// is.
func (a *answer) judgeStream(judge func([]byte) (*plugin.Verdict, error), params *plugin.ResponseParams) (*plugin.Verdict, error) {
	for {
		params.Offset = a.size
		chunk, err := a.hold()
		if err != nil {
			return nil, err
		}
		v, err := judge(chunk)
		if err != nil || v.Verdict != plugin.VerdictMore {
			return v, err
		}
		if a.over || a.size >= undecided {
			return v, nil // delivered as it is
		}
	}
}

// judgeError shows the service the beginning of an error's body, or as much as
// came of it in time.
func (a *answer) judgeError(judge func([]byte) (*plugin.Verdict, error)) (*plugin.Verdict, error) {
	defer a.late.Stop()
	for a.size < errorBody64K && !a.over {
		if _, err := a.hold(); err != nil {
			a.over = true // what came says enough
		}
	}
	return judge(a.held[:min(len(a.held), errorBody64K)])
}
