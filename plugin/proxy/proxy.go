// Package proxy is the loopback front end for the Codex CLI (DESIGN 9): an HTTP
// server on 127.0.0.1 that hands each request to the service, sends what the
// service prepared, and passes the answer on as it comes. It moves bytes and
// guards its door; every decision about accounts, limits and retries is the
// service's, the same one that answers on stdio.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/logging"
	"codex-rota/plugin"
)

// BasePath is where Codex finds the backend: what base_url has behind the port.
const BasePath = "/backend-api/codex"

// IdleLimit is how long the front end waits for another request before it ends
// (DESIGN 9).
const IdleLimit = 30 * time.Minute

// drainLimit bounds what answers in flight may still take once the front end was
// told to end.
const drainLimit = 30 * time.Second

// Service is the part of *plugin.Service that a call needs.
type Service interface {
	Prepare(context.Context, plugin.PrepareParams, []byte) (*plugin.Prepared, error)
	Response(context.Context, plugin.ResponseParams, []byte) (*plugin.Verdict, error)
	Done(context.Context, plugin.DoneParams, []byte)
	HostResponse(*plugin.Error) *plugin.HostResponse
}

var _ Service = (*plugin.Service)(nil)

// Options is what a front end is built from; everything is required but
// Released.
type Options struct {
	Service Service
	Nonce   logging.Secret // what a request must bear
	Self    Self           // told at the door
	Idle    time.Duration  // it ends after so long without a request
	HTTP    http.RoundTripper
	Log     hclog.Logger
	// Released is called once nothing is accepted any more, while answers in
	// flight still go on: another front end may take the place.
	Released func()
}

// front is a running front end.
type front struct {
	Options
	host     string // 127.0.0.1:PORT, the only Host that is answered
	port     int
	activity activity
	stop     chan struct{} // told by the door to end
	calls    atomic.Uint64
	leases   leases
}

// Serve answers on the listener, which must be bound to a literal loopback
// address, until ctx ends, the door tells it to end, or nothing came for Idle.
// Answers in flight then have drainLimit to end. Serve closes the listener.
func Serve(ctx context.Context, listener net.Listener, o Options) error {
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok || !address.IP.IsLoopback() {
		return errors.Join(errors.New("the front end listens on a loopback address only"), listener.Close())
	}
	f := &front{Options: o, host: address.String(), port: address.Port, stop: make(chan struct{}, 1)}
	server := &http.Server{
		Handler:           http.HandlerFunc(f.handle),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    256 << 10,
		// "OPTIONS *" is judged at the door too.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     o.Log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	server.ErrorLog.SetFlags(log.Flags() &^ (log.Ldate | log.Ltime))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	idle := f.activity.watch(o.Idle)
	defer f.activity.close()
	var err error
	select {
	case err = <-failed:
		failed <- err
	case <-ctx.Done():
		o.Log.Info("the front end was told to end")
	case <-f.stop:
		o.Log.Info("the front end makes room for another")
	case <-idle:
		o.Log.Info("nothing came for a while: the front end ends", "idle", o.Idle)
	}
	_ = listener.Close() // a second Close says so, and harms nothing
	if o.Released != nil {
		o.Released()
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if server.Shutdown(draining) != nil {
		_ = server.Close() // what did not end in time is cut
	}
	<-failed // Serve has returned: no goroutine of it is left
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// handle is every request's way in.
func (f *front) handle(w http.ResponseWriter, r *http.Request) {
	f.activity.begin()
	defer f.activity.end()
	defer f.fault()
	if refused := f.admit(r); refused != nil {
		refuse(w, r, refused)
		return
	}
	if r.URL.Path == DoorPath {
		f.answerDoor(w, r)
		return
	}
	f.relay(w, r)
}

// fault tells of a panic, which ends this call alone; what net/http says of one is
// below the level of the front end's log.
func (f *front) fault() {
	p := recover()
	switch p {
	case nil:
		return
	case http.ErrAbortHandler:
	default:
		f.Log.Error("panic", "panic", logging.RedactString(fmt.Sprint(p)), "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler) // an answer that had begun must not look as if it had ended
}
