package auth

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

func startSim(t *testing.T, o sim.Options) *sim.Server {
	t.Helper()
	s, err := sim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// browse does what a browser does with the address, on real sockets.
func browse(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := (&http.Client{Transport: transport}).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// The simulator checks client, redirect, PKCE and that the code comes once.
func TestBrowserLoginAtTheSimulator(t *testing.T) {
	s := startSim(t, sim.Options{AnyCallbackPort: true})
	ann, bob := s.AddSeat(sim.Seat{Name: "ann"}), s.AddSeat(sim.Seat{Name: "bob"})
	s.SignInAs(ann, bob)
	port := freePort(t)
	for i, seat := range []*sim.Seat{ann, bob} {
		l, err := (&Client{Issuer: s.Issuer()}).StartBrowser(t.Context(), CodeOptions{Port: port, Fresh: i > 0})
		if err != nil {
			t.Fatal(err)
		}
		answer, text := browse(t, l.URL)
		tokens, err := l.Wait(t.Context())
		if err != nil || answer.StatusCode != 200 || !strings.Contains(text, "You are signed in") {
			t.Errorf("%v: %d %s", err, answer.StatusCode, text)
		}
		if tokens.Refresh.Reveal() != seat.Tokens().Refresh {
			t.Errorf("login %d is not %s's", i, seat.Name)
		}
		l.Cancel()
		checkFree(t, port)
	}
}

// checkFree tells whether a login left its port open.
func checkFree(t *testing.T, port int) {
	t.Helper()
	for _, host := range []string{"127.0.0.1", "::1"} {
		if c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port))); err == nil {
			c.Close()
			t.Errorf("%s still listens", host)
		}
	}
}

func TestDeniedAtTheSimulator(t *testing.T) {
	s := startSim(t, sim.Options{AnyCallbackPort: true})
	s.AddSeat(sim.Seat{})
	if err := s.AddFault(sim.Fault{Name: "authorize-denied"}); err != nil {
		t.Fatal(err)
	}
	l, err := (&Client{Issuer: s.Issuer()}).StartBrowser(t.Context(), CodeOptions{Port: freePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	browse(t, l.URL)
	_, err = l.Wait(t.Context())
	var denied *DeniedError
	if !errors.As(err, &denied) || denied.Reason() != "access_denied" {
		t.Errorf("got %v", err)
	}
}

func TestCancelFreesThePort(t *testing.T) {
	port := freePort(t)
	l, err := (&Client{}).StartBrowser(t.Context(), CodeOptions{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	l.Cancel()
	checkFree(t, port)
}

// It listens on loopback alone, whatever other addresses the machine has.
func TestListensOnLoopbackOnly(t *testing.T) {
	port := freePort(t)
	l, err := (&Client{}).StartBrowser(t.Context(), CodeOptions{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Cancel()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		ip := a.(*net.IPNet).IP
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		if c, err := net.Dial("tcp", net.JoinHostPort(ip.String(), fmt.Sprint(port))); err == nil {
			c.Close()
			t.Errorf("listens on %s", ip)
		}
	}
}
