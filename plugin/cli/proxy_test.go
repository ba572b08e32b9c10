package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"codex-rota/plugin/proxy"
	"codex-rota/plugin/sim"
)

// frontEnd is a pool whose loopback front end was started as Codex starts it.
type frontEnd struct {
	*rig
	key  string
	base string // http://127.0.0.1:PORT
}

func newFrontEnd(t *testing.T, seats ...sim.Seat) *frontEnd {
	t.Helper()
	f := &frontEnd{rig: newRig(t, seats...)}
	t.Cleanup(func() { f.endFrontEnd() })
	f.start()
	return f
}

// start runs the token command and learns where the front end is.
func (f *frontEnd) start() {
	f.t.Helper()
	out, stderr, code := f.exit("token", "--front-end")
	if code != 0 || stderr != "" || len(strings.Fields(out)) != 1 {
		f.t.Fatalf("token --front-end: exit %d, stdout %q, stderr %q", code, out, stderr)
	}
	f.key = strings.TrimSpace(out)
	f.base = "http://127.0.0.1:" + strconv.Itoa(f.port())
}

// endFrontEnd leaves no process behind.
func (r *rig) endFrontEnd() {
	r.t.Helper()
	a := *r.app
	a.pinned = r.root()
	// The test's own context has ended when this runs as a cleanup.
	if err := a.stopFrontEnd(context.WithoutCancel(r.t.Context())); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) port() int {
	r.t.Helper()
	text, err := os.ReadFile(r.file(proxy.PortFile))
	if err != nil {
		r.t.Fatal(err)
	}
	return decode[struct{ Port int }](r.t, string(text)).Port
}

// codexBody is a body as the Codex CLI sends it through a custom provider:
// no instructions, ids on items.
func codexBody(model, text string) []byte {
	b, err := json.Marshal(map[string]any{
		"model": model, "store": false, "stream": true, "include": []string{"reasoning.encrypted_content"},
		"input": []any{
			map[string]any{"type": "message", "role": "developer", "id": "msg_1", "content": []any{map[string]any{"type": "input_text", "text": "You are a test."}}},
			map[string]any{"type": "message", "role": "user", "id": "msg_2", "content": []any{map[string]any{"type": "input_text", "text": text}}},
		},
	})
	if err != nil {
		panic(err) // a literal
	}
	return b
}

// request is a model call of Codex's in a thread.
func (f *frontEnd) request(thread string, body []byte) *http.Request {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.base+proxy.BasePath+"/responses", bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + f.key, "Content-Type": "application/json", "Accept": "text/event-stream",
		"Originator": "codex_exec", "User-Agent": "codex_exec/0.169.0", "Version": "0.169.0", "Session-Id": "session-1", "Thread-Id": thread} {
		r.Header.Set(name, value)
	}
	return r
}

// send makes a request and reads the whole answer.
func (f *frontEnd) send(r *http.Request) (status int, body string, header http.Header) {
	f.t.Helper()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return response.StatusCode, string(b), response.Header
}

func (f *frontEnd) ask(thread string) (status int, body string) {
	f.t.Helper()
	status, body, _ = f.send(f.request(thread, codexBody("gpt-5.5", "hello")))
	return status, body
}

// seatsAsked are the seats of the model calls, in order.
func (r *rig) seatsAsked() []string {
	var seats []string
	for _, c := range r.sim.Calls(sim.KindResponses) {
		seats = append(seats, c.Seat)
	}
	return seats
}

