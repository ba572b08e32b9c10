package instructions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailureKeepsTheOldTextAndBacksOff(t *testing.T) {
	for _, status := range []int{500, 403, 301} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			h := newHub(t)
			c, clk := newTestCache(t, h, t.TempDir())
			get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
			h.breakWith(status)
			clk.add(ttl)
			h.asked()
			for _, tc := range []struct {
				after    time.Duration
				requests int
			}{
				{0, 1}, {firstBackoff - 1, 0}, {1, 1}, {2*firstBackoff - 1, 0}, {1, 1}, {4*firstBackoff - 1, 0}, {1, 1},
			} {
				clk.add(tc.after)
				get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
				if got := h.asked(); len(got) != tc.requests {
					t.Errorf("%v later: asked %q, want %d requests", tc.after, got, tc.requests)
				}
			}
			for range 20 {
				clk.add(ttl) // the back-off never grows beyond the TTL
				get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
			}
			if got := h.asked(); len(got) != 20 {
				t.Errorf("asked %d times in 20 TTLs", len(got))
			}
			h.breakWith(0)
			clk.add(ttl)
			get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
			get(t, c, "gpt-5.5", "BASE 5.5", SourceCache)
		})
	}
}

// silent answers nothing until its request is given up.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// dripping sends its answer a byte a second until its request is given up.
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

func TestWaitsAreBounded(t *testing.T) {
	newCache := func(transport http.RoundTripper) *Cache {
		return New(Options{Dir: t.TempDir(), HTTP: &http.Client{Transport: transport}})
	}
	for _, tc := range []struct {
		name  string
		limit time.Duration // of the caller
		call  func(context.Context, *Cache)
		want  time.Duration
	}{
		{"by the caller", 3 * time.Second, func(ctx context.Context, c *Cache) { c.Get(ctx, "m") }, 3 * time.Second},
		{"by the renewal's own limit", time.Hour, func(ctx context.Context, c *Cache) { c.Get(ctx, "m") }, renewalLimit},
		{"the catalogue too", 3 * time.Second, func(ctx context.Context, c *Cache) { c.WaitModels(ctx) }, 3 * time.Second},
		{"Models never waits", time.Hour, func(_ context.Context, c *Cache) { c.Models() }, 0},
		{"Refresh", time.Hour, func(ctx context.Context, c *Cache) { c.Refresh(ctx, "m") }, renewalLimit},
		{"Close ends a renewal", time.Hour, func(ctx context.Context, c *Cache) { c.Models(); c.Close(ctx) }, 0},
	} {
		for how, transport := range map[string]http.RoundTripper{"silent": silent{}, "dripping": dripping{}} {
			t.Run(tc.name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(transport)
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), tc.limit)
					defer cancel()
					tc.call(ctx, c)
					if took := time.Since(start); took != tc.want {
						t.Errorf("took %v, want %v", took, tc.want)
					}
					if err := c.Close(t.Context()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

func TestCloseGivesUpWithItsCaller(t *testing.T) {
	c := New(Options{Dir: t.TempDir()})
	c.running.Add(1) // a renewal that does not end
	defer c.running.Done()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAfterClose(t *testing.T) {
	h := newHub(t)
	c, clk := newTestCache(t, h, t.TempDir())
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	clk.add(ttl)
	h.asked()
	get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
	if _, err := c.Refresh(t.Context(), "gpt-5.5"); err == nil {
		t.Error("Refresh worked after Close")
	}
	h.wantAsked(t)
}

// slow answers like the hub, but a second later, and counts.
type slow struct {
	mu    sync.Mutex
	asked []string
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path)
	s.mu.Unlock()
	time.Sleep(time.Second) // of the bubble's clock
	w := httptest.NewRecorder()
	if r.URL.Path == releasePath {
		fmt.Fprint(w, `{"tag_name":"rust-v1"}`)
	} else {
		fmt.Fprint(w, catalogue1)
	}
	return w.Result(), nil
}

func TestOneRenewalForAll(t *testing.T) {
	for _, tc := range []struct {
		name string
		call func(context.Context, *Cache, int) Text
	}{
		{"Get of two models", func(ctx context.Context, c *Cache, i int) Text {
			return c.Get(ctx, []string{"gpt-5.5", "gpt-6-sol"}[i%2])
		}},
		{"beside the catalogue", func(ctx context.Context, c *Cache, _ int) Text { c.WaitModels(ctx); return c.Get(ctx, "gpt-5.5") }},
		{"Refresh", func(ctx context.Context, c *Cache, _ int) Text {
			text, err := c.Refresh(ctx, "gpt-5.5")
			if err != nil {
				t.Error(err)
			}
			return text
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &slow{}
				c := New(Options{Dir: t.TempDir(), HTTP: &http.Client{Transport: hub}})
				var callers sync.WaitGroup
				for i := range 20 {
					callers.Go(func() {
						if got := tc.call(t.Context(), c, i); got.Source == SourceEmbedded {
							t.Error("embedded")
						}
					})
				}
				callers.Wait()
				if want := []string{releasePath, modelsPath}; !slices.Equal(hub.asked, want) {
					t.Errorf("asked %q, want %q", hub.asked, want)
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
