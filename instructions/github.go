package instructions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// github asks the two hosts of GitHub for public files of openai/codex.
type github struct {
	api, raw string
	client   *http.Client
}

func newGitHub(o Options) *github {
	g := &github{api: strings.TrimRight(o.GitHubAPI, "/"), raw: strings.TrimRight(o.GitHubRaw, "/")}
	if g.api == "" {
		g.api = DefaultGitHubAPI
	}
	if g.raw == "" {
		g.raw = DefaultGitHubRaw
	}
	g.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if o.HTTP != nil {
		g.client.Transport = o.HTTP.Transport
	}
	return g
}

// answer is a 200, a 304 to a request that named an ETag, or a 404.
type answer struct {
	status int
	etag   string
	body   []byte
}

// longestTag is the longest name of a release that is believed.
const longestTag = 128

// latestRelease gives the newest release's tag, or the answer 304.
func (g *github) latestRelease(ctx context.Context, etag string) (string, answer, error) {
	a, err := g.get(ctx, g.api+"/repos/openai/codex/releases/latest", etag)
	if err != nil || a.status == http.StatusNotModified {
		return "", a, err
	}
	if a.status == http.StatusNotFound {
		return "", a, fmt.Errorf("GitHub knows no release of openai/codex")
	}
	var release struct {
		Tag string `json:"tag_name"`
	}
	if err := json.Unmarshal(a.body, &release); err != nil {
		return "", a, fmt.Errorf("releases/latest: %w", err)
	}
	if !isPlain(release.Tag, longestTag) {
		return "", a, fmt.Errorf("releases/latest names the tag %.100q, which cannot be one", release.Tag)
	}
	return release.Tag, a, nil
}

// catalogue asks for models.json at a tag.
func (g *github) catalogue(ctx context.Context, tag, etag string) (answer, error) {
	return g.file(ctx, tag, "codex-rs/models-manager/models.json", etag)
}

// prompt asks for a file of codex-rs/core at a tag.
func (g *github) prompt(ctx context.Context, tag, name string) (answer, error) {
	return g.file(ctx, tag, "codex-rs/core/"+url.PathEscape(name), "")
}

func (g *github) file(ctx context.Context, tag, path, etag string) (answer, error) {
	return g.get(ctx, g.raw+"/openai/codex/"+tag+"/"+path, etag)
}

func (g *github) get(ctx context.Context, url, etag string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", "codex-rota")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, etag: resp.Header.Get("ETag")}
	switch {
	case a.status == http.StatusNotFound, a.status == http.StatusNotModified && etag != "":
		return a, nil
	case a.status != http.StatusOK:
		return answer{}, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err != nil {
		return answer{}, fmt.Errorf("GET %s: %w", url, err)
	}
	if len(a.body) > maxFile {
		return answer{}, fmt.Errorf("GET %s: the answer is larger than %d bytes", url, maxFile)
	}
	return a, nil
}
