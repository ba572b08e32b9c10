package instructions

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// hub is a GitHub on loopback. Its files are by path; an absent one is a 404.
type hub struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string]hubFile
	requests []string // path and, where sent, " if " ETag
	broken   int      // not 0: the status of every answer
}

type hubFile struct{ body, etag string }

const (
	releasePath = "/repos/openai/codex/releases/latest"
	catalogue1  = `{"models":[
		{"slug":"gpt-5.5","base_instructions":"BASE 5.5","supported_reasoning_levels":[{"effort":"low"},{"effort":"high"}],"default_reasoning_level":"low"},
		{"slug":"gpt-6-sol","model_messages":{"instructions_template":"SOL {{ personality }}.","instructions_variables":{"personality_default":"calm"}},"use_responses_lite":true}]}`
)

func rawPath(tag, file string) string { return "/openai/codex/" + tag + "/codex-rs/" + file }

func newHub(t *testing.T) *hub {
	h := &hub{files: map[string]hubFile{}}
	h.release("rust-v1")
	h.put(rawPath("rust-v1", "models-manager/models.json"), catalogue1)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		line := r.URL.Path
		if etag := r.Header.Get("If-None-Match"); etag != "" {
			line += " if " + etag
		}
		h.requests = append(h.requests, line)
		if r.Method != "GET" || r.Header.Get("User-Agent") != "codex-rota" || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("sent %s %s %v", r.Method, r.URL, r.Header)
		}
		file, ok := h.files[r.URL.Path]
		switch {
		case h.broken != 0 && r.URL.Path != "/elsewhere":
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(h.broken)
		case !ok:
			w.WriteHeader(404)
		case r.Header.Get("If-None-Match") == file.etag:
			w.WriteHeader(304)
		default:
			w.Header().Set("ETag", file.etag)
			fmt.Fprint(w, file.body)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hub) put(path, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[path] = hubFile{body, `"` + hash([]byte(path + body))[:8] + `"`}
}

func (h *hub) release(tag string) { h.put(releasePath, `{"tag_name":"`+tag+`"}`) }

func (h *hub) breakWith(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = status
}

func (h *hub) etag(path string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.files[path].etag
}

// asked gives the requests since the last time, and forgets them.
func (h *hub) asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	requests := h.requests
	h.requests = nil
	return requests
}

func (h *hub) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	if got := h.asked(); !slices.Equal(got, want) {
		t.Errorf("asked GitHub for\n%q, want\n%q", got, want)
	}
}

// clock is a settable time.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newTestCache(t *testing.T, h *hub, dir string) (*Cache, *clock) {
	t.Helper()
	clk := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := New(Options{Dir: dir, GitHubAPI: h.URL, GitHubRaw: h.URL + "/", Now: clk.now})
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c, clk
}

// get asks for a text, waits for what runs behind, and checks text and source.
func get(t *testing.T, c *Cache, model, text string, source Source) Text {
	t.Helper()
	got := c.Get(t.Context(), model)
	c.running.Wait()
	if got.Text != text || got.Source != source {
		t.Errorf("Get(%q) = %.60q from %s, want %.60q from %s", model, got.Text, got.Source, text, source)
	}
	return got
}

var modelsPath = rawPath("rust-v1", "models-manager/models.json")
