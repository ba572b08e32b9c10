package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// clock is a time that moves only when a test says so.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a simulation and a client without any help of ours.
type rig struct {
	*sim.Server
	t      *testing.T
	clock  *clock
	client *http.Client
	ctx    context.Context
}

func start(t *testing.T, o sim.Options) *rig {
	t.Helper()
	c := newClock()
	if o.Now == nil {
		o.Now = c.Now
	}
	s, err := sim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	// A limit so that a broken hold fails the test; nothing depends on it.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return &rig{Server: s, t: t, clock: c, ctx: ctx, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// reply is an answer read to its end; err is how the reading ended.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r *rig) do(method, url, body string, headers ...string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.ctx, method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("User-Agent", "codex-rota")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(b), err}
}

const goodBody = `{"model":"gpt-5.5","instructions":"I","input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`

func modelHeaders(seat *sim.Seat) []string {
	return []string{
		"Authorization", "Bearer " + seat.Tokens().Access, "ChatGPT-Account-Id", seat.AccountID,
		"Accept", "text/event-stream", "Content-Type", "application/json", "Originator", "opencode",
	}
}

// model makes a model call; headers replace the good ones, "" takes one away.
func (r *rig) model(seat *sim.Seat, body string, headers ...string) reply {
	r.t.Helper()
	return r.do("POST", r.Backend()+"/codex/responses", body, append(modelHeaders(seat), headers...)...)
}

func (r *rig) last() sim.Call {
	calls := r.Calls()
	return calls[len(calls)-1]
}

