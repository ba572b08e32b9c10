// Package instructions keeps the Codex instructions and the model catalogue
// from the newest release of openai/codex on GitHub: an ETag cache with a
// 15-minute TTL on disk, shared by all processes (FACTS-upstream 6). It sends no
// credentials and asks nobody but GitHub.
package instructions

import (
	"context"
	_ "embed"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Where GitHub is (DESIGN 8: both can be set).
const (
	DefaultGitHubAPI = "https://api.github.com"
	DefaultGitHubRaw = "https://raw.githubusercontent.com"
)

const (
	ttl          = 15 * time.Minute // within it no request is made
	renewalLimit = 10 * time.Second // of one renewal, all its requests together
	firstBackoff = 10 * time.Second // after a failure; doubles up to ttl
)

// Source says where a text came from.
type Source string

const (
	SourceNetwork  Source = "network"  // fetched for this very call
	SourceCache    Source = "cache"    // confirmed by GitHub within the TTL
	SourceStale    Source = "stale"    // older; it is being renewed behind
	SourceEmbedded Source = "embedded" // our own short text: nothing else is to be had
)

// Text is the instructions for a model. ETag, Tag (the release) and FetchedAt,
// when GitHub last confirmed it, are empty for SourceEmbedded.
type Text struct {
	Text      string
	Source    Source
	ETag      string
	Tag       string
	FetchedAt time.Time
}

// Model is what the catalogue says of one slug (FACTS-upstream 3). Efforts are
// in the catalogue's order.
type Model struct {
	Slug          string   `json:"slug"`
	Efforts       []string `json:"efforts,omitempty"`
	DefaultEffort string   `json:"defaultEffort,omitempty"`
	Lite          bool     `json:"lite,omitempty"` // use_responses_lite
}

// Options are what New needs. Dir is the cache folder, made when first written
// to. The base URLs are the defaults when "", Now is time.Now when nil. Of HTTP
// only the Transport is used; redirects are never followed. Log nil discards.
type Options struct {
	Dir       string
	GitHubAPI string
	GitHubRaw string
	HTTP      *http.Client
	Now       func() time.Time
	Log       hclog.Logger
}

// Cache serves instructions and the catalogue from the cache folder and renews
// it when a call finds it old. It may be used concurrently, and by several
// processes on one folder. Close it to end a renewal that runs behind.
type Cache struct {
	store  *store
	github *github
	now    func() time.Time
	log    hclog.Logger

	ctx    context.Context // of renewals; ended by Close
	cancel context.CancelFunc
	turn   chan struct{} // held by the renewal that is running

	mu       sync.Mutex
	flights  map[string]*flight
	running  sync.WaitGroup
	closed   bool
	failures int       // in a row
	retryAt  time.Time // no renewal before, unless forced
}

// New makes a cache. It asks nobody and touches no file.
func New(o Options) *Cache {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Cache{
		store:   &store{dir: o.Dir, log: o.Log},
		github:  newGitHub(o),
		now:     o.Now,
		log:     o.Log,
		ctx:     ctx,
		cancel:  cancel,
		turn:    make(chan struct{}, 1),
		flights: map[string]*flight{},
	}
}

//go:embed embedded.txt
var embeddedText string

// Get gives the instructions for a model, always some. A cached text comes at
// once, and is renewed behind when it is older than the TTL. With nothing
// cached it waits for GitHub as long as ctx allows and at most 10 s, then gives
// the embedded text.
func (c *Cache) Get(ctx context.Context, model string) Text {
	text, ok := c.cached(model)
	if ok && text.Source == SourceCache {
		return text
	}
	f := c.renew(model, false)
	switch {
	case ok:
		return text
	case f == nil || !f.wait(ctx):
		return Text{Text: embeddedText, Source: SourceEmbedded}
	}
	return c.fetched(model)
}

// Refresh asks GitHub now, whatever the age of what is cached, and gives the
// text that results. On an error that is the text as it was before.
func (c *Cache) Refresh(ctx context.Context, model string) (Text, error) {
	f := c.renew(model, true)
	if f == nil {
		return c.Get(ctx, model), errClosed
	}
	if !f.wait(ctx) {
		return c.Get(ctx, model), context.Cause(ctx)
	}
	if f.err != nil {
		return c.Get(ctx, model), f.err
	}
	return c.fetched(model), nil
}

// Models is the catalogue by slug, nil when none was ever fetched: then a model
// is unknown and passes as it is. The map is shared and must not be changed; it
// stays the same map until the catalogue changes. Models never waits; an absent
// or old catalogue is renewed behind. What another process fetched is seen within
// a second.
func (c *Cache) Models() map[string]Model {
	now := c.now()
	snap := c.store.seen(now)
	if !snap.fresh(now) {
		c.renew("", false)
	}
	return snap.catalogue()
}

// WaitModels is Models for a caller that would rather wait for the first fetch,
// as long as ctx allows, than treat a model as unknown.
func (c *Cache) WaitModels(ctx context.Context) map[string]Model {
	if models := c.Models(); models != nil {
		return models
	}
	if f := c.renew("", false); f != nil {
		f.wait(ctx)
	}
	return c.store.load().catalogue()
}

// Close ends a renewal in flight and waits for it as long as ctx allows. What
// is cached can still be read afterwards.
func (c *Cache) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	done := make(chan struct{})
	go func() { c.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cached is the text on disk for a model, if there is a whole one.
func (c *Cache) cached(model string) (Text, bool) {
	snap := c.store.load()
	found := c.store.resolve(snap, model)
	if !found.ok {
		return Text{}, false
	}
	text := Text{Text: found.text, Source: SourceStale, ETag: found.ref.ETag, Tag: found.ref.Tag, FetchedAt: snap.FetchedAt}
	if snap.fresh(c.now()) {
		text.Source = SourceCache
	}
	return text, true
}

// fetched is the text for a model after a renewal that was waited for.
func (c *Cache) fetched(model string) Text {
	text, ok := c.cached(model)
	switch {
	case !ok:
		return Text{Text: embeddedText, Source: SourceEmbedded}
	case text.Source == SourceCache:
		text.Source = SourceNetwork
	}
	return text
}
