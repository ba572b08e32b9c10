package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"codex-rota/logging"
)

var (
	testNow   = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	testToken = logging.NewSecret("rt_the.old-one")
)

// issuer answers every request with one answer, and counts them.
type issuer struct {
	*httptest.Server
	requests atomic.Int32
	form     url.Values
	header   http.Header
	path     string
}

func newIssuer(t *testing.T, status int, contentType, body string) *issuer {
	t.Helper()
	is := &issuer{}
	is.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is.requests.Add(1)
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		is.form, is.header, is.path = r.PostForm, r.Header, r.Method+" "+r.URL.String()
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Location", is.URL+"/elsewhere")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(is.Close)
	return is
}

func (is *issuer) client() *Client {
	return &Client{Issuer: is.URL + "/", Now: func() time.Time { return testNow }}
}

func TestRefreshRequest(t *testing.T) {
	is := newIssuer(t, 200, "application/json", `{"access_token":"A","refresh_token":"R"}`)
	if _, err := is.client().Refresh(t.Context(), testToken); err != nil {
		t.Fatal(err)
	}
	if is.path != "POST /oauth/token" || is.header.Get("User-Agent") != "codex-rota" || is.header.Get("Authorization") != "" || is.header.Get("Cookie") != "" {
		t.Errorf("sent %s %v", is.path, is.header)
	}
	want := url.Values{"grant_type": {"refresh_token"}, "client_id": {DefaultClientID}, "refresh_token": {testToken.Reveal()}}
	if is.form.Encode() != want.Encode() {
		t.Errorf("sent form %v, want %v", is.form, want)
	}
}

func TestRefreshAnswers(t *testing.T) {
	jwt := jwtOf(seatClaims)
	for _, tc := range []struct {
		name, body  string
		access      string
		refresh, id string
		expires     time.Time
	}{
		{"everything", `{"access_token":"A","refresh_token":"R","id_token":"I","expires_in":600,"scope":"openid"}`, "A", "R", "I", testNow.Add(10 * time.Minute)},
		{"blank scope", `{"access_token":"A","refresh_token":"R","expires_in":600,"scope":""}`, "A", "R", "", testNow.Add(10 * time.Minute)},
		{"no refresh token: the old one stays", `{"access_token":"A","expires_in":600}`, "A", "", "", testNow.Add(10 * time.Minute)},
		{"the same refresh token", `{"access_token":"A","refresh_token":"` + testToken.Reveal() + `","expires_in":600}`, "A", "", "", testNow.Add(10 * time.Minute)},
		{"expires_in as text", `{"access_token":"A","expires_in":"600"}`, "A", "", "", testNow.Add(10 * time.Minute)},
		{"no expires_in: exp of the token", `{"access_token":"` + jwt.Reveal() + `"}`, jwt.Reveal(), "", "", time.Unix(1790000000, 0)},
		{"neither", `{"access_token":"A"}`, "A", "", "", time.Time{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := newIssuer(t, 200, "application/json", tc.body).client().Refresh(t.Context(), testToken)
			if err != nil {
				t.Fatal(err)
			}
			if got.Access.Reveal() != tc.access || got.Refresh.Reveal() != tc.refresh || got.ID.Reveal() != tc.id || !got.ExpiresAt.Equal(tc.expires) {
				t.Errorf("got %q %q %q %v", got.Access.Reveal(), got.Refresh.Reveal(), got.ID.Reveal(), got.ExpiresAt)
			}
		})
	}
}

