package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"codex-rota/plugin/sim"
)

// poll is one answer to the question whether a code was approved.
type poll struct {
	Status  int
	Headers map[string]string
	JSON    json.RawMessage
	fail    error         // instead of an answer
	takes   time.Duration // until it answers
}

func (p poll) answer() (*http.Response, error) {
	time.Sleep(p.takes)
	if p.fail != nil {
		return nil, p.fail
	}
	a := jsonAnswer(p.Status, string(p.JSON))
	for name, value := range p.Headers {
		a.Header.Set(name, value)
	}
	return a, nil
}

// deviceIssuer gives a code, these answers to the polls, the last one for ever,
// and tokens. It notes when the polls came.
type deviceIssuer struct {
	endpoint
	start time.Time
	polls []time.Duration
}

func newDeviceIssuer(t *testing.T, code string, polls ...poll) *deviceIssuer {
	d := &deviceIssuer{start: time.Now()}
	d.answer = func(_ int, r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case "/api/accounts/deviceauth/usercode":
			return jsonAnswer(200, code), nil
		case "/api/accounts/deviceauth/token":
			d.polls = append(d.polls, time.Since(d.start))
			return polls[min(len(d.polls), len(polls))-1].answer()
		case "/oauth/token":
			return jsonAnswer(200, goodTokens), nil
		}
		t.Errorf("a request to %s", r.URL)
		return jsonAnswer(500, ""), nil
	}
	return d
}

const approval = `{"authorization_code":"c","code_verifier":"v"}`

func TestDeviceVectors(t *testing.T) {
	type vector struct {
		Name     string
		Interval int `json:"interval_s"`
		Polls    []poll
		Start    json.RawMessage
		Expected struct {
			Code, Verifier string
			UserCode       string  `json:"user_code"`
			ExpiresAt      int64   `json:"expires_at_ms"`
			Sleeps         []int64 `json:"sleeps_ms"`
		}
	}
	for _, v := range vectors[vector](t, "device.jsonl") {
		t.Run(v.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if v.Start != nil {
					code, ok := readDeviceCode(v.Start, time.Unix(1_800_000_000, 0))
					if !ok || code.userCode != v.Expected.UserCode || code.expires.UnixMilli() != v.Expected.ExpiresAt {
						t.Errorf("read as %+v", code)
					}
					return
				}
				start, err := json.Marshal(map[string]any{"device_auth_id": "d", "user_code": "ABCD", "interval": v.Interval})
				if err != nil {
					t.Fatal(err)
				}
				d := newDeviceIssuer(t, string(start), v.Polls...)
				l, err := d.client().StartDevice(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := l.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i, sleep := range v.Expected.Sleeps {
					if got := (d.polls[i+1] - d.polls[i]).Milliseconds(); got != sleep {
						t.Errorf("sleep %d took %d ms, want %d", i, got, sleep)
					}
				}
				if len(d.polls) != len(v.Expected.Sleeps)+1 {
					t.Errorf("%d polls", len(d.polls))
				}
				sent := d.requests()
				form, err := url.ParseQuery(sent[len(sent)-1])
				want := url.Values{"grant_type": {"authorization_code"}, "client_id": {DefaultClientID}, "code": {"c"}, "code_verifier": {"v"}, "redirect_uri": {"https://issuer.example/deviceauth/callback"}}
				if err != nil || form.Encode() != want.Encode() {
					t.Errorf("exchanged %v, want %v, %v", form, want, err)
				}
			})
		})
	}
}

