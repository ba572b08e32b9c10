package auth

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"codex-rota/logging"
)

// dripping answers at once, and sends its body a byte a second until the request
// is given up. The body never becomes whole.
type dripping struct{ status int }

func (d dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: d.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: &drops{r: r}}, nil
}

type drops struct{ r *http.Request }

func (d *drops) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.r.Context().Done():
		return 0, d.r.Context().Err()
	}
}

func (*drops) Close() error { return nil }

// TestDrippingIssuer: an answer that comes a byte at a time ends when a silent one
// does, whatever it is the answer to, and is no refusal of the token.
func TestDrippingIssuer(t *testing.T) {
	for _, status := range []int{200, 400} {
		c := &Client{Issuer: "https://issuer.example", HTTP: &http.Client{Transport: dripping{status}}}
		for name, ask := range map[string]func(*testing.T) error{
			"refresh": func(t *testing.T) error {
				_, err := c.Refresh(t.Context(), logging.NewSecret("rt_x"))
				if refused, ok := err.(*RefreshError); !ok || refused.Final() {
					t.Errorf("%v is a final refusal", err)
				}
				return err
			},
			"code": func(t *testing.T) error {
				l := c.StartPaste(t.Context(), CodeOptions{})
				if err := l.Paste("ac_1"); err != nil {
					t.Fatal(err)
				}
				_, err := l.Wait(t.Context())
				return err
			},
			"device code": func(t *testing.T) error {
				_, err := c.StartDevice(t.Context())
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					if err := ask(t); err == nil || time.Since(start) != exchangeLimit {
						t.Errorf("status %d: %v after %v, want it to end after %v", status, err, time.Since(start), exchangeLimit)
					}
				})
			})
		}
	}
	t.Logf("figures: answers of a byte a second to a refresh, a code and a device code end after %v", exchangeLimit)
}

// TestDrippingBrowser: a request to the callback that comes a byte at a time is
// cut when one that stops is.
func TestDrippingBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, grants(0))
		start := time.Now()
		conn := r.pipes.dial(t)
		go func() {
			for _, b := range []byte("GET /auth/callback?code=ac_1&state=" + r.state + " HTTP/1.1\r\nHost: localhost:1455\r\n\r\n") {
				time.Sleep(time.Second)
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		status, text := readAnswer(t, conn, http.MethodGet)
		if time.Since(start) > requestTime || status == 200 {
			t.Errorf("%d %s after %v", status, text, time.Since(start))
		}
	})
}
