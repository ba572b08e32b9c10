// Package sim is a simulated OpenAI (issuer and ChatGPT backend) and GitHub on
// loopback. It judges what the rest of the program sends, from the facts alone:
// it imports none of the packages it judges and shares no rule with them. Tests,
// `codex-rota demo` and `--self-test` run against it; it never leaves the machine
// and its tokens, texts and catalogue are invented.
//
// Each simulated host has an origin of its own, as in the world, so that a token
// sent to the wrong one shows. What a caller did is read with Calls; what shall
// go wrong is said with AddFault; both can be done over HTTP under /_sim/ too.
package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// DefaultClientID is the client that the issuer has registered (FACTS-upstream 1).
const DefaultClientID = "app_EMoamEEZ73f0CkXaXp7hrann"

// Options sets up a Server. The zero value is what tests want.
type Options struct {
	Now              func() time.Time  // nil: time.Now. Token lifetimes, quota resets and Date follow it
	Log              func(line string) // nil: silent. One line for each finished call, without tokens
	OnCall           func(Call)        // nil: none. Runs when a call has arrived, before it is answered; while it blocks, so does Close
	ClientID         string            // "": DefaultClientID
	AnyCallbackPort  bool              // login redirects may name another port than 1455
	SpareReusedGrant bool              // a reused refresh token is refused without revoking its whole grant
	DeviceInterval   int               // seconds between polls of the device flow, 0: 5
	DropBodies       bool              // Calls keeps no bodies: for measurements with thousands of big calls
}

// Server is the simulation. Its methods may be called concurrently.
type Server struct {
	opts   Options
	http   *http.Server
	origin map[host]string // http://127.0.0.1:PORT
	ending context.CancelFunc
	served sync.WaitGroup // listeners
	conns  sync.WaitGroup // open connections
	busy   sync.WaitGroup // handlers: one that reset its connection outlives it

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever a call changes
	gate     chan struct{} // closed and replaced by Release
	calls    []*Call
	faults   []*Fault
	seats    []*Seat
	serial   int // makes every id and token differ
	access   map[string]*accessToken
	refresh  map[string]*refreshToken
	issued   []Tokens
	codes    map[string]*code
	devices  map[string]*device
	signIns  []*Seat // who signs in next at the browser
	browser  *Seat   // who is signed in there now
	prefixes map[string][]byte
	reply    func(Call) Reply
	release  string // tag of the newest release on GitHub
	asked    int    // GitHub API requests that counted in this hour
	hour     time.Time
}

// host is one of the simulated origins.
type host string

const (
	hostIssuer    host = "issuer"
	hostBackend   host = "backend"
	hostGitHubAPI host = "github-api"
	hostGitHubRaw host = "github-raw"
)

type hostKey struct{}

// Start listens on 127.0.0.1 and serves until Close.
func Start(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.DeviceInterval == 0 {
		o.DeviceInterval = 5
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		opts: o, origin: map[host]string{}, ending: cancel,
		changed: make(chan struct{}), gate: make(chan struct{}),
		access: map[string]*accessToken{}, refresh: map[string]*refreshToken{},
		codes: map[string]*code{}, devices: map[string]*device{}, prefixes: map[string][]byte{},
		reply: func(Call) Reply { return Reply{} }, release: "rust-v0.169.0",
	}
	listeners := map[host]net.Listener{}
	for _, h := range []host{hostIssuer, hostBackend, hostGitHubAPI, hostGitHubRaw} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			cancel()
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, fmt.Errorf("listen for the simulated %s: %w", h, err)
		}
		listeners[h] = l
		s.origin[h] = "http://" + l.Addr().String()
	}
	s.http = &http.Server{
		Handler:  s,
		ErrorLog: log.New(io.Discard, "", 0), // a cut connection is what faults are for
		BaseContext: func(l net.Listener) context.Context {
			for h, own := range listeners {
				if own == l {
					return context.WithValue(ctx, hostKey{}, h)
				}
			}
			return ctx
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.conns.Done()
			}
		},
	}
	for _, l := range listeners {
		s.served.Go(func() { _ = s.http.Serve(l) }) // it only ends by Close, with ErrServerClosed
	}
	return s, nil
}

// Close ends every call, held ones too, and returns when nothing runs any more.
func (s *Server) Close() error {
	s.ending()
	err := s.http.Close()
	s.served.Wait()
	// A connection accepted while Close ran is known only now.
	err = errors.Join(err, s.http.Close())
	s.conns.Wait()
	s.busy.Wait()
	return err
}

// Issuer, Backend, GitHubAPI and GitHubRaw are the base URLs, as the settings of
// DESIGN 8 want them.
func (s *Server) Issuer() string    { return s.origin[hostIssuer] }
func (s *Server) Backend() string   { return s.origin[hostBackend] + "/backend-api" }
func (s *Server) GitHubAPI() string { return s.origin[hostGitHubAPI] }
func (s *Server) GitHubRaw() string { return s.origin[hostGitHubRaw] }

// Control is the base URL of the control endpoint.
func (s *Server) Control() string { return s.origin[hostBackend] + "/_sim" }

// Env is what a process needs in its environment to meet the simulation in
// place of the world.
func (s *Server) Env() []string {
	return []string{
		"CODEX_ROTA_ISSUER=" + s.Issuer(),
		"CODEX_ROTA_BACKEND=" + s.Backend(),
		"CODEX_ROTA_GITHUB_API=" + s.GitHubAPI(),
		"CODEX_ROTA_GITHUB_RAW=" + s.GitHubRaw(),
	}
}

// Release lets every call go on that is held now (hang-headers, slow-stream,
// refresh-hang, github-hang). Wait for Call.Held first.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.gate)
	s.gate = make(chan struct{})
}

// Reset forgets calls, faults and prompt caches and releases what is held. Seats,
// tokens and quotas stay.
func (s *Server) Reset() {
	s.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.faults, s.prefixes = nil, nil, map[string][]byte{}
	s.notify()
}

// id gives a name that no other thing of this server has. The lock is held.
func (s *Server) id(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s%08x%024x", prefix, s.serial, 0x51b0ca7e0000+s.serial)
}

// notify wakes those who wait for calls. The lock is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}
