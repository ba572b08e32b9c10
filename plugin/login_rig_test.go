package plugin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/auth"
	"codex-rota/instructions"
	"codex-rota/plugin/sim"
	"codex-rota/pool"
)

// loginRig is a service over an empty pool, before a simulated issuer.
type loginRig struct {
	*Service
	t   *testing.T
	sim *sim.Server
	dir string
}

func newLoginRig(t *testing.T, seats ...string) *loginRig {
	t.Helper()
	s, err := sim.Start(sim.Options{AnyCallbackPort: true, DeviceInterval: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r := &loginRig{t: t, sim: s, dir: t.TempDir()}
	for _, name := range seats {
		s.AddSeat(sim.Seat{Name: name})
	}
	r.Service = r.open()
	t.Cleanup(func() { r.close(r.Service) })
	return r
}

// open builds another service over the same pool, as another process has it.
func (r *loginRig) open() *Service {
	r.t.Helper()
	client, log := &auth.Client{Issuer: r.sim.Issuer()}, hclog.NewNullLogger()
	store, err := pool.OpenStore(pool.Options{Dir: r.dir, Refresh: client.Refresh, Now: time.Now, Log: log})
	if err != nil {
		r.t.Fatal(err)
	}
	settings := DefaultSettings()
	settings.CallbackPort = freePort(r.t)
	return NewService(Options{
		Version: "test", Root: r.dir, Store: store, Issuer: client, Settings: settings, HTTP: http.DefaultClient, Now: time.Now, Log: log,
		Book:         pool.OpenBook(pool.BookOptions{Path: filepath.Join(r.dir, "quota-cache.json"), LockPath: filepath.Join(store.LockDir(), "quota-cache.lock"), Now: time.Now, Log: log}),
		Instructions: instructions.New(instructions.Options{Dir: filepath.Join(r.dir, "cache"), HTTP: http.DefaultClient, Now: time.Now, Log: log}),
	})
}

func (r *loginRig) close(s *Service) {
	r.t.Helper()
	if err := s.Close(context.Background()); err != nil {
		r.t.Error(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *loginRig) start(p LoginStartParams) *LoginStarted {
	r.t.Helper()
	started, err := r.LoginStart(r.t.Context(), p)
	if err != nil {
		r.t.Fatal(err)
	}
	return started
}

func (r *loginRig) wait(started *LoginStarted) *LoginResult {
	r.t.Helper()
	result, err := r.LoginWait(r.t.Context(), LoginParams{started.Login})
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// labels are those of the pool, as a new process reads them.
func (r *loginRig) labels() string {
	r.t.Helper()
	s := r.open()
	defer r.close(s)
	accounts, err := s.store.Accounts()
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, a := range accounts {
		names = append(names, a.Label)
	}
	return strings.Join(names, " ")
}

// browse is the browser: it opens the address and follows where it is sent.
func browse(t *testing.T, address string) string {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(address)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(page)
}

// signIn is the browser of a paste login: it ends on an address that nothing
// answers at, and gives it.
func signIn(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("Location")
}

// failed is the error as the wire has it: its code, or "params".
func failed(err error) string {
	var known *Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &known):
		return err.Error()
	case known.Params:
		return "params"
	}
	return string(known.Code)
}
