package auth

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// callbackPath is the registered one (FACTS-upstream 1).
const callbackPath = "/auth/callback"

// Limits of a request to the callback. A neighbour on the machine may send
// anything, and a browser opens connections that it never uses.
const (
	requestTime    = 5 * time.Second
	pageTime       = 5 * time.Second
	maxHeader      = 64 << 10 // every development server on localhost adds cookies to ours
	maxConnections = 32
)

// serveCallback answers on the listeners until stop is called, which returns
// when nothing runs or listens any more.
func serveCallback(h http.Handler, listeners []net.Listener) (stop func()) {
	server := &http.Server{
		Handler:                      h,
		ReadTimeout:                  requestTime,
		WriteTimeout:                 requestTime + exchangeLimit + pageTime,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // what a stranger sends is no news
	}
	server.SetKeepAlivesEnabled(false)
	slots := make(chan struct{}, maxConnections)
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() { _ = server.Serve(&crowdedListener{l, slots}) }) // ends by Close alone
	}
	return func() {
		_ = server.Close() // what cannot be closed was closed by the other side
		serving.Wait()
	}
}

// crowdedListener accepts while there are free slots.
type crowdedListener struct {
	net.Listener
	slots chan struct{}
}

func (l *crowdedListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slottedConn{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

type slottedConn struct {
	net.Conn
	free func()
}

func (c *slottedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// callback is where the issuer sends the browser back to (FACTS-upstream 1).
type callback struct {
	login  *Login
	port   int
	issuer string
}

// ServeHTTP implements http.Handler.
func (h *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := h.refuse(r); status != 0 {
		secureHeaders(w.Header(), "")
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodGet)
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	reply, ok := h.reply(r.URL.RawQuery)
	if !ok && !isClosed(h.login.closed) {
		showPage(w, pageOther)
		return
	}
	shown := make(chan struct{})
	defer close(shown)
	if !ok || h.login.offer(arrival{reply: reply, shown: shown}) != nil {
		showPage(w, h.latePage())
		return
	}
	<-h.login.decided // at most 30 s
	showPage(w, outcomePage(h.login.err))
}

// refuse gives the status for a request that no browser on its way back from
// the issuer sends, 0 for one that may be looked at. Host tells a page that
// rebound its own name to our address; Origin and Sec-Fetch-Dest tell a page
// that asks behind the person's back.
func (h *callback) refuse(r *http.Request) int {
	own := h.ownHosts()
	origin, dest := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Dest")
	isOwn := func(host string) bool { return origin == "http://"+host }
	switch {
	case !slices.Contains(own, r.Host):
		return http.StatusForbidden
	case r.URL.EscapedPath() != callbackPath:
		return http.StatusNotFound
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed
	case r.ContentLength != 0:
		return http.StatusRequestEntityTooLarge
	case origin != "" && origin != originOf(h.issuer) && !slices.ContainsFunc(own, isOwn):
		return http.StatusForbidden
	case dest != "" && dest != "document":
		return http.StatusForbidden
	}
	return 0
}

func (h *callback) ownHosts() []string {
	port := strconv.Itoa(h.port)
	return []string{net.JoinHostPort("localhost", port), net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
}

// originOf is the scheme and host of a URL.
func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}

// reply reads what the browser came back with. It is not ok without a code, and
// with a state that is not this login's. An error without a state is taken: not
// every refusal of the issuer knows its state any more.
func (h *callback) reply(query string) (reply, bool) {
	q, err := url.ParseQuery(query)
	if err != nil || len(q["code"]) > 1 || len(q["state"]) > 1 {
		return reply{}, false
	}
	r := readReply(q, nil)
	switch {
	case r.denied != nil && r.state.IsZero():
	case !r.state.Equal(h.login.state), r.denied == nil && r.code.IsZero():
		return reply{}, false
	}
	return r, true
}

// latePage is for who comes back to a login that takes nothing any more.
func (h *callback) latePage() page {
	if isClosed(h.login.decided) {
		return endedPage(h.login.err)
	}
	return pageOver
}
