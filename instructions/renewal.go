package instructions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var errClosed = errors.New("the instructions cache is closed")

// flight is one renewal, shared by all who ask for the same while it runs.
type flight struct {
	done chan struct{}
	err  error // to be read after done
}

// wait reports whether the renewal ended before ctx did.
func (f *flight) wait(ctx context.Context) bool {
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// renew starts a renewal for a model ("": of the catalogue alone), or gives the
// one that runs already. It gives nil after Close and, unless forced, while
// failures are being backed off from.
func (c *Cache) renew(model string, force bool) *flight {
	key := model
	if force {
		key = "force " + model
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f
	}
	if c.closed || !force && c.now().Before(c.retryAt) {
		return nil
	}
	f := &flight{done: make(chan struct{})}
	c.flights[key] = f
	c.running.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, renewalLimit)
		defer cancel()
		f.err = c.run(ctx, model, force)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settle(f.err)
		delete(c.flights, key)
		close(f.done)
	})
	return f
}

// settle counts failures and says when the next try may be. The caller holds mu.
func (c *Cache) settle(err error) {
	if err == nil {
		c.failures, c.retryAt = 0, c.now()
		return
	}
	wait := min(firstBackoff<<min(c.failures, 10), ttl)
	c.failures++
	c.retryAt = c.now().Add(wait)
	if !c.closed {
		c.log.Warn("the Codex instructions could not be renewed", "error", err, "retry_in", wait)
	}
}

// run renews what is old and fetches what the model still lacks.
func (c *Cache) run(ctx context.Context, model string, force bool) error {
	select { // one renewal at a time: a later one finds the earlier one's result
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if snap := c.store.load(); force || !snap.fresh(c.now()) {
		if err := c.renewRelease(ctx, snap, force); err != nil {
			return err
		}
	}
	if model == "" && !force {
		return nil
	}
	return c.complete(ctx, model)
}

// renewRelease asks for the newest release and, if it is another one, for what
// is cached of it.
func (c *Cache) renewRelease(ctx context.Context, snap *snapshot, force bool) error {
	ch := changeOf(snap)
	tag, release, err := c.github.latestRelease(ctx, ch.meta.ReleaseETag)
	if err != nil {
		return err
	}
	if release.status == http.StatusNotModified {
		tag = ch.meta.Tag
	} else {
		ch.meta.ReleaseETag = release.etag
	}
	moved := tag != ch.meta.Tag
	ch.meta.Tag = tag
	// A 304 only moves the time (FACTS-upstream 6).
	if release.status != http.StatusNotModified || force {
		etag := ch.meta.CatalogueETag
		if moved {
			etag = "" // an ETag belongs to one URL
		}
		if err := c.fetchCatalogue(ctx, &ch, etag); err != nil {
			return err
		}
	}
	if moved {
		for name := range ch.meta.Prompts {
			if err := c.fetchPrompt(ctx, &ch, name); err != nil {
				return err
			}
		}
	}
	ch.meta.FetchedAt = c.now()
	c.store.commit(ch)
	return nil
}

// complete fetches, file by file, what has to be known to settle which text the
// model gets. Each round settles one place, so a few rounds are enough.
func (c *Cache) complete(ctx context.Context, model string) error {
	for range maxRounds {
		snap := c.store.load()
		found := c.store.resolve(snap, model)
		if found.settled() {
			return nil
		}
		if snap == nil {
			break // the folder was emptied just now
		}
		ch := changeOf(snap)
		var err error
		if found.catalogue {
			err = c.fetchCatalogue(ctx, &ch, "")
		} else {
			err = c.fetchPrompt(ctx, &ch, found.prompt)
		}
		if err != nil {
			return err
		}
		c.store.commit(ch)
	}
	return fmt.Errorf("the text for %q does not stay in the cache folder", model)
}

// maxRounds is more than the places that one model's text may be in.
const maxRounds = 8

// fetchCatalogue puts models.json and its texts into the change. A release
// without that file leaves the catalogue as it was, less the texts that are
// gone.
func (c *Cache) fetchCatalogue(ctx context.Context, ch *change, etag string) error {
	a, err := c.github.catalogue(ctx, ch.meta.Tag, etag)
	if err != nil || a.status == http.StatusNotModified {
		return err
	}
	if a.status == http.StatusNotFound {
		c.log.Warn("this Codex release has no models.json where it used to be", "tag", ch.meta.Tag)
		c.store.dropLostTexts(&ch.meta)
		return nil
	}
	models, err := parseCatalogue(a.body)
	if err != nil {
		return err
	}
	ch.meta.CatalogueETag = a.etag
	ch.meta.Models = nil
	for _, m := range models {
		entry := cachedModel{Model: m.Model}
		if m.text != "" {
			ref := ch.add(m.Slug, m.text, a.etag)
			entry.Text = &ref
		}
		ch.meta.Models = append(ch.meta.Models, entry)
	}
	return nil
}

// fetchPrompt puts a file of codex-rs/core, or its absence, into the change.
func (c *Cache) fetchPrompt(ctx context.Context, ch *change, name string) error {
	a, err := c.github.prompt(ctx, ch.meta.Tag, name)
	if err != nil {
		return err
	}
	if a.status == http.StatusNotFound || len(a.body) == 0 {
		ch.meta.Prompts[name] = textRef{Tag: ch.meta.Tag}
		return nil
	}
	ch.meta.Prompts[name] = ch.add("core-"+strings.TrimSuffix(name, ".md"), string(a.body), a.etag)
	return nil
}
