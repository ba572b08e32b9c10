package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestKindOf names failures as the transport really gives them.
func TestKindOf(t *testing.T) {
	ask := func(url string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := Transport().RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"nobody listens", ask(gone.URL), "connect"},
		{"a certificate that nobody signed", ask(secure.URL), "tls"},
		{"no TLS at all", ask("https" + plain.URL[len("http"):]), "tls"},
		{"cut before the head", ask(cut.URL), "reset"},
		{"a name that is none", fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}), "dns"},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, "reset"},
		{"an alert", tls.AlertError(40), "tls"},
		{"silence", errSilent, "timeout"},
		{"cut in the body", io.ErrUnexpectedEOF, "reset"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.err == nil {
				t.Fatal("nothing failed")
			}
			if got := kindOf(test.err); got != test.want {
				t.Errorf("%v is %s, want %s", test.err, got, test.want)
			}
		})
	}
}

func TestCause(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	if err := cause(ctx, io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	stop(errSilent)
	if err := cause(ctx, context.Canceled); !errors.Is(err, errSilent) {
		t.Errorf("an attempt that we stopped for its silence: %v", err)
	}
}

// sleepy is a connection whose other end hears nothing any more once asleep is
// set, and does not know it.
type sleepy struct {
	net.Conn
	asleep *atomic.Bool
}

func (c sleepy) Write(p []byte) (int, error) {
	if c.asleep.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// pipes is a listener without a network.
type pipes struct {
	conns chan net.Conn
	ended context.Context
}

func (l pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ended.Done():
		return nil, net.ErrClosed
	}
}

func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestDeadConnection: a kept connection that died unseen does not hold the next
// call until its head is late.
func TestDeadConnection(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	roots := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		listener := pipes{make(chan net.Conn), ctx}
		server := &http.Server{TLSConfig: &tls.Config{Certificates: certified.TLS.Certificates}, ErrorLog: log.New(io.Discard, "", 0),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })}
		go func() { _ = server.ServeTLS(listener, "", "") }()
		defer server.Close()
		defer cancel()
		var asleep atomic.Bool
		transport := Transport()
		defer transport.CloseIdleConnections()
		transport.Proxy = nil
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "example.com"}
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			listener.conns <- theirs
			return sleepy{ours, &asleep}, nil
		}
		ask := func(limit time.Duration) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://backend.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(r)
			if err != nil {
				return "", err
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			return string(text), err
		}
		if proto, err := ask(time.Minute); err != nil || proto != "HTTP/2.0" {
			t.Fatalf("%q, %v", proto, err)
		}
		asleep.Store(true)
		began := time.Now()
		if _, err := ask(280 * time.Second); err == nil || time.Since(began) > time.Minute {
			t.Errorf("the call on a dead connection ended after %s: %v", time.Since(began), err)
		}
		asleep.Store(false)
		if proto, err := ask(time.Minute); err != nil {
			t.Errorf("the call after it: %q, %v", proto, err)
		}
	})
}
