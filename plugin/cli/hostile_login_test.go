package cli

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// TestHostileIssuerAtLogin: what TestHostileEndpoints does to a refresh, done to
// the exchange of a login's code and to a device login.
func TestHostileIssuerAtLogin(t *testing.T) {
	elsewhere := newNeighbour(t, func(_ *neighbour, w http.ResponseWriter) { w.WriteHeader(200) })
	var slowest time.Duration
	var most int64
	cases := 0
	for how, answer := range hostileAnswers(`{"access_token":"`, elsewhere.URL) {
		for _, method := range []string{"--paste", "--device"} {
			t.Run(method[2:]+" "+how, func(t *testing.T) {
				r := newRig(t, named("ann")...)
				n := newNeighbour(t, answer)
				started := time.Now()
				x := r.startAdd([]string{"CODEX_ROTA_ISSUER=" + n.URL}, "add", method)
				if method == "--paste" {
					address, err := url.Parse(x.address())
					if err != nil {
						t.Fatal(err)
					}
					x.paste("ac_1#" + address.Query().Get("state"))
				}
				x.ends(1, "the sign-in server")
				if elsewhere.requests.Load() > 0 || n.requests.Load() != 1 {
					t.Errorf("%d requests, %d of them elsewhere", n.requests.Load(), elsewhere.requests.Load())
				}
				if sent := n.bytes.Load(); sent > 64<<20 {
					t.Errorf("%d MiB were taken of an endless answer", sent>>20)
				}
				if states := r.states(); len(states) != 1 || states["ann"] != "ready" {
					t.Errorf("states %v", states)
				}
				slowest, most, cases = max(slowest, time.Since(started)), max(most, n.bytes.Load()), cases+1
			})
		}
	}
	t.Logf("figures: %d hostile answers to logins, the slowest ended after %v, at most %d MiB of an endless answer were sent",
		cases, slowest.Round(10*time.Millisecond), most>>20)
}

// TestStolenPort: between the start of a login and the browser's return another
// program wants the callback port. It cannot have it; and where it has half of it
// and gets the code, the code is worth nothing to it, and what it makes of the code
// is worth nothing to us.
func TestStolenPort(t *testing.T) {
	t.Run("it cannot be taken", func(t *testing.T) {
		r := newRig(t)
		seat := r.sim.AddSeat(sim.Seat{Name: "ann"})
		x := r.startAdd(nil, "add", "--no-browser")
		address := x.address()
		for _, host := range []string{"127.0.0.1", "::1"} {
			l, err := net.Listen("tcp", net.JoinHostPort(host, portOf(t, address)))
			if err == nil {
				l.Close()
				t.Errorf("%s could be taken from the login", host)
			}
		}
		// All interfaces are another address to some systems; the browser comes to us.
		if l, err := net.Listen("tcp", ":"+portOf(t, address)); err == nil {
			defer l.Close()
		}
		browse(t, address)
		x.ends(0, "a new account")
		if r.account(seat).Refresh.Reveal() != seat.Tokens().Refresh {
			t.Error("the stored token is not the login's")
		}
	})
	for name, verifier := range map[string]string{"no verifier": "", "a guessed verifier": strings.Repeat("a", 64)} {
		t.Run("a thief has the code and "+name, func(t *testing.T) {
			r := newRig(t)
			seat := r.sim.AddSeat(sim.Seat{Name: "ann"})
			issued := len(r.sim.Issued())
			x := r.startAdd(nil, "add", "--no-browser")
			back, err := url.Parse(signIn(t, x.address())) // where the browser ends: at the thief's
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.PostForm(r.sim.Issuer()+"/oauth/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {sim.DefaultClientID},
				"code": {back.Query().Get("code")}, "redirect_uri": {"http://" + back.Host + back.Path}, "code_verifier": {verifier}})
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if n := len(r.sim.Issued()); n != issued || answer.StatusCode != http.StatusBadRequest {
				t.Errorf("the thief's exchange was answered %s, and it has %d tokens", answer.Status, n-issued)
			}
			// The code is burnt; the login says so and can be made again.
			browse(t, back.String())
			x.ends(3, "the sign-in server refused the login: 400 invalid_grant")
			x = r.startAdd(nil, "add", "--no-browser")
			browse(t, x.address())
			x.ends(0, "a new account")
			if r.account(seat).Refresh.Reveal() != seat.Tokens().Refresh {
				t.Error("the stored token is not the login's")
			}
		})
	}
	t.Run("a thief gives us its own code", func(t *testing.T) {
		r := newRig(t)
		ann, thief := r.sim.AddSeat(sim.Seat{Name: "ann"}), r.sim.AddSeat(sim.Seat{Name: "thief"})
		r.sim.SignInAs(thief, ann)
		its := r.startAdd(nil, "add", "--paste") // a login of the thief's own
		stolen, err := url.Parse(signIn(t, its.address()))
		if err != nil {
			t.Fatal(err)
		}
		its.in.Close()
		its.ends(2)
		x := r.startAdd(nil, "add", "--no-browser")
		mine, err := url.Parse(x.address())
		if err != nil {
			t.Fatal(err)
		}
		// The thief saw the browser's way out, so it knows the state.
		q := url.Values{"code": {stolen.Query().Get("code")}, "state": {mine.Query().Get("state")}}
		browse(t, mine.Query().Get("redirect_uri")+"?"+q.Encode())
		x.ends(3, "the sign-in server refused the login: 400 invalid_grant")
		if n := len(r.accounts()); n != 0 {
			t.Errorf("%d accounts: the thief's is in the pool", n)
		}
	})
}

// portOf is the callback port of a login's address.
func portOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if u, err = url.Parse(u.Query().Get("redirect_uri")); err != nil {
		t.Fatal(err)
	}
	return u.Port()
}
