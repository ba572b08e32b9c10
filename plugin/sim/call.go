package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind says which endpoint a call went to.
type Kind string

const (
	KindResponses  Kind = "responses"   // POST codex/responses: a model call
	KindCompact    Kind = "compact"     // POST codex/responses/compact
	KindUpgrade    Kind = "upgrade"     // a WebSocket for model calls: answered 426
	KindModels     Kind = "models"      // GET codex/models
	KindUsage      Kind = "usage"       // GET wham/usage
	KindAuthorize  Kind = "authorize"   // GET oauth/authorize
	KindExchange   Kind = "exchange"    // POST oauth/token with a code
	KindRefresh    Kind = "refresh"     // POST oauth/token with a refresh token
	KindDeviceCode Kind = "device-code" // POST deviceauth/usercode
	KindDevicePoll Kind = "device-poll" // POST deviceauth/token
	KindDevicePage Kind = "device-page" // codex/device, where the person types the code
	KindRelease    Kind = "release"     // GET releases/latest
	KindRaw        Kind = "raw"         // a file of the repository
	KindHead       Kind = "head"        // HEAD of an origin: is it there, and what time is it
	KindOther      Kind = "other"       // anything else: answered 404
)

// Call is one request that the simulation got, and what became of it.
type Call struct {
	ID      int         `json:"id"` // 1 for the first since Start or Reset
	Kind    Kind        `json:"kind"`
	Time    time.Time   `json:"time"` // of arrival
	Method  string      `json:"method"`
	Path    string      `json:"path"` // with the query
	Headers http.Header `json:"headers"`
	Body    string      `json:"body,omitempty"`    // without its Content-Encoding
	Seat    string      `json:"seat,omitempty"`    // name of the seat whose token came, good or not
	Model   string      `json:"model,omitempty"`   // of a model call
	Status  int         `json:"status"`            // 0: no answer yet, or none at all
	Fault   string      `json:"fault,omitempty"`   // the fault that struck it
	Refused string      `json:"refused,omitempty"` // why a check refused it
	Notes   []string    `json:"notes,omitempty"`   // what was not refused, but should not have been sent
	Held    bool        `json:"held,omitempty"`    // it waits, or waited, for Release
	Cached  int         `json:"cached,omitempty"`  // tokens of a model call that the prompt cache held
	End     End         `json:"end,omitempty"`     // "" while it is being answered
}

// End says how a call ended.
type End string

const (
	EndAnswered End = "answered"    // whole
	EndCut      End = "cut"         // by a fault
	EndGone     End = "client-gone" // the caller hung up, or Close came first
)

// Calls gives the calls so far in order of arrival, of these kinds or of all.
func (s *Server) Calls(kinds ...Kind) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot(kinds...)
}

func (s *Server) snapshot(kinds ...Kind) []Call {
	out := []Call{}
	for _, c := range s.calls {
		if len(kinds) == 0 || slices.Contains(kinds, c.Kind) {
			out = append(out, c.clone())
		}
	}
	return out
}

func (c *Call) clone() Call {
	out := *c
	out.Notes = slices.Clone(c.Notes)
	return out
}

// RefreshCount is how often a refresh token of this seat was presented, whatever
// the answer was.
func (s *Server) RefreshCount(seat *Seat) int {
	n := 0
	for _, c := range s.Calls(KindRefresh) {
		if c.Seat == seat.Name {
			n++
		}
	}
	return n
}

// Wait waits until the calls so far satisfy cond, and returns them.
func (s *Server) Wait(ctx context.Context, cond func([]Call) bool) ([]Call, error) {
	for {
		s.mu.Lock()
		calls, changed := s.snapshot(), s.changed
		s.mu.Unlock()
		if cond(calls) {
			return calls, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return calls, ctx.Err()
		}
	}
}

// WaitCall waits until n calls of this kind have arrived and returns the n-th.
func (s *Server) WaitCall(ctx context.Context, kind Kind, n int) (Call, error) {
	var found Call
	_, err := s.Wait(ctx, func(calls []Call) bool {
		seen := 0
		for _, c := range calls {
			if c.Kind == kind {
				if seen++; seen == n {
					found = c
					return true
				}
			}
		}
		return false
	})
	return found, err
}

// exchange is one call being answered.
type exchange struct {
	s       *Server
	r       *http.Request
	body    []byte
	encoded *refusal      // why the body's encoding was not undone
	call    *Call         // guarded by s.mu
	seat    *Seat         // nil when no token of a seat came
	request *modelRequest // of a model call that passed the checks
}

// answer is what to send back. A handler makes one, a fault may change it.
type answer struct {
	status int
	header map[string]string
	body   string
	events []event         // a stream in place of body
	step   <-chan struct{} // not nil: one receive before each delta
	cut    bool            // after events the connection ends where more should come
	reset  bool            // no answer: the connection is reset
}

// with adds a header.
func (a answer) with(name, value string) answer {
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header[name] = value
	return a
}

// ownKinds are requests that codex-rota makes by itself: they carry its name only
// (FACTS-upstream 3).
var ownKinds = []Kind{KindRefresh, KindExchange, KindDeviceCode, KindDevicePoll, KindRelease, KindRaw, KindHead}

// maxBody is more than the largest message of DESIGN 3.
const maxBody = 128 << 20

