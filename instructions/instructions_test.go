package instructions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
		case h.broken != 0:
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

func TestLifeOfAText(t *testing.T) {
	h, dir := newHub(t), filepath.Join(t.TempDir(), "cache")
	c, clk := newTestCache(t, h, dir)
	if h.asked() != nil {
		t.Error("New asked GitHub")
	}

	first := get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
	h.wantAsked(t, releasePath, modelsPath)
	if first.Tag != "rust-v1" || first.ETag != h.etag(modelsPath) || !first.FetchedAt.Equal(clk.now()) {
		t.Errorf("got %+v", first)
	}

	clk.add(ttl - time.Second)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceCache)
	get(t, c, "gpt-6-sol", "SOL calm.", SourceCache)
	h.wantAsked(t)

	clk.add(2 * time.Second)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
	h.wantAsked(t, releasePath+" if "+h.etag(releasePath)) // a 304 only moves the time
	again := get(t, c, "gpt-5.5", "BASE 5.5", SourceCache)
	if !again.FetchedAt.Equal(clk.now()) {
		t.Errorf("the 304 did not move the time: %v", again.FetchedAt)
	}

	h.release("rust-v2")
	newModels := rawPath("rust-v2", "models-manager/models.json")
	h.put(newModels, strings.Replace(catalogue1, "BASE 5.5", "NEW 5.5", 1))
	clk.add(ttl)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
	get(t, c, "gpt-5.5", "NEW 5.5", SourceCache)
	if got := h.asked(); len(got) != 2 || got[1] != newModels {
		t.Errorf("asked %q", got)
	}

	// Another process on the same folder asks nobody.
	other, otherClock := newTestCache(t, h, dir)
	otherClock.at = clk.now()
	get(t, other, "gpt-5.5", "NEW 5.5", SourceCache)
	if !other.Models()["gpt-6-sol"].Lite {
		t.Error("the catalogue was not read from the folder")
	}
	h.wantAsked(t)
}

// The same release under a new ETag: the catalogue is asked for with its own.
func TestCatalogueHasItsOwnETag(t *testing.T) {
	h := newHub(t)
	c, clk := newTestCache(t, h, t.TempDir())
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
	old := h.etag(releasePath)
	h.put(releasePath, `{"tag_name":"rust-v1","body":"notes were edited"}`)
	clk.add(ttl)
	h.asked()
	get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
	h.wantAsked(t, releasePath+" if "+old, modelsPath+" if "+h.etag(modelsPath))
	get(t, c, "gpt-5.5", "BASE 5.5", SourceCache)
}

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

func TestNothingCachedAndNoNetwork(t *testing.T) {
	h := newHub(t)
	c, clk := newTestCache(t, h, t.TempDir())
	h.breakWith(503)
	get(t, c, "gpt-5.5", embeddedText, SourceEmbedded)
	get(t, c, "gpt-5.5", embeddedText, SourceEmbedded)
	h.wantAsked(t, releasePath)
	if c.Models() != nil || c.WaitModels(t.Context()) != nil {
		t.Error("a catalogue out of nothing")
	}
	h.breakWith(0)
	clk.add(firstBackoff)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
}

// silent answers nothing until its request is given up.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestWaitsAreBounded(t *testing.T) {
	newSilent := func() *Cache {
		return New(Options{Dir: t.TempDir(), HTTP: &http.Client{Transport: silent{}}})
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
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSilent()
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

func TestOneRenewalForAll(t *testing.T) {
	h := newHub(t)
	c, _ := newTestCache(t, h, t.TempDir())
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			model := []string{"gpt-5.5", "gpt-6-sol"}[i%2]
			if got := c.Get(t.Context(), model); got.Source == SourceEmbedded {
				t.Errorf("%s: embedded", model)
			}
			c.Models()
		})
	}
	callers.Wait()
	c.running.Wait()
	h.wantAsked(t, releasePath, modelsPath)
}

func TestRefresh(t *testing.T) {
	h := newHub(t)
	c, _ := newTestCache(t, h, t.TempDir())
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
	h.put(modelsPath, strings.Replace(catalogue1, "BASE 5.5", "MOVED", 1))
	h.asked()
	got, err := c.Refresh(t.Context(), "gpt-5.5") // within the TTL
	if err != nil || got.Text != "MOVED" || got.Source != SourceNetwork {
		t.Errorf("got %+v, %v", got, err)
	}
	if asked := h.asked(); len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}
	h.breakWith(500)
	for range 2 { // a back-off does not hold it
		got, err = c.Refresh(t.Context(), "gpt-5.5")
		if err == nil || !strings.Contains(err.Error(), "500") || got.Text != "MOVED" || got.Source != SourceCache {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if asked := h.asked(); len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}
}

func TestModels(t *testing.T) {
	h := newHub(t)
	c, clk := newTestCache(t, h, t.TempDir())
	if c.Models() != nil {
		t.Error("models before the first fetch")
	}
	models := c.WaitModels(t.Context())
	c.running.Wait()
	if m := models["gpt-5.5"]; m.Slug != "gpt-5.5" || !slices.Equal(m.Efforts, []string{"low", "high"}) || m.DefaultEffort != "low" || m.Lite {
		t.Errorf("got %+v", m)
	}
	if len(models) != 2 || !models["gpt-6-sol"].Lite {
		t.Errorf("got %+v", models)
	}
	h.asked()
	clk.add(ttl)
	if len(c.Models()) != 2 {
		t.Error("an old catalogue is better than none")
	}
	c.running.Wait()
	if got := h.asked(); len(got) != 1 {
		t.Errorf("an old catalogue was not renewed behind: %q", got)
	}
	if n := testing.AllocsPerRun(100, func() { c.Models() }); n > 10 {
		t.Errorf("%v allocations for a look at the catalogue", n)
	}
}

