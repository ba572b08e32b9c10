package rpc

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrippingHost: a host that sends a byte a minute gets each answer as soon as
// its message is whole, waits for no answer because of what it is still sending,
// and its end in the middle of a message is the end.
func TestDrippingHost(t *testing.T) {
	for name, frames := range map[string]func(string) string{
		"lines":   func(text string) string { return text + "\n" },
		"headers": func(text string) string { return framed(text, "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := newFake()
				in, host := io.Pipe()
				var out output
				ended := make(chan error, 1)
				go func() { ended <- Serve(t.Context(), in, &out, Options{Service: service}) }()
				drip := func(text string) {
					for _, b := range []byte(text) {
						time.Sleep(time.Minute)
						if _, err := host.Write([]byte{b}); err != nil {
							t.Errorf("it is not heard any more: %v", err)
							return
						}
					}
				}
				start := time.Now()
				drip(frames(strings.TrimSpace(explain(1, "hold"))))
				second := frames(strings.TrimSpace(explain(2, "fast")))
				drip(second[:len(second)/2])
				close(service.hold)
				synctest.Wait()
				if text := string(out.take()); !strings.Contains(text, `"id":1`) {
					t.Errorf("in the middle of the second message the first has the answer %q", text)
				}
				drip(second[len(second)/2:])
				synctest.Wait()
				if text := string(out.take()); !strings.Contains(text, `"id":2`) {
					t.Errorf("the second message has the answer %q", text)
				}
				drip(second[:len(second)/2])
				t.Logf("figures: a host of a byte a minute was served for %v (%s)", time.Since(start), name)
				gone := time.Now()
				host.Close()
				if err := <-ended; err != nil || time.Since(gone) > drainTime {
					t.Errorf("ended with %v, %v after its host", err, time.Since(gone))
				}
			})
		})
	}
}
