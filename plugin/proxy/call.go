package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"codex-rota/plugin"
)

// call is one request of Codex's, from its body to the end of the answer.
type call struct {
	f     *front
	w     http.ResponseWriter
	wire  *http.ResponseController // of w
	r     *http.Request
	id    plugin.CallID
	body  body
	began time.Time
}

// relay makes the call: prepare, send, judge, and again while the service says
// so, then the answer (DESIGN 4).
func (f *front) relay(w http.ResponseWriter, r *http.Request) {
	c := &call{f: f, w: w, wire: http.NewResponseController(w), r: r, began: time.Now(), id: plugin.CallID(strconv.Quote("front-" + strconv.FormatUint(f.calls.Add(1), 10)))}
	var err error
	if c.body, err = f.readBody(w, r); err != nil {
		c.fail(err)
		return
	}
	ctx := r.Context()
	prepared, err := f.Service.Prepare(ctx, plugin.PrepareParams{Call: c.id, URL: upstreamURL(r), Method: r.Method,
		Headers: requestHeaders(r), Session: r.Header.Get("Thread-Id")}, c.body.plain)
	for attempt := 1; err == nil; attempt++ {
		if prepared.Pass {
			refuse(w, r, &notFound)
			return
		}
		var a *answer
		var v *plugin.Verdict
		if a, v, err = c.attempt(ctx, prepared, attempt); err != nil {
			break
		}
		switch v.Verdict {
		case plugin.VerdictRetry:
			a.close()
			prepared, err = v.Request, pause(ctx, time.Duration(*v.AfterMs)*time.Millisecond)
			continue
		case plugin.VerdictReply:
			a.close()
			c.done("failed", nil)
			c.refuse(v.Response)
		default:
			if v.Verdict == plugin.VerdictDeliver {
				c.body.release() // what is still undecided the service keeps until done
			}
			c.deliver(a, v) // never collapsed: Codex gets what it asked for
		}
		return
	}
	c.done("aborted", nil)
	c.fail(err)
}

// upstreamURL is the address that Codex would have asked: the service takes the
// default backend's for the one that is configured.
func upstreamURL(r *http.Request) string {
	uri := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		uri += "?" + r.URL.RawQuery
	}
	return plugin.DefaultBackend + strings.TrimPrefix(uri, "/backend-api")
}

// requestHeaders is what Codex sent, less what was between it and us: our key,
// and the encodings that it takes, because answers are read on their way.
func requestHeaders(r *http.Request) []plugin.Header {
	headers := make([]plugin.Header, 0, len(r.Header))
	for name, values := range r.Header {
		if name == "Authorization" || name == "Accept-Encoding" || name == "Expect" {
			continue
		}
		for _, value := range values {
			headers = append(headers, plugin.Header{name, value})
		}
	}
	return headers
}

// fail answers a call that never got an answer of its own. Anything but an error
// of the service's means that the client is gone.
func (c *call) fail(err error) {
	var known *plugin.Error
	switch {
	case c.r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // cuts the connection, which is cut already
	case errors.As(err, &known):
		response := known.Response
		if response == nil {
			response = c.f.Service.HostResponse(known)
		}
		c.refuse(response)
	case errors.Is(err, errTooLarge):
		refuse(c.w, c.r, &tooLarge)
	default:
		c.f.Log.Warn("a request was not read to its end", "reason", err)
		refuse(c.w, c.r, &refusal{http.StatusBadRequest, "the request's body did not come to its end"})
	}
}

// refuse tells Codex why the service has no answer.
func (c *call) refuse(response *plugin.HostResponse) {
	var b struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if response.Status != http.StatusBadRequest || json.Unmarshal([]byte(response.Body), &b) != nil || b.Error.Message == "" {
		c.reply(response)
		return
	}
	kind, body := shownBody(response.Status, b.Error.Message)
	c.reply(&plugin.HostResponse{Status: response.Status, Headers: []plugin.Header{{"Content-Type", kind}}, Body: string(body)})
}

// reply gives Codex an answer of ours.
func (c *call) reply(response *plugin.HostResponse) {
	for _, h := range response.Headers {
		c.w.Header().Add(h[0], h[1])
	}
	c.w.WriteHeader(response.Status)
	_, _ = c.w.Write([]byte(response.Body)) // a client that is gone needs no answer
}

// done ends the call for the service, which keeps nothing of the body after it.
func (c *call) done(end string, tail []byte) {
	defer c.body.release()
	ctx := context.WithoutCancel(c.r.Context()) // what was learned is kept when the client has gone
	c.f.Service.Done(ctx, plugin.DoneParams{Call: c.id, End: end, DurationMs: sinceMs(c.began)}, tail)
}

func sinceMs(t time.Time) float64 { return float64(time.Since(t)) / float64(time.Millisecond) }

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
