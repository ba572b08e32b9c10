package plugin

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrippingStream: a stream that says nothing, a byte at a time, is looked at
// for as long as a call may last before its delivery, and then is the host's.
func TestDrippingStream(t *testing.T) {
	const every = 10 * time.Second
	r := newServiceRig(t, 2, rigOptions{})
	r.prepare("c", "s")
	number, drops := 1, 0
	for {
		v := r.report(ResponseParams{Call: callID("c"), Attempt: &number, Status: 200, Offset: int64(drops)}, ":")
		if v.Verdict != VerdictMore {
			r.wantDeliver(v)
			break
		}
		if drops++; time.Duration(drops)*every > time.Hour {
			t.Fatal("undecided for an hour")
		}
		r.clock.add(every)
	}
	if waited := time.Duration(drops) * every; waited != callLimit {
		t.Errorf("delivered after %v, want %v", waited, callLimit)
	}
	r.wantStates("ready", "ready")
	t.Logf("figures: a stream of a byte every %v was delivered undecided after %v", every, time.Duration(drops)*every)
}

// dripping sends a byte a second until its request is given up.
type dripping struct{}

func (dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: drops{r}}, nil
}

type drops struct{ r *http.Request }

func (d drops) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.r.Context().Done():
		return 0, d.r.Context().Err()
	}
}

func (drops) Close() error { return nil }

// TestDrippingUsage: reading the quota ends, and teaches nothing.
func TestDrippingUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newServiceRig(t, 2, rigOptions{now: time.Now, http: &http.Client{Transport: dripping{}}})
		start := time.Now()
		_, err := r.QuotaRefresh(t.Context(), QuotaRefreshParams{})
		if err == nil || time.Since(start) != usageTimeout {
			t.Errorf("%v after %v, want it to end after %v", err, time.Since(start), usageTimeout)
		}
		r.wantStates("ready", "ready")
	})
	t.Logf("figures: a usage answer of a byte a second ends after %v", usageTimeout)
}