func TestBadAnswers(t *testing.T) {
	for _, tc := range []struct{ name, path, body string }{
		{"release is no JSON", releasePath, "<html>"},
		{"no tag", releasePath, "{}"},
		{"a tag that is a path", releasePath, `{"tag_name":"../../etc"}`},
		{"catalogue is no JSON", modelsPath, "<html>"},
		{"empty catalogue", modelsPath, `{"models":[]}`},
		{"endless catalogue", modelsPath, strings.Repeat(" ", maxFile+1) + catalogue1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHub(t)
			c, _ := newTestCache(t, h, t.TempDir())
			get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
			h.put(tc.path, tc.body)
			if _, err := c.Refresh(t.Context(), "gpt-5.5"); err == nil {
				t.Error("no error")
			}
			get(t, c, "gpt-5.5", "BASE 5.5", SourceCache)
		})
	}
}

func TestTheFolder(t *testing.T) {
	h, dir := newHub(t), filepath.Join(t.TempDir(), "a", "cache")
	c, _ := newTestCache(t, h, dir)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
	for name, mode := range map[string]os.FileMode{"": 0o700, metaFile: 0o600, "codex-instructions-gpt-5.5.txt": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}

	t.Run("a text that was changed counts as absent", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "codex-instructions-gpt-5.5.txt"), []byte("EVIL"), 0o600); err != nil {
			t.Fatal(err)
		}
		other, _ := newTestCache(t, h, dir)
		h.asked()
		get(t, other, "gpt-5.5", "BASE 5.5", SourceNetwork)
		h.wantAsked(t, modelsPath) // without an ETag, and without asking for the release again
	})
	for name, content := range map[string]string{
		"no JSON": "{", "a newer version": `{"version":99,"tag":"x"}`, "a bad tag": `{"version":1,"tag":"../x"}`,
	} {
		t.Run("meta file is "+name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, metaFile), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
		})
	}
	t.Run("a clock that was set back", func(t *testing.T) {
		other, clk := newTestCache(t, h, dir)
		clk.add(-time.Hour)
		get(t, other, "gpt-5.5", "BASE 5.5", SourceStale)
	})
	t.Run("a folder that cannot be written", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		other, _ := newTestCache(t, h, filepath.Join(file, "cache"))
		get(t, other, "gpt-5.5", "BASE 5.5", SourceNetwork)
		get(t, other, "gpt-6-sol", "SOL calm.", SourceCache)
		h.put(rawPath("rust-v1", "core/gpt_5_codex_prompt.md"), "CODEX")
		get(t, other, "gpt-5-codex", "CODEX", SourceNetwork)
		get(t, other, "gpt-5.5", "BASE 5.5", SourceCache)
	})
}

func TestOlderFamilies(t *testing.T) {
	h := newHub(t)
	c, clk := newTestCache(t, h, t.TempDir())
	max, codex := rawPath("rust-v1", "core/gpt-5.1-codex-max_prompt.md"), rawPath("rust-v1", "core/gpt_5_codex_prompt.md")
	newest, generic := rawPath("rust-v1", "core/gpt-5.2-codex_prompt.md"), rawPath("rust-v1", "core/prompt.md")
	h.put(codex, "CODEX")
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
	h.asked()

	get(t, c, "gpt-5.2-codex", "CODEX", SourceNetwork)
	h.wantAsked(t, newest, max, codex)
	got := get(t, c, "openai/gpt-5.1-codex-max", "CODEX", SourceCache) // what is missing is remembered
	if got.ETag != h.etag(codex) {
		t.Errorf("ETag %s", got.ETag)
	}
	get(t, c, "gpt-5.5-high", "BASE 5.5", SourceCache)
	h.wantAsked(t)
	get(t, c, "somebody-elses", "BASE 5.5", SourceNetwork)
	h.wantAsked(t, generic)

	h.release("rust-v2")
	h.put(rawPath("rust-v2", "models-manager/models.json"), catalogue1)
	h.put(rawPath("rust-v2", "core/gpt-5.2-codex_prompt.md"), "NEWEST")
	clk.add(ttl)
	get(t, c, "gpt-5.2-codex", "CODEX", SourceStale)
	get(t, c, "gpt-5.2-codex", "NEWEST", SourceCache)
}

// A release that has moved models.json still gives what it can.
func TestNoCatalogueInTheRelease(t *testing.T) {
	h := newHub(t)
	c, clk := newTestCache(t, h, t.TempDir())
	h.release("rust-v3")
	get(t, c, "gpt-5.5", embeddedText, SourceEmbedded)
	h.put(rawPath("rust-v3", "core/gpt_5_codex_prompt.md"), "CODEX")
	get(t, c, "gpt-5-codex", "CODEX", SourceNetwork)
	if c.Models() != nil {
		t.Error("models without a catalogue")
	}

	h.release("rust-v1")
	clk.add(ttl)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork) // there was no text to give at once

	h.release("rust-v3")
	clk.add(ttl)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceStale)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceCache) // the old catalogue is kept
}
