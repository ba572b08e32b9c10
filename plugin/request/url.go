package request

import (
	"net/url"
	"path"
	"strings"
)

// DefaultBackend is where ChatGPT's backend is.
const DefaultBackend = "https://chatgpt.com/backend-api"

const (
	codexFolder   = "/codex/"
	responsesPath = codexFolder + "responses"
)

// RewriteURL maps the URL of a model call to the backend's responses endpoint
// (FACTS-upstream 3): OpenAI's /v1/responses and /v1/chat/completions, and
// {backend}/codex/responses itself, be it the configured backend's or the
// default one's. backend "" is the default. The query is kept; user info and fragment are dropped. ok is
// false for every other URL: it is no model call and must get no token of ours.
func RewriteURL(raw, backend string) (rewritten string, ok bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.RawPath != "" {
		return "", false
	}
	if backend = strings.TrimRight(backend, "/"); backend == "" {
		backend = DefaultBackend
	}
	if !isOpenAI(u) && !isResponses(u, backend) && !isResponses(u, DefaultBackend) {
		return "", false
	}
	rewritten = backend + responsesPath
	if u.RawQuery != "" {
		rewritten += "?" + u.RawQuery
	}
	return rewritten, true
}

// UnderCodex maps a URL below {backend}/codex/ to the configured backend: what
// the Codex CLI asks beside its model calls (FACTS-hosts 2), be the URL the
// configured backend's or the default one's. The query is kept. ok is false for
// every other URL, and for a path that leads out of that folder.
func UnderCodex(raw, backend string) (rewritten string, ok bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.RawPath != "" || path.Clean(u.Path) != u.Path {
		return "", false
	}
	if backend = strings.TrimRight(backend, "/"); backend == "" {
		backend = DefaultBackend
	}
	for _, base := range []string{backend, DefaultBackend} {
		b, err := url.Parse(base)
		if err != nil || origin(u) != origin(b) {
			continue
		}
		if rest, ok := strings.CutPrefix(u.Path, b.Path+codexFolder); ok && rest != "" {
			rewritten = backend + codexFolder + (&url.URL{Path: rest}).EscapedPath()
			if u.RawQuery != "" {
				rewritten += "?" + u.RawQuery
			}
			return rewritten, true
		}
	}
	return "", false
}

// IsChat reports whether a URL that RewriteURL takes is a chat/completions call:
// it gets the new URL only, its body is another API's and must not be
// transformed.
func IsChat(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && isOpenAI(u) && u.Path == "/v1/chat/completions"
}

func isOpenAI(u *url.URL) bool {
	return origin(u) == "https://api.openai.com" &&
		(u.Path == "/v1/responses" || u.Path == "/v1/chat/completions")
}

func isResponses(u *url.URL, backend string) bool {
	b, err := url.Parse(backend)
	return err == nil && origin(u) == origin(b) && u.Path == b.Path+responsesPath
}

// origin is scheme and host as they are compared: lower case, no default port.
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host
}
