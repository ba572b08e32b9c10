package instructions

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

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
