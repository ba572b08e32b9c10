//go:build !windows

package cli

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/plugin"
	"codex-rota/plugin/proxy"
	"codex-rota/plugin/sim"
)

// ownFrontEnd is a front end that the test itself started.
type ownFrontEnd struct {
	process *os.Process
	ended   chan error // tells how
}

// runFrontEnd is `codex-rota proxy FLAGS`, typed by hand. It ends with the test.
func (r *rig) runFrontEnd(env []string, flags ...string) ownFrontEnd {
	r.t.Helper()
	cmd := exec.Command(binary, append([]string{"proxy"}, flags...)...)
	cmd.Env = r.env([]string{"PATH=/usr/bin:/bin"}, env...)
	r.witness.watch(cmd)
	r.do(cmd.Start())
	own := ownFrontEnd{cmd.Process, make(chan error, 1)}
	go func() { own.ended <- cmd.Wait() }()
	r.t.Cleanup(r.endFrontEnd)
	r.until("the front end answers", func() bool {
		nonce, err := proxy.Place{Root: r.root()}.Nonce()
		if err != nil || nonce.IsZero() {
			return false
		}
		port, err := proxy.Place{Root: r.root()}.KnownPort()
		if err != nil || port == 0 {
			return false
		}
		proof, err := proxy.Visit{Port: port, Nonce: nonce}.Knock(r.t.Context())
		return err == nil && proof.PID == cmd.Process.Pid
	})
	return own
}

// mustEnd waits for its end, with exit code 0.
func (o ownFrontEnd) mustEnd(r *rig) {
	r.t.Helper()
	select {
	case err := <-o.ended:
		r.do(err)
	case <-time.After(hung):
		r.t.Fatal("the front end runs on")
	}
}

// held waits until the simulation holds a model call back.
func (r *rig) held() {
	r.t.Helper()
	r.arrived("a call is held", func(calls []sim.Call) bool {
		return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Kind == sim.KindResponses && c.Held })
	})
}

