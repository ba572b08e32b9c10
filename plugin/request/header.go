package request

import (
	"slices"
	"strings"
)

// Authorization is what an account puts into a call's headers. AccessToken is in
// clear here: a value of this type is for Headers alone, never for a log.
type Authorization struct {
	AccessToken string
	AccountID   string // chatgpt_account_id
	Residency   string // the token's claim; "" and no_constraint are not sent
}

// ModelCall is what a model call's headers must say beside who asks: without the
// content type the backend gives a misleading 400 (FACTS-upstream 3).
func ModelCall() []Header {
	return []Header{{"accept", "text/event-stream"}, {"content-type", "application/json"}}
}

// Headers is the complete set to send: what the host sent and may be sent on, in
// its order, then ours (FACTS-upstream 3, FACTS-hosts 1). The client says who it
// is: user-agent, originator, version, session and thread ids and x-codex-* stay.
// extra replaces headers of the same names. movedAccount drops
// x-codex-turn-state, which belongs to the account of the turn so far
// (FACTS-hosts 2). A header that could smuggle in another line is dropped.
func Headers(in []Header, a Authorization, extra []Header, movedAccount bool) []Header {
	ours := append(make([]Header, 0, 3+len(extra)),
		Header{"authorization", "Bearer " + a.AccessToken},
		Header{"chatgpt-account-id", a.AccountID})
	if a.Residency != "" && !strings.EqualFold(a.Residency, "no_constraint") {
		ours = append(ours, Header{residencyHeader, a.Residency})
	}
	ours = slices.DeleteFunc(append(ours, extra...), func(h Header) bool { return h[1] == "" || !sendable(h) })
	named := connectionNames(in)
	out := make([]Header, 0, len(in)+len(ours))
	for _, h := range in {
		name := strings.ToLower(h[0])
		if !sendable(h) || withheld(name) || slices.Contains(named, name) ||
			movedAccount && name == "x-codex-turn-state" ||
			slices.ContainsFunc(ours, func(o Header) bool { return strings.EqualFold(o[0], name) }) {
			continue
		}
		out = append(out, h)
	}
	return append(out, ours...)
}

const residencyHeader = "x-openai-internal-codex-residency"

// withheld reports whether a host's header is not for the backend: credentials
// and account of another login, what belongs to one connection, and the traces
// that OpenCode keeps for itself.
func withheld(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "x-api-key", "cookie", "cookie2",
		"openai-organization", "openai-project", "chatgpt-account-id", residencyHeader,
		"host", "content-length", "connection", "proxy-connection", "keep-alive", "te",
		"trailer", "transfer-encoding", "upgrade",
		"b3", "traceparent", "tracestate", "x-opencode-title", "x-parent-session-id":
		return true
	}
	return strings.HasPrefix(name, "x-session-") || strings.HasPrefix(name, "x-b3-")
}

// connectionNames are the headers that a connection header declares its own.
func connectionNames(in []Header) []string {
	var names []string
	for _, h := range in {
		if strings.EqualFold(h[0], "connection") {
			for name := range strings.SplitSeq(h[1], ",") {
				names = append(names, strings.ToLower(strings.TrimSpace(name)))
			}
		}
	}
	return names
}

// sendable reports whether name is an HTTP token and value stays on one line.
func sendable(h Header) bool {
	const punctuation = "!#$%&'*+-.^_`|~"
	for _, c := range h[0] {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(punctuation, c)) {
			return false
		}
	}
	return h[0] != "" && !strings.ContainsAny(h[1], "\r\n\x00")
}

// SessionOf is the session that a call belongs to, "" when nothing tells
// (DESIGN 3): the one the host named, else session-id, thread-id or
// x-session-affinity, else prompt_cache_key.
func SessionOf(explicit string, headers []Header, promptCacheKey string) string {
	if explicit != "" {
		return explicit
	}
	for _, name := range []string{"session-id", "thread-id", "x-session-affinity"} {
		for _, h := range headers {
			if strings.EqualFold(h[0], name) && h[1] != "" {
				return h[1]
			}
		}
	}
	return promptCacheKey
}