// Each failure sends one request, is told apart, and shows nothing of the answer.
func TestRefreshRefusals(t *testing.T) {
	const leak = "rt_echoed.token"
	for _, tc := range []struct {
		name                      string
		status                    int
		body                      string
		code                      string
		final, revoked, transport bool
	}{
		{"OAuth", 400, `{"error":"invalid_grant","error_description":"` + leak + `"}`, "invalid_grant", true, false, false},
		{"two codes", 400, `{"error":"invalid_grant","code":"refresh_token_reused"}`, "refresh_token_reused", true, true, false},
		{"unknown code beside a final one", 400, `{"error":"invalid_grant","code":"brand_new"}`, "invalid_grant", true, false, false},
		{"nested", 401, `{"error":{"code":"refresh_token_expired","message":"` + leak + `"}}`, "refresh_token_expired", true, false, false},
		{"invalidated", 401, `{"error":{"code":"refresh_token_invalidated"}}`, "refresh_token_invalidated", true, true, false},
		{"session ended", 403, `{"detail":{"code":"app_session_terminated"}}`, "app_session_terminated", true, false, false},
		{"revoked but not final", 401, `{"error":{"code":"token_revoked"}}`, "token_revoked", false, true, false},
		{"told by the message", 401, `{"error":{"message":"Encountered invalidated oauth token for user"}}`, "", false, true, false},
		{"told by the detail", 401, `{"detail":"Your token has been invalidated."}`, "", false, true, false},
		{"unknown refusal", 403, `{"error":{"code":"brand_new"}}`, "brand_new", false, false, false},
		{"free text is no code", 403, `{"error":"` + leak + ` is bad"}`, "", false, false, false},
		{"a token is no code", 403, `{"error":"` + leak + `"}`, "", false, false, false},
		{"HTML", 403, `<html>` + leak + `</html>`, "", false, false, false},
		{"empty", 400, ``, "", false, false, false},
		{"JSON that is no object", 400, `["` + leak + `"]`, "", false, false, false},
		{"rate limit", 429, `{"error":"invalid_grant"}`, "invalid_grant", false, false, true},
		{"server error", 503, `{"error":"invalid_grant"}`, "invalid_grant", false, false, true},
		{"redirect", 307, ``, "", false, false, true},
		{"success with an error in it", 200, `{"error":"invalid_grant"}`, "invalid_grant", false, false, true},
		{"success without a token", 200, `{"leak":"` + leak + `"}`, "", false, false, true},
		{"success that is HTML", 200, `<html>` + leak, "", false, false, true},
		{"endless answer", 200, `{"access_token":"` + strings.Repeat("x", 2<<20) + `"}`, "", false, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			is := newIssuer(t, tc.status, "application/json", tc.body)
			_, err := is.client().Refresh(t.Context(), testToken)
			var e *RefreshError
			if !errors.As(err, &e) {
				t.Fatalf("got %T %v", err, err)
			}
			if e.Status != tc.status || e.Code != tc.code || e.Final() != tc.final || e.Revoked() != tc.revoked || e.Transport() != tc.transport {
				t.Errorf("got %d %q final %v revoked %v transport %v", e.Status, e.Code, e.Final(), e.Revoked(), e.Transport())
			}
			if n := is.requests.Load(); n != 1 {
				t.Errorf("%d requests were sent", n)
			}
			for _, verb := range []string{"%v", "%+v", "%s", "%#v"} {
				if shown := fmt.Sprintf(verb, err); strings.Contains(shown, "rt_") {
					t.Errorf("%s shows a token: %s", verb, shown)
				}
			}
			for unwrapped := err; unwrapped != nil; unwrapped = errors.Unwrap(unwrapped) {
				if strings.Contains(unwrapped.Error(), "rt_") {
					t.Errorf("a cause shows a token: %v", unwrapped)
				}
			}
		})
	}
}

func TestRefreshWithoutAnswer(t *testing.T) {
	is := newIssuer(t, 200, "", "")
	is.Close()
	_, err := is.client().Refresh(t.Context(), testToken)
	var e *RefreshError
	if !errors.As(err, &e) || e.Status != 0 || !e.Transport() || e.Final() || e.Revoked() {
		t.Fatalf("got %#v", err)
	}
	if err.Error() != "the sign-in server could not be reached" {
		t.Errorf("says %q", err)
	}
}

func TestRefreshNeedsAToken(t *testing.T) {
	is := newIssuer(t, 200, "", "")
	_, err := is.client().Refresh(t.Context(), logging.Secret{})
	var e *RefreshError
	if !errors.As(err, &e) || e.Transport() || is.requests.Load() != 0 {
		t.Errorf("got %v after %d requests", err, is.requests.Load())
	}
}

// silent answers nothing until its request is given up.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestRefreshEndsAfter30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := &Client{HTTP: &http.Client{Transport: silent{}}}
		_, err := c.Refresh(t.Context(), testToken)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if want := "the sign-in server did not answer within 30s"; err.Error() != want {
			t.Errorf("says %q, want %q", err, want)
		}
	})
}

func TestRefreshIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &Client{HTTP: &http.Client{Transport: silent{}}}
	if _, err := c.Refresh(ctx, testToken); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzReadRefusal(f *testing.F) {
	f.Add([]byte(`{"error":"invalid_grant","code":"refresh_token_reused"}`))
	f.Add([]byte(`{"error":{"code":1,"message":[]},"detail":null}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		code, _ := readRefusal(body)
		if code != "" && !hasCodeForm(code) {
			t.Errorf("%q passed as a code", code)
		}
	})
}