// TestFrontEndEndsGently: told to end, it takes nothing more and frees its place,
// while the answer in flight goes on to its end.
func TestFrontEndEndsGently(t *testing.T) {
	for name, end := range map[string]func(f *frontEnd, own ownFrontEnd){
		"SIGTERM": func(f *frontEnd, own ownFrontEnd) { f.do(own.process.Signal(syscall.SIGTERM)) },
		"Ctrl-C":  func(f *frontEnd, own ownFrontEnd) { f.do(own.process.Signal(syscall.SIGINT)) },
		"another with other settings": func(f *frontEnd, own ownFrontEnd) {
			f.writeSettings(`{"rotation": "spread"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &frontEnd{rig: newRig(t, sim.Seat{Name: "a"}, sim.Seat{Name: "b"})}
			own := f.runFrontEnd(nil)
			f.start()
			f.fault("slow-stream", times(1))
			r := f.request("t", codexBody("gpt-5.5", "hello"))
			answered := make(chan string, 1)
			go func() { answered <- readAnswer(r) }()
			f.held()
			end(f, own)
			old := f.key
			f.until("another takes its place", func() bool { f.start(); return f.key != old })
			if status, body := f.ask("other"); status != 200 {
				t.Errorf("the next one: status %d: %s", status, body)
			}
			select {
			case text := <-answered:
				t.Fatalf("the answer in flight ended early: %q", text)
			default:
			}
			f.sim.Release()
			if text := <-answered; text != "Hello from a" {
				t.Errorf("the answer in flight is %q", text)
			}
			own.mustEnd(f.rig)
			f.mustBeObedient()
		})
	}
}

// readAnswer is the text of a model call's answer, or the error.
func readAnswer(r *http.Request) string {
	response, err := (&http.Transport{}).RoundTrip(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return streamText(body)
}

// TestFrontEndIdle: it ends by itself, and the next token command starts another.
func TestFrontEndIdle(t *testing.T) {
	f := &frontEnd{rig: newRig(t, sim.Seat{Name: "a"})}
	own := f.runFrontEnd(nil, "--idle", "1s")
	f.start()
	old := f.key
	if status, body := f.ask("t"); status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	own.mustEnd(f.rig)
	f.start()
	if status, body := f.ask("t"); status != 200 || f.key == old {
		t.Errorf("status %d: %s", status, body)
	}
}

// TestFrontEndKeepsNothingOpen: a pipe that Codex was given, as test runners and
// shells do, ends with Codex and its token command, not with the front end.
func TestFrontEndKeepsNothingOpen(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "a"})
	t.Cleanup(r.endFrontEnd)
	reader, writer, err := os.Pipe()
	r.do(err)
	defer reader.Close()
	cmd := exec.Command(binary, "token", "--front-end")
	cmd.Env, cmd.ExtraFiles = r.env(os.Environ()), []*os.File{writer}
	r.witness.watch(cmd)
	r.do(cmd.Run())
	r.do(writer.Close())
	r.do(reader.SetReadDeadline(time.Now().Add(10 * time.Second)))
	if n, err := reader.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the pipe is still open: %v", err)
	}
}

// TestFrontEndThreads: in round-robin each thread has the next account, and keeps
// it; those of sub-agents share the session's id.
func TestFrontEndThreads(t *testing.T) {
	f := &frontEnd{rig: newRig(t, named("a", "b", "c")...)}
	f.writeSettings(`{"rotation": "round-robin"}`)
	f.runFrontEnd(nil)
	f.start()
	for _, thread := range []string{"main", "sub-agent", "main", "sub-agent"} {
		if status, body := f.ask(thread); status != 200 {
			t.Fatalf("status %d: %s", status, body)
		}
	}
	if got := f.seatsAsked(); !slices.Equal(got, []string{"a", "b", "a", "b"}) {
		t.Errorf("asked %v", got)
	}
}

// TestFrontEndVersions: an older front end makes room, a newer one stays, or two
// installs would turn each other out for ever.
func TestFrontEndVersions(t *testing.T) {
	for _, test := range []struct {
		version string
		stays   bool
	}{{"0.0.1", false}, {plugin.Version, true}, {"99.1.0", true}} {
		t.Run(test.version, func(t *testing.T) {
			f := &frontEnd{rig: newRig(t, sim.Seat{Name: "a"})}
			a := *f.app
			a.pinned = f.root()
			self, err := a.frontEndSelf()
			f.do(err)
			self.Version = test.version
			ctx, end := context.WithCancel(t.Context())
			defer end()
			key, ended := f.pretend(ctx, self)
			t.Cleanup(f.endFrontEnd)
			f.start()
			if stays := f.key == key; stays != test.stays {
				t.Errorf("it stays: %t", stays)
			}
			end()
			f.do(<-ended)
		})
	}
}

// pretend answers at the pool's place as a front end of another version, which has
// no accounts. The channel tells its end.
func (r *rig) pretend(ctx context.Context, self proxy.Self) (key string, ended <-chan error) {
	r.t.Helper()
	place := proxy.Place{Root: r.root()}
	release, err := place.Take(r.t.Context())
	r.do(err)
	port, err := place.Port(r.t.Context())
	r.do(err)
	listener, err := proxy.Listen(port)
	r.do(err)
	nonce, err := place.RenewNonce()
	r.do(err)
	done := make(chan error, 1)
	go func() {
		done <- proxy.Serve(ctx, listener, proxy.Options{Nonce: nonce, Self: self, Idle: time.Hour, Log: hclog.NewNullLogger(), Released: release})
	}()
	return nonce.Reveal(), done
}

// TestFrontEndClientGone: whoever asked hangs up, before the answer or within it.
// The backend's work ends with it, nobody is charged, and nothing is learned.
func TestFrontEndClientGone(t *testing.T) {
	for _, fault := range []string{"hang-headers", "slow-start", "slow-stream"} {
		t.Run(fault, func(t *testing.T) {
			f := newFrontEnd(t, sim.Seat{Name: "a"}, sim.Seat{Name: "b"})
			f.fault(fault)
			ctx, hangUp := context.WithCancel(t.Context())
			answered := make(chan string, 1)
			go func() { answered <- readAnswer(f.request("t", codexBody("gpt-5.5", "hello")).WithContext(ctx)) }()
			f.held()
			hangUp()
			f.arrived("the backend's call ends", func(calls []sim.Call) bool {
				return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Held && c.End == sim.EndGone })
			})
			if text := <-answered; !strings.Contains(text, "canceled") {
				t.Errorf("the client read %q", text)
			}
			f.sim.ClearFaults()
			if status, _ := f.ask("t"); status != 200 {
				t.Errorf("status %d", status)
			}
			if got := f.seatsAsked(); !slices.Equal(got, []string{"a", "a"}) {
				t.Errorf("asked %v", got)
			}
			if got := f.states(); got["a"] != "ready" || got["b"] != "ready" {
				t.Errorf("states %v", got)
			}
			f.mustBeObedient()
		})
	}
}

// flood is a backend whose answer never ends. It counts the bytes that were taken
// from it.
type flood struct {
	taken atomic.Int64
	gone  chan struct{}
}

func (b *flood) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	defer close(b.gone)
	event := []byte("event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"" + strings.Repeat("x", 64<<10) + "\"}\n\n")
	w.Header().Set("Content-Type", "text/event-stream")
	for r.Context().Err() == nil {
		n, err := w.Write(event)
		b.taken.Add(int64(n))
		if err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
	}
}

// TestFrontEndWaitsForItsClient: a client that reads no further stops the backend,
// not fills the front end's memory.
func TestFrontEndWaitsForItsClient(t *testing.T) {
	const between = 32 << 20 // more than the system keeps for the connections
	backend := &flood{gone: make(chan struct{})}
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	f := &frontEnd{rig: newRig(t, sim.Seat{Name: "a"})}
	f.runFrontEnd([]string{"CODEX_ROTA_BACKEND=" + server.URL})
	f.start()
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	response, err := (&http.Transport{}).RoundTrip(f.request("t", codexBody("gpt-5.5", "hello")).WithContext(ctx))
	f.do(err)
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	if _, err := reader.Peek(1); err != nil {
		t.Fatal(err)
	}
	for last := int64(-1); last != backend.taken.Load(); time.Sleep(200 * time.Millisecond) {
		if last = backend.taken.Load(); last > between {
			t.Fatalf("%d MiB were taken for a client that reads nothing", last>>20)
		}
	}
	stood := backend.taken.Load()
	if _, err := io.CopyN(io.Discard, reader, 2*between); err != nil {
		t.Fatal(err)
	}
	if now := backend.taken.Load(); now < stood+between {
		t.Errorf("%d MiB were taken, and %d once the client read on", stood>>20, now>>20)
	}
	hangUp()
	select {
	case <-backend.gone:
	case <-time.After(hung):
		t.Error("the backend writes on for a client that is gone")
	}
}

// TestOutdated: which front end makes room for which.
func TestOutdated(t *testing.T) {
	for _, test := range []struct {
		name, running, now string
		settings           bool // are the same
		want               bool
	}{
		{"the same", "1.2.3", "1.2.3", true, false},
		{"an older patch", "1.2.3", "1.2.4", true, true},
		{"older, with more digits", "1.9.0", "1.10.0", true, true},
		{"a newer one", "1.10.0", "1.9.9", true, false},
		{"a shorter number", "1.2", "1.2.1", true, true},
		{"other settings", "1.2.3", "1.2.3", false, true},
		{"a newer one with other settings", "2.0.0", "1.0.0", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			running, now := proxy.Self{Version: test.running, Settings: "x"}, proxy.Self{Version: test.now, Settings: "x"}
			if !test.settings {
				now.Settings = "y"
			}
			if got := outdated(running, now); got != test.want {
				t.Errorf("%t", got)
			}
		})
	}
}
