package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/logging"
	"codex-rota/plugin"
)

// plain is a service that sends every call to backend as it is, and lets the
// client have whatever comes. A path that ends with panic is a fault of its own.
type plain struct{ backend string }

func (s plain) Prepare(_ context.Context, p plugin.PrepareParams, _ []byte) (*plugin.Prepared, error) {
	if strings.HasSuffix(p.URL, "/panic") {
		panic("a fault")
	}
	return &plugin.Prepared{Call: p.Call, URL: s.backend, Headers: p.Headers, Timeouts: &plugin.Timeouts{HeadersMs: 10_000, IdleMs: 10_000}}, nil
}

func (plain) Response(_ context.Context, p plugin.ResponseParams, _ []byte) (*plugin.Verdict, error) {
	if p.TransportError != nil {
		return nil, &plugin.Error{Code: plugin.CodeUpstreamUnreachable, Message: p.TransportError.Message}
	}
	return &plugin.Verdict{Verdict: plugin.VerdictDeliver}, nil
}

func (plain) Done(context.Context, plugin.DoneParams, []byte) {}

func (plain) HostResponse(e *plugin.Error) *plugin.HostResponse {
	return &plugin.HostResponse{Status: http.StatusBadGateway, Body: e.Message}
}

// says is a backend that answers every request with this text, byte for byte.
func says(t *testing.T, text string) string {
	t.Helper()
	listener, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, text)
			}
			conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

// answers runs a front end in front of a backend; get asks it for a path with the
// key.
func answers(t *testing.T, backend string, log hclog.Logger) (get func(path string) (*http.Response, error)) {
	t.Helper()
	listener, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, Options{Service: plain{backend}, Nonce: logging.NewSecret("key"), Idle: IdleLimit, HTTP: Transport(), Log: log})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return func(path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+BasePath+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer key")
		return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	}
}

// TestOddAnswers: what a backend may say beside the usual reaches the client as it
// is, or as one clear refusal.
func TestOddAnswers(t *testing.T) {
	for _, test := range []struct {
		name, backend string
		status        int
		contentType   []string
		body          string
	}{
		{"no content type", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", 200, nil, "<html>"},
		{"an error without a content type", "HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\n<html>", 500, nil, "<html>"},
		{"nothing at all", "HTTP/1.1 204 No Content\r\n\r\n", 204, nil, ""},
		{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok", 200, []string{"a/b"}, "ok"},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 502, []string{"text/plain; charset=utf-8"}, "the backend answered 101 Switching Protocols"},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, err := answers(t, says(t, test.backend), hclog.NewNullLogger())("/models")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status || string(body) != test.body {
				t.Errorf("status %d, body %q (%v)", response.StatusCode, body, err)
			}
			if got := response.Header["Content-Type"]; strings.Join(got, "|") != strings.Join(test.contentType, "|") {
				t.Errorf("content type %q, want %q", got, test.contentType)
			}
		})
	}
}

// syncBuilder is a log that is read while others may write.
type syncBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestFaultIsLogged: nobody reads a front end's stderr.
func TestFaultIsLogged(t *testing.T) {
	var text syncBuilder
	get := answers(t, says(t, "HTTP/1.1 204 No Content\r\n\r\n"), hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: &text}))
	if response, err := get("/panic"); err == nil {
		response.Body.Close()
		t.Errorf("a call that met a fault was answered with %s", response.Status)
	}
	response, err := get("/models")
	if err != nil {
		t.Fatalf("a fault ended more than its call: %v", err)
	}
	response.Body.Close()
	if !strings.Contains(text.String(), "a fault") || !strings.Contains(text.String(), "Prepare") {
		t.Errorf("the log does not say what happened and where: %q", text.String())
	}
}

// TestTooLargeIsHeard: a client that writes its whole body before it listens hears
// why it is not taken.
func TestTooLargeIsHeard(t *testing.T) {
	port, _ := listen(t, "key")
	conn, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = maxBody + 4<<20
	head := "POST " + BasePath + "/responses HTTP/1.1\r\nHost: " + conn.RemoteAddr().String() + "\r\nAuthorization: Bearer key\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	for range size / len(chunk) {
		if _, err := conn.Write(chunk); err != nil {
			t.Fatalf("the connection is closed while the client writes: %v", err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 400 || !strings.Contains(string(text), "64 MiB") {
		t.Errorf("status %d: %s (%v)", response.StatusCode, text, err)
	}
}

// TestRefusalIsComplete: a client that waits with its body has the whole answer
// without it.
func TestRefusalIsComplete(t *testing.T) {
	port, _ := listen(t, "key")
	never, end := io.Pipe()
	defer end.Close()
	r := httptest.NewRequest(http.MethodPost, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port))+BasePath+"/responses", never)
	r.RequestURI, r.ContentLength = "", 1<<20
	r.Header.Set("Expect", "100-continue")
	response, err := (&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 400 || response.ContentLength <= 0 {
		t.Errorf("status %d, length %d (%v)", response.StatusCode, response.ContentLength, err)
	}
}