func TestFrontEndFailsOver(t *testing.T) {
	for _, test := range []struct {
		name   string
		fault  string
		seats  []string // asked for the first call
		second string   // seat of the thread's next call
		states map[string]string
	}{
		{"weekly limit", "weekly-limit", []string{"a", "b"}, "b", map[string]string{"a": "limited", "b": "ready"}},
		{"5-hour limit", "five-hour-limit", []string{"a", "b"}, "b", map[string]string{"a": "limited", "b": "ready"}},
		{"limit told with a 404", "limit-404", []string{"a", "b"}, "b", map[string]string{"a": "limited", "b": "ready"}},
		{"limit told in the stream", "limit-in-stream", []string{"a", "b"}, "b", map[string]string{"a": "limited", "b": "ready"}},
		{"401", "token-expired", []string{"a", "a"}, "a", map[string]string{"a": "ready", "b": "ready"}},
		{"connection reset", "reset-connection", []string{"a", "a"}, "a", map[string]string{"a": "ready", "b": "ready"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFrontEnd(t, sim.Seat{Name: "a"}, sim.Seat{Name: "b"})
			f.fault(test.fault, times(1))
			if status, body := f.ask("t"); status != 200 || streamText([]byte(body)) == "" {
				t.Fatalf("status %d: %s", status, body)
			}
			if got := f.seatsAsked(); !slices.Equal(got, test.seats) {
				t.Errorf("asked %v, want %v", got, test.seats)
			}
			if status, body := f.ask("t"); status != 200 {
				t.Fatalf("status %d: %s", status, body)
			}
			if got := f.seatsAsked(); got[len(got)-1] != test.second {
				t.Errorf("the thread went on with %s, want %s", got[len(got)-1], test.second)
			}
			if got := f.states(); fmt.Sprint(got) != fmt.Sprint(test.states) {
				t.Errorf("states %v, want %v", got, test.states)
			}
			if n := len(f.sim.Calls(sim.KindRefresh)); n != map[bool]int{true: 1}[test.fault == "token-expired"] {
				t.Errorf("%d refreshes", n)
			}
		})
	}
}

func TestFrontEndAllLimited(t *testing.T) {
	f := newFrontEnd(t, sim.Seat{Name: "a"}, sim.Seat{Name: "b"})
	f.fault("weekly-limit", onSeat("a"), times(1))
	f.fault("five-hour-limit", onSeat("b"), times(1))
	for range 2 {
		status, body := f.ask("t")
		type limit struct {
			Error struct {
				Type     string
				Message  string
				ResetsAt int64 `json:"resets_at"`
			}
		}
		e := decode[limit](t, body).Error
		if status != 429 || e.Type != "usage_limit_reached" {
			t.Fatalf("status %d: %s", status, body)
		}
		if in := time.Until(time.Unix(e.ResetsAt, 0)); in < time.Minute || in > 5*time.Hour+time.Minute {
			t.Errorf("resets in %s, which is not b's 5-hour window", in)
		}
	}
	if got := f.seatsAsked(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("asked %v: a blocked account gets no request", got)
	}
}

// TestFrontEndGuardsItsDoor: who is not Codex with the key gets nowhere.
func TestFrontEndGuardsItsDoor(t *testing.T) {
	f := newFrontEnd(t, sim.Seat{Name: "a"})
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		status int
		says   string
	}{
		{"no key", func(r *http.Request) { r.Header.Del("Authorization") }, 400, "codex-rota doctor"},
		{"an empty key", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 400, "codex-rota doctor"},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Basic "+f.key) }, 400, "codex-rota doctor"},
		{"a wrong key", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x"+f.key) }, 401, "key"},
		{"half the key", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+f.key[:32]) }, 401, "key"},
		{"a name that resolves here", func(r *http.Request) { r.Host = "evil.example:" + strconv.Itoa(f.port()) }, 400, "loopback"},
		{"localhost", func(r *http.Request) { r.Host = "localhost:" + strconv.Itoa(f.port()) }, 400, "loopback"},
		{"a foreign Origin", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 400, "web pages"},
		{"a null Origin", func(r *http.Request) { r.Header.Set("Origin", "null") }, 400, "web pages"},
		{"a WebSocket", func(r *http.Request) {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
		}, 426, "plain HTTP"},
		{"a question about everything", func(r *http.Request) {
			r.Method, r.URL.Opaque = http.MethodOptions, "*"
			r.Header.Del("Authorization")
		}, 400, "codex-rota doctor"},
		{"a wrong key, in the scheme's small letters", func(r *http.Request) { r.Header.Set("Authorization", "bearer x"+f.key) }, 401, "key"},
		{"another folder", func(r *http.Request) { r.URL.Path = "/backend-api/wham/usage" }, 404, "nothing"},
		{"out of the folder", func(r *http.Request) { r.URL.Opaque = "//" + r.Host + proxy.BasePath + "/../wham/usage" }, 404, "nothing"},
		{"the door without a challenge", func(r *http.Request) { r.URL.Path = proxy.DoorPath }, 400, "door"},
		{"an order to end without proof", func(r *http.Request) { r.URL.Path, r.URL.RawQuery = proxy.DoorPath, "stop=1&mac=00" }, 400, "door"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := f.request("t", codexBody("gpt-5.5", "hello"))
			test.change(r)
			status, body, _ := f.send(r)
			if status != test.status || !strings.Contains(body, test.says) {
				t.Errorf("status %d: %s", status, body)
			}
		})
	}
	if calls := f.sim.Calls(); len(calls) > 0 {
		t.Errorf("%d requests went out: %v", len(calls), calls[0].Path)
	}
	if status, body := f.ask("t"); status != 200 {
		t.Errorf("and then Codex itself: status %d: %s", status, body)
	}
}