// events reads the types of a stream's events and their data.
func (p reply) events() (types []string, data []string) {
	for line := range strings.Lines(strings.ReplaceAll(p.body, "\r\n", "\n")) {
		if t, ok := strings.CutPrefix(line, "event: "); ok {
			types = append(types, strings.TrimSpace(t))
		}
		if d, ok := strings.CutPrefix(line, "data: "); ok {
			data = append(data, strings.TrimSpace(d))
		}
	}
	return types, data
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestOriginsDiffer(t *testing.T) {
	r := start(t, sim.Options{})
	env := r.Env()
	for i, e := range env {
		if !strings.Contains(e, "=http://127.0.0.1:") {
			t.Errorf("%s is not on loopback", e)
		}
		if slices.ContainsFunc(env[:i], func(o string) bool { return origin(o) == origin(e) }) {
			t.Errorf("%s shares its origin with another host", e)
		}
	}
}

func origin(env string) string {
	_, url, _ := strings.Cut(env, "=")
	return strings.Join(strings.Split(url, "/")[:3], "/")
}

// TestHeadOfAnOrigin: whether it is there, and what time it is, is told without
// credentials only.
func TestHeadOfAnOrigin(t *testing.T) {
	r := start(t, sim.Options{})
	if got := r.do("HEAD", r.Issuer()+"/", "", "User-Agent", "codex-rota"); got.status != 403 || got.header.Get("Date") == "" {
		t.Errorf("%+v", got)
	}
	if c := r.last(); c.Kind != sim.KindHead || c.Refused != "" || len(c.Notes) > 0 {
		t.Errorf("%+v", c)
	}
	r.do("HEAD", r.Issuer()+"/", "", modelHeaders(r.AddSeat(sim.Seat{}))...)
	if c := r.last(); !strings.Contains(c.Refused, "token was sent") {
		t.Errorf("a token must show: %+v", c)
	}
}

func TestUnknownAddress(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	if got := r.do("GET", r.GitHubRaw()+"/elsewhere", "", modelHeaders(seat)...); got.status != 404 {
		t.Errorf("status %d", got.status)
	}
	if c := r.last(); c.Kind != sim.KindOther || !strings.Contains(c.Refused, "token was sent") {
		t.Errorf("a token at a wrong address must show: %+v", c)
	}
}

func TestDateFollowsTheClock(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.do("GET", r.Backend()+"/nothing", "")
	if want := r.clock.Now().UTC().Format(http.TimeFormat); got.header.Get("Date") != want {
		t.Errorf("Date %s, want %s", got.header.Get("Date"), want)
	}
}

func TestWaitGivesUpWithItsContext(t *testing.T) {
	r := start(t, sim.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.WaitCall(ctx, sim.KindResponses, 1); err != context.Canceled {
		t.Errorf("err = %v", err)
	}
}

func TestOnCallRunsBeforeTheAnswer(t *testing.T) {
	var seen []sim.Call
	r := start(t, sim.Options{OnCall: func(c sim.Call) { seen = append(seen, c) }})
	seat := r.AddSeat(sim.Seat{})
	r.model(seat, goodBody)
	if len(seen) != 1 || seen[0].Seat != "seat-1" || seen[0].Status != 0 || seen[0].Body != goodBody {
		t.Errorf("OnCall saw %+v", seen)
	}
}

func TestLogHasNoToken(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	r := start(t, sim.Options{Log: func(l string) { mu.Lock(); defer mu.Unlock(); lines = append(lines, l) }})
	seat := r.AddSeat(sim.Seat{})
	first := seat.Tokens()
	r.model(seat, goodBody)
	r.refresh(first.Refresh)
	r.refresh(first.Refresh)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	all := strings.Join(lines, "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "responses seat-1 200") {
		t.Errorf("lines: %s", all)
	}
	if strings.Contains(all, first.Refresh) || strings.Contains(all, first.Access) {
		t.Errorf("a token is in the log: %s", all)
	}
}

func TestDropBodies(t *testing.T) {
	r := start(t, sim.Options{DropBodies: true})
	if r.model(r.AddSeat(sim.Seat{}), goodBody); r.last().Body != "" || r.last().Model != "gpt-5.5" {
		t.Errorf("call: %+v", r.last())
	}
}

func TestResetForgetsCallsAndFaults(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	if err := r.AddFault(sim.Fault{Name: "error-500"}); err != nil {
		t.Fatal(err)
	}
	r.model(seat, goodBody)
	r.Reset()
	if n := len(r.Calls()); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	if got := r.model(seat, goodBody); got.status != 200 || r.last().ID != 1 {
		t.Errorf("status %d, call %d", got.status, r.last().ID)
	}
}

// TestCloseEndsEverything holds calls in every way there is; after Close none of
// them, and nothing that served them, is left.
func TestCloseEndsEverything(t *testing.T) {
	r := start(t, sim.Options{})
	never := make(chan struct{})
	r.SetReply(func(sim.Call) sim.Reply { return sim.Reply{Step: never} })
	var callers sync.WaitGroup
	for i, fault := range []string{"hang-headers", "slow-start", "", "reset-connection"} {
		seat := r.AddSeat(sim.Seat{})
		if fault != "" {
			if err := r.AddFault(sim.Fault{Name: fault, Seat: seat.Name}); err != nil {
				t.Fatal(err)
			}
		}
		callers.Go(func() { r.model(seat, goodBody) })
		if _, err := r.WaitCall(r.ctx, sim.KindResponses, i+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range r.Calls() {
		if c.End == "" {
			t.Errorf("call %d is still answered", c.ID)
		}
	}
	callers.Wait()
	if got := plainCall(r, r.Seats()[0]); got.err == nil {
		t.Errorf("still listening: %d", got.status)
	}
	for serving() != "" {
		if r.ctx.Err() != nil {
			t.Fatalf("still running after Close:\n%s", serving())
		}
		runtime.Gosched() // the last instructions of a goroutine that has told its end
	}
}

// serving gives the stack of a goroutine that still serves, "" when there is none.
func serving() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, g := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(g, "http.(*conn).serve") || strings.Contains(g, "http.(*Server).Serve(") {
			return g
		}
	}
	return ""
}

// TestCloseWaitsForHandlers keeps one busy past the end of its connection.
func TestCloseWaitsForHandlers(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	begun, block := make(chan struct{}), make(chan struct{})
	r.SetReply(func(sim.Call) sim.Reply {
		close(begun)
		<-block
		return sim.Reply{}
	})
	answered, closed := make(chan reply), make(chan error)
	go func() { answered <- r.model(seat, goodBody) }()
	<-begun
	go func() { closed <- r.Close() }()
	if got := <-answered; got.err == nil {
		t.Errorf("answered %d", got.status)
	}
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
		close(block)
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	if c := r.last(); c.End != sim.EndGone {
		t.Errorf("end %q", c.End)
	}
}
