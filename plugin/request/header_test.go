package request

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeaders(t *testing.T) {
	account := Authorization{AccessToken: "AT", AccountID: "acc"}
	ours := func(more ...Header) []Header {
		return append([]Header{{"authorization", "Bearer AT"}, {"chatgpt-account-id", "acc"}}, more...)
	}
	tests := []struct {
		name  string
		in    []Header
		auth  Authorization
		extra []Header
		moved bool
		want  []Header
	}{
		{name: "ours alone", auth: account, want: ours()},
		{name: "the client says who it is", auth: account,
			in: []Header{{"User-Agent", "opencode/1.18.33"}, {"originator", "opencode"}, {"session-id", "ses_1"}, {"thread-id", "t"},
				{"x-codex-turn-state", "s"}, {"X-Codex-Beta", "b"}, {"version", "0.169.0"}, {"x-other", "1"}, {"X-Other", "2"}, {"accept-language", ""}},
			want: append([]Header{{"User-Agent", "opencode/1.18.33"}, {"originator", "opencode"}, {"session-id", "ses_1"}, {"thread-id", "t"},
				{"x-codex-turn-state", "s"}, {"X-Codex-Beta", "b"}, {"version", "0.169.0"}, {"x-other", "1"}, {"X-Other", "2"}, {"accept-language", ""}}, ours()...)},
		{name: "what is withheld", auth: account,
			in: []Header{{"Authorization", "Bearer dummy"}, {"X-Api-Key", "k"}, {"OpenAI-Organization", "o"}, {"openai-project", "p"}, {"Content-Length", "9"}, {"Host", "api.openai.com"},
				{"Cookie", "c"}, {"Connection", "keep-alive, X-Hop"}, {"x-hop", "1"}, {"Transfer-Encoding", "chunked"}, {"b3", "1"}, {"traceparent", "1"}, {"tracestate", "1"},
				{"x-opencode-title", "t"}, {"X-Session-Affinity", "a"}, {"x-session-id", "s"}, {"x-parent-session-id", "p"}, {"ChatGPT-Account-Id", "other"},
				{"X-OpenAI-Internal-Codex-Residency", "eu"}},
			want: ours()},
		{name: "a model call", auth: account, in: []Header{{"Accept", "*/*"}, {"accept", "text/html"}, {"Content-Type", "text/plain"}}, extra: ModelCall(),
			want: ours(Header{"accept", "text/event-stream"}, Header{"content-type", "application/json"})},
		{name: "a call beside the model's", auth: account, in: []Header{{"Accept", "*/*"}}, want: append([]Header{{"Accept", "*/*"}}, ours()...)},
		{name: "residency as claimed", auth: Authorization{AccessToken: "AT", AccountID: "acc", Residency: "us"}, want: ours(Header{"x-openai-internal-codex-residency", "us"})},
		{name: "residency without constraint", auth: Authorization{AccessToken: "AT", AccountID: "acc", Residency: "no_constraint"}, want: ours()},
		{name: "no account id", auth: Authorization{AccessToken: "AT"}, want: []Header{{"authorization", "Bearer AT"}}},
		{name: "extra replaces", auth: account, in: []Header{{"X-Lite", "false"}}, extra: []Header{{"x-lite", "true"}}, want: ours(Header{"x-lite", "true"})},
		{name: "turn state of another account", auth: account, moved: true, in: []Header{{"X-Codex-Turn-State", "s"}, {"x-codex-beta", "b"}}, want: append([]Header{{"x-codex-beta", "b"}}, ours()...)},
		{name: "no second line", auth: Authorization{AccessToken: "AT", AccountID: "acc", Residency: "us\r\nx: y"},
			in: []Header{{"a", "1\r\nx: y"}, {"b", "1\n"}, {"c:", "1"}, {"", "1"}, {"d e", "1"}, {"é", "1"}, {"ok", "é"}}, want: append([]Header{{"ok", "é"}}, ours()...)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Headers(test.in, test.auth, test.extra, test.moved)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSessionOf(t *testing.T) {
	all := []Header{{"X-Session-Affinity", "affinity"}, {"Thread-Id", "thread"}, {"Session-Id", "session"}}
	tests := []struct {
		name, explicit string
		headers        []Header
		key, want      string
	}{
		{"the host names it", "named", all, "key", "named"},
		{"session-id", "", all, "key", "session"},
		{"thread-id", "", all[:2], "key", "thread"},
		{"x-session-affinity", "", all[:1], "key", "affinity"},
		{"an empty header", "", []Header{{"session-id", ""}}, "key", "key"},
		{"nothing", "", nil, "", ""},
	}
	for _, test := range tests {
		if got := SessionOf(test.explicit, test.headers, test.key); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