// TestFrontEndRefusesUnread: the answer comes while nothing of the body has.
func TestFrontEndRefusesUnread(t *testing.T) {
	f := newFrontEnd(t, sim.Seat{Name: "a"})
	never, end := io.Pipe()
	defer end.Close()
	r := f.request("t", nil)
	r.Body, r.ContentLength = never, 1<<20
	r.Header.Del("Authorization")
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 400 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestFrontEndPassesOtherPaths(t *testing.T) {
	f := newFrontEnd(t, sim.Seat{Name: "a"})
	r := f.request("t", nil)
	r.Method, r.URL.Path, r.URL.RawQuery = http.MethodGet, proxy.BasePath+"/models", "client_version=0.169.0"
	r.Header.Set("Accept", "application/json")
	status, body, header := f.send(r)
	if status != 200 || !strings.Contains(body, "gpt-5.5") || header.Get("Content-Type") == "" {
		t.Fatalf("status %d: %.200s", status, body)
	}
	calls := f.sim.Calls()
	if len(calls) != 1 || !strings.HasSuffix(calls[0].Path, "/codex/models?client_version=0.169.0") || calls[0].Seat != "a" ||
		calls[0].Headers.Get("Accept") != "application/json" || calls[0].Headers.Get("User-Agent") != "codex_exec/0.169.0" {
		t.Errorf("%+v", calls)
	}
	if out := f.must("usage", "--json"); strings.Contains(out, `"calls": 1`) {
		t.Errorf("a question that costs no tokens is in the ledger: %s", out)
	}
}

// TestFrontEndReadsEncodedBodies: what Codex packed goes out as it came; only a
// body that must be changed is unpacked.
func TestFrontEndReadsEncodedBodies(t *testing.T) {
	pack := map[string]func([]byte) []byte{
		"gzip": func(b []byte) []byte {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			w.Write(b)
			w.Close()
			return out.Bytes()
		},
		"zstd": func(b []byte) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			return w.EncodeAll(b, nil)
		},
	}
	for name, packed := range pack {
		t.Run(name, func(t *testing.T) {
			f := newFrontEnd(t, sim.Seat{Name: "a"}, sim.Seat{Name: "b"})
			f.writeSettings(`{"accountsForModel": {"gpt-5.5": ["b"]}}`)
			f.start() // with the new settings
			plain := codexBody("gpt-5.5", "hello")
			r := f.request("t", packed(plain))
			r.Header.Set("Content-Encoding", name)
			if status, body, _ := f.send(r); status != 200 {
				t.Fatalf("status %d: %s", status, body)
			}
			calls := f.sim.Calls(sim.KindResponses)
			if len(calls) != 1 || calls[0].Seat != "b" || calls[0].Headers.Get("Content-Encoding") != name {
				t.Errorf("%d calls, to %s, encoded %q: the model in the body chooses the account", len(calls), calls[0].Seat, calls[0].Headers.Get("Content-Encoding"))
			}
			bomb := f.request("t", packed(make([]byte, 65<<20)))
			bomb.Header.Set("Content-Encoding", name)
			if status, body, _ := f.send(bomb); status != 400 || !strings.Contains(body, "64 MiB") {
				t.Errorf("65 MiB in a small packet: status %d: %s", status, body)
			}
		})
	}
}

