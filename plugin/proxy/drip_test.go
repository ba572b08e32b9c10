package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"codex-rota/plugin"
)

// dripping answers at once with 503, and sends its body a byte a second until the
// request is given up.
type dripping struct{}

func (dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: drops{r}}, nil
}

type drops struct{ r *http.Request }

func (d drops) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = 'x'
		return 1, nil
	case <-d.r.Context().Done():
		return 0, d.r.Context().Err()
	}
}

func (drops) Close() error { return nil }

// TestDrippingError: an error that comes a byte at a time is judged by what came
// in the time that its head has.
func TestDrippingError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const headers = 30 * time.Second
		c := &call{f: &front{Options: Options{HTTP: dripping{}}}, r: httptest.NewRequest(http.MethodPost, "/", nil)}
		start := time.Now()
		a, err := c.send(t.Context(), &plugin.Prepared{URL: "https://backend.example/", Timeouts: &plugin.Timeouts{HeadersMs: headers.Milliseconds(), IdleMs: 300_000}})
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		judged := -1
		_, err = a.judgeError(func(body []byte) (*plugin.Verdict, error) {
			judged = len(body)
			return &plugin.Verdict{Verdict: plugin.VerdictDeliver}, nil
		})
		if err != nil || time.Since(start) != headers || judged < 29 || judged > 30 {
			t.Errorf("%v after %v, %d bytes were judged", err, time.Since(start), judged)
		}
	})
}
