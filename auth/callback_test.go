package auth

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener in memory, so that time can be made to pass.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	end   chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), end: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.end:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.end) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial gives the browser's end of a connection. It waits to be accepted.
func (p *pipes) dial(t *testing.T) net.Conn {
	browser, ours := net.Pipe()
	t.Cleanup(func() { browser.Close() })
	select {
	case p.conns <- ours:
	case <-p.end:
		t.Error("nobody listens")
	}
	return browser
}

// rig is a browser login with its door in memory.
type rig struct {
	*Login
	pipes *pipes
	state string
}

func startRig(t *testing.T, e *endpoint) *rig {
	r := &rig{pipes: newPipes()}
	c := e.client()
	r.Login = c.startCode(t.Context(), CodeOptions{}, browserLimit, func(l *Login) func() {
		return serveCallback(&callback{login: l, port: 1455, issuer: c.Issuer}, []net.Listener{r.pipes})
	})
	t.Cleanup(func() {
		r.Cancel()
		time.Sleep(time.Second) // net/http lingers on a connection whose body it did not read
	})
	r.state = stateOf(t, r.Login)
	return r
}

// send sends one request and gives the status and text of the answer.
func (r *rig) send(t *testing.T, request string) (int, string) {
	t.Helper()
	conn := r.pipes.dial(t)
	go func() { _, _ = io.WriteString(conn, request) }() // a server that has refused it reads no further
	method, _, _ := strings.Cut(request, " ")
	return readAnswer(t, conn, method)
}

func readAnswer(t *testing.T, conn net.Conn, method string) (int, string) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(text)
}

func (r *rig) get(t *testing.T, query string) (int, string) {
	t.Helper()
	return r.send(t, "GET /auth/callback?"+query+" HTTP/1.1\r\nHost: localhost:1455\r\n\r\n")
}

// What no browser on its way back from the issuer sends is refused, with the
// right state too, and the login waits on.
func TestCallbackRefuses(t *testing.T) {
	const get = "GET /auth/callback?code=ac_1&state=STATE HTTP/1.1\r\n"
	for _, tc := range []struct {
		name    string
		request string
		status  int
	}{
		{"another name: DNS rebinding", get + "Host: evil.example:1455\r\n\r\n", 403},
		{"another name without a port", get + "Host: evil.example\r\n\r\n", 403},
		{"our name at another port", get + "Host: localhost:80\r\n\r\n", 403},
		{"a name that begins like ours", get + "Host: localhost:1455.evil.example\r\n\r\n", 403},
		{"another address", get + "Host: 127.0.0.2:1455\r\n\r\n", 403},
		{"no name", get + "\r\n", 400},
		{"another name in the request line", strings.Replace(get, "/auth", "http://evil.example:1455/auth", 1) + "Host: localhost:1455\r\n\r\n", 403},
		{"foreign Origin", get + "Host: localhost:1455\r\nOrigin: https://evil.example\r\n\r\n", 403},
		{"Origin of a sandbox", get + "Host: localhost:1455\r\nOrigin: null\r\n\r\n", 403},
		{"Origin of a neighbour port", get + "Host: localhost:1455\r\nOrigin: http://localhost:3000\r\n\r\n", 403},
		{"an image on a page", get + "Host: localhost:1455\r\nSec-Fetch-Dest: image\r\n\r\n", 403},
		{"a frame in a page", get + "Host: localhost:1455\r\nSec-Fetch-Dest: iframe\r\n\r\n", 403},
		{"favicon", "GET /favicon.ico HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 404},
		{"longer path", strings.Replace(get, "callback", "callback/", 1) + "Host: localhost:1455\r\n\r\n", 404},
		{"escaped path", strings.Replace(get, "callback", "%63allback", 1) + "Host: localhost:1455\r\n\r\n", 404},
		{"two slashes", strings.Replace(get, "/auth", "//auth", 1) + "Host: localhost:1455\r\n\r\n", 404},
		{"POST", strings.Replace(get, "GET", "POST", 1) + "Host: localhost:1455\r\nContent-Length: 0\r\n\r\n", 405},
		{"HEAD", strings.Replace(get, "GET", "HEAD", 1) + "Host: localhost:1455\r\n\r\n", 405},
		{"OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 404},
		{"a body", get + "Host: localhost:1455\r\nContent-Length: 99999999\r\n\r\nx", 413},
		{"a body without a length", get + "Host: localhost:1455\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", 413},
		{"too long a header", get + "Host: localhost:1455\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", 431},
		{"too long an address", strings.Replace(get, "STATE", strings.Repeat("x", 80<<10), 1) + "Host: localhost:1455\r\n\r\n", 431},
		{"no HTTP", "hello\r\n\r\n", 400},
		{"wrong state", strings.Replace(get, "STATE", "wrong", 1) + "Host: localhost:1455\r\n\r\n", 400},
		{"no state", strings.Replace(get, "&state=STATE", "", 1) + "Host: localhost:1455\r\n\r\n", 400},
		{"two states", strings.Replace(get, "STATE", "STATE&state=wrong", 1) + "Host: localhost:1455\r\n\r\n", 400},
		{"two codes", strings.Replace(get, "STATE", "STATE&code=ac_2", 1) + "Host: localhost:1455\r\n\r\n", 400},
		{"no code", strings.Replace(get, "code=ac_1", "code=", 1) + "Host: localhost:1455\r\n\r\n", 400},
		{"damaged query", strings.Replace(get, "ac_1", "%zz", 1) + "Host: localhost:1455\r\n\r\n", 400},
		{"a refusal of another login", strings.Replace(strings.Replace(get, "STATE", "wrong", 1), "code=ac_1", "error=access_denied", 1) + "Host: localhost:1455\r\n\r\n", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := grants(0)
				r := startRig(t, e)
				status, text := r.send(t, strings.Replace(tc.request, "STATE", r.state, 1))
				if status != tc.status {
					t.Errorf("answered %d %s", status, text)
				}
				if strings.Contains(text, r.state) || len(e.requests()) != 0 || isClosed(r.closed) {
					t.Errorf("%d exchanges, over: %v, said %s", len(e.requests()), isClosed(r.closed), text)
				}
				if status, text := r.get(t, "code=ac_1&state="+r.state); status != 200 {
					t.Errorf("the right answer afterwards: %d %s", status, text)
				}
			})
		})
	}
}

