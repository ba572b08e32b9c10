package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/logging"
)

// listen runs a front end and gives its port; it has ended when the test has.
func listen(t *testing.T, nonce string) (port int, ended <-chan error) {
	t.Helper()
	listener, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, listener, Options{Nonce: logging.NewSecret(nonce), Self: Self{"1.2.3", "s"}, Idle: IdleLimit, Log: hclog.NewNullLogger()})
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return listener.Addr().(*net.TCPAddr).Port, done
}

func serverPort(t *testing.T, s *httptest.Server) int {
	t.Helper()
	port, err := strconv.Atoi(s.URL[strings.LastIndex(s.URL, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestKnock(t *testing.T) {
	port, _ := listen(t, "right")
	relay := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(port)})
		r.Out.Host = "127.0.0.1:" + strconv.Itoa(port)
	}})
	defer relay.Close()
	var seen []string
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.String(), r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{"mac":"` + strings.Repeat("0", 64) + `","version":"9.9.9"}`))
	}))
	defer liar.Close()
	// Before its first start a front end has no key, and a proof under none is
	// anybody's.
	keyless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		port, _ := strconv.Atoi(r.Host[strings.LastIndex(r.Host, ":")+1:])
		self := Self{"9.9.9", "s"}
		_ = json.NewEncoder(w).Encode(Proof{MAC: prove(logging.Secret{}, purposeKnock, port, r.URL.Query().Get("challenge"), self), Self: self})
	}))
	defer keyless.Close()
	mute, err := Listen(0) // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	gone, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	nobody := gone.Addr().(*net.TCPAddr).Port
	gone.Close()
	for _, test := range []struct {
		name  string
		port  int
		nonce string
		want  error
	}{
		{"the front end", port, "right", nil},
		{"with a key of another start", port, "wrong", ErrStranger},
		{"through a stranger who passes on what we say", serverPort(t, relay), "right", ErrStranger},
		{"a stranger who answers anything", serverPort(t, liar), "right", ErrStranger},
		{"a stranger who guesses that there is no key yet", serverPort(t, keyless), "", ErrStranger},
		{"a stranger who says nothing", mute.Addr().(*net.TCPAddr).Port, "right", ErrStranger},
		{"nobody", nobody, "right", ErrNobody},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := t.Context()
			if test.port == mute.Addr().(*net.TCPAddr).Port {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
			}
			proof, err := Visit{Port: test.port, Nonce: logging.NewSecret(test.nonce)}.Knock(ctx)
			if !errors.Is(err, test.want) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if err == nil && proof.Self != (Self{"1.2.3", "s"}) {
				t.Errorf("%+v", proof)
			}
		})
	}
	for _, s := range seen {
		if strings.Contains(s, "right") {
			t.Errorf("the stranger was shown the key: %s", s)
		}
	}
}

func TestStop(t *testing.T) {
	port, ended := listen(t, "right")
	if _, err := (Visit{Port: port, Nonce: logging.NewSecret("wrong")}).Stop(t.Context()); !errors.Is(err, ErrStranger) {
		t.Errorf("stopped with the wrong key: %v", err)
	}
	if _, err := (Visit{Port: port, Nonce: logging.NewSecret("right")}).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServesLoopbackOnly(t *testing.T) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if Serve(t.Context(), listener, Options{Log: hclog.NewNullLogger()}) == nil {
		t.Error("it listens on every address")
	}
	if listener.Close() == nil {
		t.Error("the listener is left open")
	}
}
