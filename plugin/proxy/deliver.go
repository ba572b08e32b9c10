package proxy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"codex-rota/plugin"
)

// writeTime is how long a client may take none of an answer's next bytes.
const writeTime = 5 * time.Minute

// connectionHeaders belong to the connection to the backend, not to its answer.
var connectionHeaders = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// deliver passes the answer on as it comes and untouched, and tells the service
// how it ended before the client can know it.
func (c *call) deliver(a *answer, v *plugin.Verdict) {
	defer a.close()
	for _, h := range a.headers {
		dropped := func(name string) bool { return strings.EqualFold(name, h[0]) }
		if !slices.ContainsFunc(connectionHeaders, dropped) && !slices.ContainsFunc(v.DropHeaders, dropped) {
			c.w.Header().Add(h[0], h[1])
		}
	}
	if c.w.Header().Get("Content-Type") == "" {
		c.w.Header()["Content-Type"] = nil // or net/http would guess one
	}
	c.w.WriteHeader(a.status)
	chunk, err := a.held, error(nil)
	for {
		if len(chunk) > 0 && !c.write(chunk) {
			c.done("aborted", a.space.tail.bytes())
			panic(http.ErrAbortHandler)
		}
		a.held = nil
		if chunk, err = a.read(); err != nil {
			break
		}
		if chunk == nil {
			c.done("completed", a.space.tail.bytes())
			return
		}
	}
	end := "failed"
	if c.r.Context().Err() != nil {
		end = "aborted"
	}
	c.done(end, a.space.tail.bytes())
	panic(http.ErrAbortHandler) // a stream that broke off must not look as if it had ended
}

// write passes bytes on at once; false when the client takes none.
func (c *call) write(chunk []byte) bool {
	_ = c.wire.SetWriteDeadline(time.Now().Add(writeTime)) // a net connection has deadlines
	if _, err := c.w.Write(chunk); err != nil {
		return false
	}
	return c.wire.Flush() == nil
}