func TestCallbackTakes(t *testing.T) {
	for name, head := range map[string]string{
		"127.0.0.1": "Host: 127.0.0.1:1455", "::1": "Host: [::1]:1455",
		"a browser":    "Host: localhost:1455\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\nCookie: " + strings.Repeat("c", 40<<10),
		"own Origin":   "Host: localhost:1455\r\nOrigin: http://localhost:1455",
		"the issuer's": "Host: localhost:1455\r\nOrigin: https://issuer.example",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t, grants(0))
				status, text := r.send(t, "GET /auth/callback?code=ac_1&scope=openid&state="+r.state+" HTTP/1.1\r\n"+head+"\r\n\r\n")
				if status != 200 || !strings.Contains(text, "You are signed in") {
					t.Errorf("%d %s", status, text)
				}
			})
		})
	}
}

// How a login ends for the one who waits, and what the browser shows.
func TestCallbackOutcomes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		query  string
		answer string // of the token endpoint, with its status before it
		fails  string
		page   int
		shows  []string
	}{
		{"signed in", "code=ac_1&state=STATE", "200 " + goodTokens, "", 200, []string{"You are signed in"}},
		{"denied", "error=access_denied&error_description=You+said+%3Cb%3Eno&state=STATE", "", "the sign-in was refused: access_denied: You said <b>no", 403,
			[]string{"The sign-in was refused", "access_denied: You said &lt;b&gt;no"}},
		{"denied, and the state forgotten", "error=server_error", "", "the sign-in was refused: server_error", 403, []string{"server_error"}},
		{"exchange refused", "code=ac_1&state=STATE", `400 {"error":"invalid_grant"}`, "the sign-in server refused the login: 400 invalid_grant", 502,
			[]string{"The login could not be finished", "400 invalid_grant"}},
		{"no seat", "code=ac_1&state=STATE", `200 {"access_token":"` + jwtOf(`{}`).Reveal() + `","refresh_token":"rt_leak.ed"}`,
			"the login cannot be used: the token does not name a ChatGPT account: no chatgpt_account_id in it", 502, []string{"does not name a ChatGPT account"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{answer: func(int, *http.Request) (*http.Response, error) {
					var status int
					body := ""
					if _, err := fmt.Sscanf(tc.answer, "%d", &status); err == nil {
						_, body, _ = strings.Cut(tc.answer, " ")
					}
					return jsonAnswer(status, body), nil
				}}
				r := startRig(t, e)
				status, text := r.get(t, strings.Replace(tc.query, "STATE", r.state, 1))
				if status != tc.page || strings.Contains(text, r.state) || strings.Contains(text, "rt_") || strings.Contains(text, "ac_1") {
					t.Errorf("answered %d %s", status, text)
				}
				for _, want := range tc.shows {
					if !strings.Contains(text, want) {
						t.Errorf("does not show %q: %s", want, text)
					}
				}
				_, err := r.Wait(t.Context())
				if message(err) != tc.fails {
					t.Errorf("ended with %v, want %q", err, tc.fails)
				}
				<-r.gone
			})
		})
	}
}

