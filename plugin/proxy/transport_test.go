package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
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