// ServeHTTP records a request, judges it as the host it came to, and answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.busy.Add(1)
	defer s.busy.Done()
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	x := &exchange{s: s, r: r}
	x.body, x.encoded = decodeBody(r.Header.Get("Content-Encoding"), body)
	h, _ := r.Context().Value(hostKey{}).(host)
	kind, handle := x.route(h)
	x.arrive(kind)
	if err != nil {
		x.update(func(c *Call) { c.Refused, c.End = fmt.Sprintf("the body could not be read: %v", err), EndGone })
		return
	}
	if s.opts.OnCall != nil {
		s.opts.OnCall(x.snapshot())
	}
	a := handle(x)
	end := x.send(w, a)
	x.update(func(c *Call) { c.End = end })
	if s.opts.Log != nil {
		c := x.snapshot()
		s.opts.Log(strings.Join(strings.Fields(fmt.Sprintf("%s %s %d %s %s %s", c.Kind, c.Seat, c.Status, c.Fault, c.Refused, strings.Join(c.Notes, "; "))), " "))
	}
	if end == EndCut && !a.reset { // a reset connection is gone already
		panic(http.ErrAbortHandler) // the one way to end a chunked body short
	}
}

// route finds the handler for a request to this host.
func (x *exchange) route(h host) (Kind, func(*exchange) answer) {
	switch path := x.r.URL.Path; {
	case h == hostBackend && strings.EqualFold(x.r.Header.Get("Upgrade"), "websocket"):
		return KindUpgrade, (*exchange).upgrade
	case h == hostBackend && path == "/backend-api/codex/responses/compact":
		return KindCompact, (*exchange).compact
	case h == hostBackend && path == "/backend-api/codex/responses":
		return KindResponses, (*exchange).responses
	case h == hostBackend && path == "/backend-api/codex/models":
		return KindModels, (*exchange).models
	case h == hostBackend && path == "/backend-api/wham/usage":
		return KindUsage, (*exchange).usage
	case h == hostIssuer && path == "/oauth/authorize":
		return KindAuthorize, (*exchange).authorize
	case h == hostIssuer && path == "/oauth/token":
		return x.grant()
	case h == hostIssuer && path == "/api/accounts/deviceauth/usercode":
		return KindDeviceCode, (*exchange).deviceCode
	case h == hostIssuer && path == "/api/accounts/deviceauth/token":
		return KindDevicePoll, (*exchange).devicePoll
	case h == hostIssuer && path == "/codex/device":
		return KindDevicePage, (*exchange).devicePage
	case h == hostGitHubAPI && path == "/repos/openai/codex/releases/latest":
		return KindRelease, (*exchange).latestRelease
	case h == hostGitHubRaw && strings.HasPrefix(path, "/openai/codex/"):
		return KindRaw, (*exchange).rawFile
	case x.r.Method == http.MethodHead && path == "/" && bearer(x.r.Header) == "":
		return KindHead, func(*exchange) answer { return answer{status: 403} } // as a gateway answers who is no browser
	}
	return KindOther, func(x *exchange) answer {
		why := "no such endpoint"
		if x.seat != nil {
			why = "a token was sent to an address that is no endpoint"
		}
		return x.refuse(why, detail(404, "Not Found"))
	}
}

// arrive records the call and whose token it carries.
func (x *exchange) arrive(kind Kind) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	path := x.r.URL.RequestURI()
	x.call = &Call{ID: len(s.calls) + 1, Kind: kind, Time: s.opts.Now(), Method: x.r.Method, Path: path, Headers: x.r.Header.Clone()}
	if !s.opts.DropBodies {
		x.call.Body = string(x.body)
	}
	if t := s.access[bearer(x.r.Header)]; t != nil {
		x.seat = t.seat
	} else if kind == KindRefresh {
		if t := s.refresh[x.form().Get("refresh_token")]; t != nil {
			x.seat = t.grant.seat
		}
	}
	if x.seat != nil {
		x.call.Seat = x.seat.Name
	}
	if agent := x.r.UserAgent(); slices.Contains(ownKinds, kind) && agent != "codex-rota" {
		x.call.Notes = append(x.call.Notes, fmt.Sprintf("the user agent is %q, want codex-rota", agent))
	}
	s.calls = append(s.calls, x.call)
	s.notify()
}

func (x *exchange) update(f func(*Call)) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	f(x.call)
	x.s.notify()
}

func (x *exchange) snapshot() Call {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return x.call.clone()
}

func (x *exchange) note(format string, args ...any) {
	x.update(func(c *Call) { c.Notes = append(c.Notes, fmt.Sprintf(format, args...)) })
}

// refuse records why a check failed; the caller may be told less.
func (x *exchange) refuse(why string, a answer) answer {
	x.update(func(c *Call) { c.Refused = why })
	return a
}

// hold waits for Release and reports whether there is still someone to answer.
func (x *exchange) hold() bool {
	x.s.mu.Lock()
	gate := x.s.gate
	x.s.mu.Unlock()
	x.update(func(c *Call) { c.Held = true })
	select {
	case <-gate:
		return true
	case <-x.r.Context().Done():
		return false
	}
}

// send writes the answer. A client that went away is no error here: the call's
// End tells it.
func (x *exchange) send(w http.ResponseWriter, a answer) End {
	if x.r.Context().Err() != nil {
		return EndGone
	}
	if a.reset {
		return x.resetConn(w)
	}
	w.Header().Set("Content-Type", "application/json")
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.Header().Set("Date", x.s.opts.Now().UTC().Format(http.TimeFormat))
	x.update(func(c *Call) { c.Status = a.status })
	w.WriteHeader(a.status)
	if a.events != nil {
		return x.stream(w, a)
	}
	if _, err := io.WriteString(w, a.body); err != nil {
		return EndGone
	}
	return EndAnswered
}

// resetConn drops the connection so that the caller sees a reset, not an end.
func (x *exchange) resetConn(w http.ResponseWriter) End {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return EndCut
	}
	x.update(func(c *Call) { c.End = EndCut }) // before the caller can see it
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		err = tcp.SetLinger(0)
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		x.note("the connection could not be reset: %v", err)
	}
	return EndCut
}