// Wait returns when the page is on its way, and not before: the process may end.
func TestPageComesBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, grants(time.Second))
		conn := r.pipes.dial(t)
		fmt.Fprintf(conn, "GET /auth/callback?code=ac_1&state=%s HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", r.state)
		<-r.decided
		synctest.Wait()
		if isClosed(r.done) {
			t.Error("over before the browser read its page")
		}
		if status, text := r.get(t, "code=ac_1&state="+r.state); status != 410 || !strings.Contains(text, "already over") {
			t.Errorf("the same address again: %d %s", status, text)
		}
		start := time.Now()
		if _, err := r.Wait(t.Context()); err != nil || time.Since(start) != pageTime {
			t.Errorf("%v after %v of a browser that does not read", err, time.Since(start))
		}
	})
}

func TestCallbackExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		e := grants(0)
		r := startRig(t, e)
		if _, err := r.Wait(t.Context()); !errors.Is(err, ErrLoginExpired) || time.Since(start) != 5*time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		for _, state := range []string{r.state, "another"} {
			if status, text := r.get(t, "code=ac_1&state="+state); status != 410 || !strings.Contains(text, "took too long") {
				t.Errorf("a late browser: %d %s", status, text)
			}
		}
		<-r.gone
		if time.Since(start) != 6*time.Minute || len(e.requests()) != 0 {
			t.Errorf("the port is free after %v, %d exchanges", time.Since(start), len(e.requests()))
		}
	})
}

func TestSlowRequestIsCut(t *testing.T) {
	for name, sent := range map[string]string{"nothing": "", "half a line": "GET /auth/call", "half a head": "GET /auth/callback HTTP/1.1\r\nHost: local"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t, grants(0))
				start := time.Now()
				conn := r.pipes.dial(t)
				fmt.Fprint(conn, sent)
				status, text := readAnswer(t, conn, http.MethodGet)
				if time.Since(start) > requestTime || status == 200 {
					t.Errorf("%d %s after %v", status, text, time.Since(start))
				}
			})
		})
	}
}

// Idle connections keep an honest browser waiting for seconds, not out.
func TestCrowdedCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, grants(0))
		start := time.Now()
		for range maxConnections {
			r.pipes.dial(t)
		}
		status, text := r.get(t, "code=ac_1&state="+r.state)
		if waited := time.Since(start); status != 200 || waited != requestTime {
			t.Errorf("%d after %v: %s", status, waited, text)
		}
	})
}

func TestPasteBesideTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, grants(0))
		if err := r.Paste("http://localhost:1455/auth/callback?code=ac_1&state=" + r.state); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		<-r.gone
	})
}

func FuzzCallback(f *testing.F) {
	for _, seed := range []string{"code=a&state=STATE", "error=x&error_description=%3Cscript%3E", "code=a&code=b&state=STATE", "%zz", "state=STATE&code="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		l := newLogin()
		l.state, l.replies = newChallenge().state, make(chan arrival)
		close(l.closed) // nothing is taken: only the answer is looked at
		close(l.decided)
		h := &callback{login: l, port: 1455, issuer: DefaultIssuer}
		r := httptest.NewRequest("GET", "http://localhost:1455/auth/callback", nil)
		r.URL.RawQuery = strings.ReplaceAll(query, "STATE", url.QueryEscape(l.state.Reveal()))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 410 || strings.Contains(w.Body.String(), l.state.Reveal()) {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
		if got, ok := h.reply(r.URL.RawQuery); ok && got.denied == nil && (got.code.IsZero() || !got.state.Equal(l.state)) {
			t.Error("taken without its code or state")
		}
	})
}
