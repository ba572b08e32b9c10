package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// endpoint is an issuer in memory: it answers each request by a function, and
// keeps the forms and JSON texts that it was sent.
type endpoint struct {
	answer func(n int, r *http.Request) (*http.Response, error) // n counts from 1

	mu   sync.Mutex
	sent []string
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.sent = append(e.sent, string(body))
	n := len(e.sent)
	e.mu.Unlock()
	return e.answer(n, r)
}

func (e *endpoint) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent
}

func (e *endpoint) client() *Client {
	return &Client{Issuer: "https://issuer.example", HTTP: &http.Client{Transport: e}}
}

func jsonAnswer(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

var goodTokens = fmt.Sprintf(`{"access_token":%q,"refresh_token":"rt_new.one","expires_in":600}`, jwtOf(seatClaims).Reveal())

// grants answers every exchange after a while.
func grants(after time.Duration) *endpoint {
	return &endpoint{answer: func(_ int, r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(after):
			return jsonAnswer(200, goodTokens), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}}
}

// startPaste starts a login that is over when the test is.
func startPaste(t *testing.T, e *endpoint) *Login {
	l := e.client().StartPaste(t.Context(), CodeOptions{})
	t.Cleanup(l.Cancel)
	return l
}

func stateOf(t *testing.T, l *Login) string {
	t.Helper()
	u, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state")
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestPasteLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := grants(0)
		l := startPaste(t, e)
		for _, refused := range []struct {
			text string
			is   error
		}{{" ", ErrPaste}, {"what?", ErrPaste}, {"abc#another", ErrStateMismatch}, {"error=access_denied&state=another", ErrStateMismatch}} {
			if err := l.Paste(refused.text); !errors.Is(err, refused.is) || !errors.Is(err, ErrPaste) {
				t.Errorf("%q: %v", refused.text, err)
			}
		}
		if err := l.Paste("ac_1#" + stateOf(t, l)); err != nil {
			t.Fatal(err)
		}
		tokens, err := l.Wait(t.Context())
		if err != nil || tokens.Refresh.Reveal() != "rt_new.one" || !tokens.ExpiresAt.Equal(time.Now().Add(10*time.Minute)) {
			t.Errorf("got %v %v %v", tokens.Refresh.Reveal(), tokens.ExpiresAt, err)
		}
		if err := l.Paste("ac_2#" + stateOf(t, l)); !errors.Is(err, ErrLoginOver) {
			t.Errorf("a second code: %v", err)
		}
		sent := e.requests()
		if len(sent) != 1 {
			t.Fatalf("%d exchanges", len(sent))
		}
		form, err := url.ParseQuery(sent[0])
		if err != nil || len(form.Get("code_verifier")) != 86 {
			t.Errorf("verifier %q, %v", form.Get("code_verifier"), err)
		}
		form.Del("code_verifier")
		want := url.Values{"grant_type": {"authorization_code"}, "client_id": {DefaultClientID}, "code": {"ac_1"}, "redirect_uri": {"http://localhost:1455/auth/callback"}}
		if form.Encode() != want.Encode() {
			t.Errorf("sent %v, want %v", form, want)
		}
	})
}

func TestLoginEnds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		end   func(l *Login, cancelContext func())
		want  error
		after time.Duration
	}{
		{"cancel", func(l *Login, _ func()) { l.Cancel(); l.Cancel() }, ErrLoginCancelled, 0},
		{"its context", func(_ *Login, cancel func()) { cancel() }, context.Canceled, 0},
		{"time", func(*Login, func()) {}, ErrLoginExpired, 15 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				e := grants(0)
				l := e.client().StartPaste(ctx, CodeOptions{})
				if !l.ExpiresAt.Equal(start.Add(15 * time.Minute)) {
					t.Errorf("expires %v", l.ExpiresAt)
				}
				tc.end(l, cancel)
				if _, err := l.Wait(t.Context()); !errors.Is(err, tc.want) || time.Since(start) != tc.after {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if err := l.Paste("ac_1"); !errors.Is(err, ErrLoginOver) || len(e.requests()) != 0 {
					t.Errorf("a paste afterwards: %v, %d exchanges", err, len(e.requests()))
				}
				<-l.gone
			})
		})
	}
}

func TestWaitIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startPaste(t, grants(0))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := l.Paste("ac_1"); err != nil {
			t.Errorf("the login did not go on: %v", err)
		}
		<-l.done
		for range 100 { // which of two ready channels is looked at is chance
			if _, err := l.Wait(ctx); err != nil {
				t.Fatalf("tokens that are there were kept back: %v", err)
			}
		}
	})
}

// A code that is on its way is spent: what it bought must come home.
func TestExchangeIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		l := grants(20*time.Second).client().StartPaste(ctx, CodeOptions{})
		if err := l.Paste("ac_1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.Cancel()
		cancel()
		if time.Since(start) != 0 {
			t.Errorf("Cancel waited %v", time.Since(start))
		}
		if tokens, err := l.Wait(t.Context()); err != nil || tokens.Access.IsZero() {
			t.Errorf("lost: %v", err)
		}
		l.Cancel()
	})
}

// Of many codes that come at once, one is taken and exchanged.
func TestOneCodeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := grants(time.Second)
		l := startPaste(t, e)
		var taken, over int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				err := l.Paste(fmt.Sprintf("ac_%d", i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					taken++
				case errors.Is(err, ErrLoginOver):
					over++
				}
			})
		}
		all.Wait()
		if _, err := l.Wait(t.Context()); err != nil || taken != 1 || over != 19 || len(e.requests()) != 1 {
			t.Errorf("%v: %d taken, %d over, %d exchanges", err, taken, over, len(e.requests()))
		}
	})
}

func TestExchangeFailures(t *testing.T) {
	noSeat := jwtOf(`{"https://api.openai.com/auth":{"chatgpt_user_id":"u"}}`).Reveal()
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"refused", 400, `{"error":"invalid_grant","error_description":"rt_leak.ed"}`, "the sign-in server refused the login: 400 invalid_grant"},
		{"refused in words", 403, `<html>rt_leak.ed`, "the sign-in server refused the login: 403"},
		{"server error", 500, `{"error":{"code":"server_error"}}`, "the sign-in server gave no usable answer: 500 server_error"},
		{"redirect", 307, ``, "the sign-in server gave no usable answer: 307"},
		{"no JSON", 200, `<html>rt_leak.ed`, "the sign-in server gave no usable answer: 200"},
		{"no JWT", 200, `{"access_token":"rt_leak.ed","refresh_token":"rt_leak.ed"}`, "the login cannot be used: access token: not a JWT: want three parts, got 2"},
		{"no seat", 200, `{"access_token":"` + noSeat + `","refresh_token":"rt_leak.ed"}`, "the login cannot be used: the token does not name a ChatGPT account: no chatgpt_account_id in it"},
		{"no refresh token", 200, `{"access_token":"` + jwtOf(seatClaims).Reveal() + `"}`, "the login cannot be used: it came without a refresh token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{answer: func(int, *http.Request) (*http.Response, error) {
					return jsonAnswer(tc.status, tc.body, "Location", "https://elsewhere.example/"), nil
				}}
				l := startPaste(t, e)
				if err := l.Paste("ac_1"); err != nil {
					t.Fatal(err)
				}
				tokens, err := l.Wait(t.Context())
				if err == nil || err.Error() != tc.want || !tokens.Access.IsZero() {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if len(e.requests()) != 1 {
					t.Errorf("%d requests", len(e.requests()))
				}
				if shown := fmt.Sprintf("%+v %#v", err, err); strings.Contains(shown, "rt_") {
					t.Errorf("shows %s", shown)
				}
			})
		})
	}
}

func TestExchangeEndsAfter30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := (&Client{HTTP: &http.Client{Transport: silent{}}}).StartPaste(t.Context(), CodeOptions{})
		if err := l.Paste("ac_1"); err != nil {
			t.Fatal(err)
		}
		_, err := l.Wait(t.Context())
		if want := "the sign-in server did not answer within 30s"; err == nil || err.Error() != want || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