func TestDevicePolls(t *testing.T) {
	pending, yes := poll{Status: 403}, poll{Status: 200, JSON: []byte(approval)}
	retry := func(status int, after string) poll {
		return poll{Status: status, Headers: map[string]string{"Retry-After": after}}
	}
	s := func(seconds ...float64) (all []time.Duration) {
		for _, n := range seconds {
			all = append(all, time.Duration(n*float64(time.Second)))
		}
		return all
	}
	for _, tc := range []struct {
		name  string
		code  string // what follows the user code
		polls []poll
		at    []time.Duration // when the polls come
		fails string
	}{
		{"5 seconds when nothing is said", ``, []poll{pending, {Status: 404}, yes}, s(0, 5, 10), ""},
		{"interval in quotes", `,"interval":"2"`, []poll{pending, yes}, s(0, 2), ""},
		{"absurd interval", `,"interval":-1`, []poll{pending, yes}, s(0, 5), ""},
		{"an interval of nearly nothing", `,"interval":1e-9`, []poll{pending, yes}, s(0, 1), ""},
		{"slow polls: the pause begins after the answer", `,"interval":2`, []poll{{Status: 403, takes: 9 * time.Second}, yes}, s(0, 11), ""},
		{"a poll without an answer is given up after 30 s", `,"interval":2`, []poll{{takes: 30 * time.Second, fail: context.DeadlineExceeded}, yes}, s(0, 32), ""},
		{"Retry-After as a date", `,"interval":2`, []poll{retry(503, "Sat, 01 Jan 2000 00:00:09 GMT"), yes}, s(0, 9), ""},
		{"a Retry-After below the interval", `,"interval":3`, []poll{retry(429, "1"), yes}, s(0, 3), ""},
		{"Retry-After that is nonsense", `,"interval":3`, []poll{retry(500, "soon"), retry(408, "-7"), yes}, s(0, 3, 6), ""},
		{"the network fails", `,"interval":3`, []poll{{fail: errors.New("no route")}, yes}, s(0, 3), ""},
		{"15 minutes at most", `,"interval":400,"expires_in":99999`, []poll{pending}, s(0, 400, 800), "the login was not finished in time"},
		{"15 minutes at most, whatever the date", `,"interval":400,"expires_at":"2099-01-01T00:00:00Z"`, []poll{pending}, s(0, 400, 800), "the login was not finished in time"},
		{"a date of another clock", `,"interval":400,"expires_at":"1999-12-31T23:59:59Z"`, []poll{pending}, s(0, 400, 800), "the login was not finished in time"},
		{"a shorter time, as a date", `,"expires_at":946684807000`, []poll{pending}, s(0, 5), "the login was not finished in time"},
		{"a shorter time", `,"expires_in":"7"`, []poll{pending}, s(0, 5), "the login was not finished in time"},
		{"Retry-After past the end", `,"interval":2`, []poll{retry(429, "99999")}, s(0), "the login was not finished in time"},
		{"a final no", `,"interval":2`, []poll{pending, {Status: 400, JSON: []byte(`{"error":{"code":"deviceauth_invalid","message":"rt_leak.ed"}}`)}}, s(0, 2), "the sign-in server refused the login: 400 deviceauth_invalid"},
		{"approved without a verifier", ``, []poll{{Status: 200, JSON: []byte(`{"authorization_code":"c"}`)}}, s(0), "the sign-in server gave no usable answer: 200"},
		{"a redirect", ``, []poll{{Status: 307}}, s(0), "the sign-in server gave no usable answer: 307"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeviceIssuer(t, `{"device_auth_id":"d","user_code":"ABCD"`+tc.code+`}`, tc.polls...)
				l, err := d.client().StartDevice(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if l.URL != "https://issuer.example/codex/device" || l.UserCode != "ABCD" {
					t.Errorf("shows %q %q", l.URL, l.UserCode)
				}
				_, err = l.Wait(t.Context())
				if got := message(err); got != tc.fails {
					t.Errorf("ended with %q, want %q", got, tc.fails)
				}
				if errors.Is(err, ErrLoginExpired) && !time.Now().Equal(l.ExpiresAt) {
					t.Errorf("expired at %v, and said %v", time.Now(), l.ExpiresAt)
				}
				if !slices.Equal(d.polls, tc.at) {
					t.Errorf("polled at %v, want %v", d.polls, tc.at)
				}
			})
		})
	}
}

func TestDeviceStartFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"not enabled", 404, `{"detail":"Not Found"}`, "login by device code is not enabled for this workspace"},
		{"refused", 403, `{"error":{"code":"unsupported_country"}}`, "the sign-in server refused the login: 403 unsupported_country"},
		{"server error", 500, ``, "the sign-in server gave no usable answer: 500"},
		{"no code", 200, `{"device_auth_id":"d"}`, "the sign-in server gave no usable answer: 200"},
		{"HTML", 200, `<html>`, "the sign-in server gave no usable answer: 200"},
		{"redirect", 302, ``, "the sign-in server gave no usable answer: 302"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := &endpoint{answer: func(int, *http.Request) (*http.Response, error) {
				return jsonAnswer(tc.status, tc.body, "Location", "https://elsewhere.example/"), nil
			}}
			_, err := e.client().StartDevice(t.Context())
			if message(err) != tc.want || len(e.requests()) != 1 {
				t.Errorf("%d requests, got %v, want %q", len(e.requests()), err, tc.want)
			}
		})
	}
}

func TestDeviceIsCancelled(t *testing.T) {
	for name, first := range map[string]poll{"between polls": {Status: 403}, "in a poll": {Status: 403, takes: time.Minute}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeviceIssuer(t, `{"device_auth_id":"d","user_code":"ABCD"}`, first)
				answer := d.answer
				d.answer = func(n int, r *http.Request) (*http.Response, error) {
					if n == 2 && first.takes > 0 { // as a transport does
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return answer(n, r)
				}
				start := time.Now()
				l, err := d.client().StartDevice(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if err := l.Paste("ac_1"); !errors.Is(err, ErrPaste) {
					t.Errorf("a paste: %v", err)
				}
				l.Cancel()
				if _, err := l.Wait(t.Context()); !errors.Is(err, ErrLoginCancelled) || time.Since(start) != 0 {
					t.Errorf("got %v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// The simulator holds the flow together: it made the verifier and its challenge,
// and knows the redirect.
func TestDeviceLoginAtTheSimulator(t *testing.T) {
	codes := make(chan string, 1)
	var s *sim.Server
	var seat *sim.Seat
	s = startSim(t, sim.Options{OnCall: func(c sim.Call) {
		if c.Kind == sim.KindDevicePoll {
			if err := s.ApproveDevice(<-codes, seat); err != nil {
				t.Error(err)
			}
		}
	}})
	seat = s.AddSeat(sim.Seat{Name: "ann"})
	l, err := (&Client{Issuer: s.Issuer()}).StartDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	codes <- l.UserCode
	tokens, err := l.Wait(t.Context())
	if err != nil || tokens.Refresh.Reveal() != seat.Tokens().Refresh {
		t.Errorf("got %v", err)
	}
}

func FuzzReadDeviceCode(f *testing.F) {
	for _, seed := range []string{
		`{"device_auth_id":"x","usercode":"ABCD","interval":"5","expires_at":1800000600}`,
		`{"device_auth_id":"x","user_code":"ABCD","interval":1e400,"expires_at":"2027-01-15T08:10:00Z"}`,
		`{"device_auth_id":"x","user_code":"A\u001b[2J","interval":"NaN","expires_in":"-Inf"}`,
	} {
		f.Add([]byte(seed))
	}
	at := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		code, ok := readDeviceCode(body, at)
		if !ok {
			return
		}
		if code.interval < time.Second || code.interval > deviceLimit || !code.expires.After(at) || code.expires.After(at.Add(deviceLimit)) {
			t.Errorf("%+v", code)
		}
		if strings.ContainsAny(code.userCode, "\x1b\n\r\x00") {
			t.Errorf("%q is not fit to be shown", code.userCode)
		}
	})
}
