package request

import "testing"

func TestRewriteURL(t *testing.T) {
	const local = "http://127.0.0.1:8080/backend-api"
	tests := []struct{ raw, backend, want string }{
		{"https://api.openai.com/v1/responses", local, local + "/codex/responses"},
		{"https://api.openai.com/v1/responses?a=1&b=%2F", local + "/", local + "/codex/responses?a=1&b=%2F"},
		{"https://api.openai.com/v1/responses#x", "", DefaultBackend + "/codex/responses"},
		{"HTTPS://API.openai.com:443/v1/chat/completions", "", DefaultBackend + "/codex/responses"},
		{local + "/codex/responses", local, local + "/codex/responses"},
		{"http://me:pw@127.0.0.1:8080/backend-api/codex/responses?x=1#y", local, local + "/codex/responses?x=1"},
		{"https://chatgpt.com/backend-api/codex/responses", local, local + "/codex/responses"},

		{"http://api.openai.com/v1/responses", "", ""},
		{"https://api.openai.com:8443/v1/responses", "", ""},
		{"https://api.openai.com.evil.example/v1/responses", "", ""},
		{"https://api.openai.com@evil.example/v1/responses", "", ""},
		{"https://evil.example/v1/responses", "", ""},
		{"https://api.openai.com/v1/responses/compact", "", ""},
		{"https://api.openai.com/v1/responses/", "", ""},
		{"https://api.openai.com/v1%2Fresponses", "", ""},
		{"https://api.openai.com/v1/embeddings", "", ""},
		{"https://api.openai.com/v1/chat/completions/x", "", ""},
		{"https://chatgpt.com/backend-api/wham/usage", "", ""},
		{"http://127.0.0.1:8081/backend-api/codex/responses", local, ""},
		{"/v1/responses", "", ""},
		{"https:api.openai.com/v1/responses", "", ""},
		{"https://api.openai.com/v1/responses\n", "", ""},
		{"", "", ""},
		{"%zz", "", ""},
	}
	for _, test := range tests {
		got, ok := RewriteURL(test.raw, test.backend)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("RewriteURL(%q, %q) = %q, %v; want %q", test.raw, test.backend, got, ok, test.want)
		}
	}
}

func TestIsChat(t *testing.T) {
	for raw, want := range map[string]bool{
		"https://api.openai.com/v1/chat/completions?x=1":  true,
		"https://api.openai.com/v1/responses":             false,
		"https://chatgpt.com/backend-api/codex/responses": false,
		"https://example.com/v1/chat/completions":         false,
	} {
		if IsChat(raw) != want {
			t.Errorf("IsChat(%q) is not %v", raw, want)
		}
	}
}

func FuzzRewriteURL(f *testing.F) {
	f.Add("https://api.openai.com/v1/responses?x=1")
	f.Add("https://u:p@chatgpt.com/backend-api/codex/responses#f")
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := RewriteURL(raw, "")
		if !ok {
			return
		}
		if again, ok := RewriteURL(got, ""); !ok || again != got {
			t.Errorf("%q became %q, and that %q", raw, got, again)
		}
	})
}

func TestUnderCodex(t *testing.T) {
	const own = "https://gate.example.com/chat"
	tests := []struct{ name, raw, backend, want string }{
		{"models", "https://chatgpt.com/backend-api/codex/models?client_version=0.169.0", "", "https://chatgpt.com/backend-api/codex/models?client_version=0.169.0"},
		{"the default backend's, sent to the configured one", "https://chatgpt.com/backend-api/codex/models", own, own + "/codex/models"},
		{"the configured backend's", own + "/codex/responses/compact", own, own + "/codex/responses/compact"},
		{"a path of a later version", own + "/codex/a/b:c%20d", own, own + "/codex/a/b:c%20d"},
		{"another origin", "https://example.com/backend-api/codex/models", "", ""},
		{"another folder", "https://chatgpt.com/backend-api/wham/usage", "", ""},
		{"the folder alone", "https://chatgpt.com/backend-api/codex/", "", ""},
		{"out of the folder", "https://chatgpt.com/backend-api/codex/../wham/usage", "", ""},
		{"out of the folder, encoded", "https://chatgpt.com/backend-api/codex/%2e%2e/wham/usage", "", ""},
		{"an encoded slash", "https://chatgpt.com/backend-api/codex/..%2fwham", "", ""},
		{"a doubled slash", "https://chatgpt.com/backend-api/codex//models", "", ""},
		{"no URL", "://", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := UnderCodex(test.raw, test.backend)
			if got != test.want || ok != (test.want != "") {
				t.Errorf("got %q, %v; want %q", got, ok, test.want)
			}
		})
	}
}