// TestFrontEndIsOne: many token commands at once start one front end and print
// its key.
func TestFrontEndIsOne(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "a"})
	t.Cleanup(r.endFrontEnd)
	keys := make([]string, 12)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			out, stderr, code := r.exit("token", "--front-end")
			if keys[i] = out; code != 0 {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
	all.Wait()
	if slices.Sort(keys); keys[0] != keys[len(keys)-1] || len(strings.TrimSpace(keys[0])) != 64 {
		t.Errorf("keys %q", slices.Compact(keys))
	}
	log, err := os.ReadFile(filepath.Join(r.root(), "logs", "codex-plugin", "plugin.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "the front end answers"); n != 1 {
		t.Errorf("%d front ends started:\n%s", n, log)
	}
	if strings.Contains(string(log), strings.TrimSpace(keys[0])) {
		t.Error("the key is in the log")
	}
}

// TestFrontEndMeetsAStranger: whoever sits on its port is never shown the key, and
// the front end moves; a Codex that still knows the old port is told.
func TestFrontEndMeetsAStranger(t *testing.T) {
	f := newFrontEnd(t, sim.Seat{Name: "a"})
	f.endFrontEnd()
	old := f.port()
	var seen strings.Builder
	listener, err := proxy.Listen(old)
	if err != nil {
		t.Fatal(err)
	}
	stranger := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = r.Write(&seen) })}
	go func() { _ = stranger.Serve(listener) }()
	defer stranger.Close()

	out, stderr, code := f.exit("doctor", "--json")
	if code == 0 && !strings.Contains(out, "another program listens") {
		t.Errorf("the doctor sees nothing: %s%s", out, stderr)
	}
	out, stderr, code = f.exit("token", "--front-end", "--port", strconv.Itoa(old))
	if code == 0 || out != "" || !strings.Contains(stderr, "another program listens on port "+strconv.Itoa(old)) {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out, stderr)
	}
	if f.port() == old {
		t.Fatal("the front end stays where the stranger is")
	}
	out, stderr, code = f.exit("token", "--front-end", "--port", strconv.Itoa(old))
	if code == 0 || out != "" || !strings.Contains(stderr, "start Codex again") {
		t.Errorf("a Codex of before: exit %d, stdout %q, stderr %q", code, out, stderr)
	}
	f.start()
	if status, body := f.ask("t"); status != 200 {
		t.Errorf("status %d: %s", status, body)
	}
	if strings.Contains(seen.String(), f.key) {
		t.Error("the stranger was shown the key")
	}
	log, err := os.ReadFile(filepath.Join(f.root(), "logs", "codex-plugin", "plugin.log"))
	if err != nil || !strings.Contains(string(log), "another program listens") {
		t.Errorf("the log does not say it: %s %v", log, err)
	}
}

// TestFrontEndSaysWhyItIsNotThere: the reason is on stderr where it can be known,
// also when no log could be written.
func TestFrontEndSaysWhyItIsNotThere(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(r *rig)
		says  string
	}{
		{"no log", func(r *rig) { r.do(os.MkdirAll(r.file("logs/codex-plugin/plugin.log"), 0o700)) }, "plugin.log: is a directory"},
		{"no key", func(r *rig) { r.do(os.Mkdir(r.file(proxy.NonceFile), 0o700)) }, proxy.NonceFile},
		{"one that hangs", func(r *rig) { _ = muteFrontEnd(r) }, "the front end runs, and does not answer within 4s. If that goes on, end the process: codex-rota proxy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sim.Seat{Name: "a"})
			test.spoil(r)
			out, stderr, code := r.exit("token", "--front-end")
			if code == 0 || out != "" || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d, stdout %q, stderr %q; want %q", code, out, stderr, test.says)
			}
		})
	}
}

// TestFrontEndPassesNoRedirectOn: Codex follows one, and would take the
// conversation to wherever it points.
func TestFrontEndPassesNoRedirectOn(t *testing.T) {
	f := newFrontEnd(t, sim.Seat{Name: "a"})
	f.fault("redirect", times(1))
	status, body, header := f.send(f.request("t", codexBody("gpt-5.5", "hello")))
	if status != 307 || header.Get("Location") != "" {
		t.Errorf("status %d to %q: %s", status, header.Get("Location"), body)
	}
	if n := len(f.seatsAsked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
