package logging

import (
	"bytes"
	"strings"
	"testing"
)

const (
	testJWT     = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJl"
	testRefresh = "rt_0aB1cD2eF3.gH4iJ5-kL6"
)

func TestRedact(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"nothing to hide", `GET /x 200 user@example.com "state":"ready"`, `GET /x 200 user@example.com "state":"ready"`},
		{"JWT in prose", "got " + testJWT + ", fine", "got [redacted], fine"},
		{"JWT after an escaped line break", `text\n` + testJWT, `text\n[redacted]`},
		{"JWT without a signature", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.", "[redacted]"},
		{"JWT cut off in its second part", "eyJhbGciOiJub25lIn0.eyJh", "[redacted]"},
		{"base64 without dots stays", "eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIn0"},
		{"bearer", "Authorization = Bearer abc/def+1==; next", "Authorization = [redacted]"},
		{"bearer alone", "sent bearer abc.def to x", "sent bearer [redacted] to x"},
		{"refresh token", "sent " + testRefresh + " twice", "sent [redacted] twice"},
		{"rt_ inside a word stays", "start_time part_1", "start_time part_1"},
		{"refresh token after an escape", `a\n` + testRefresh, `a\n[redacted]`},
		{"JSON", `{"refresh_token": "abc", "n": 1}`, `{"refresh_token": "[redacted]", "n": 1}`},
		{"JSON camel case", `{"refreshToken":"abc","userCode":"AB-12"}`, `{"refreshToken":"[redacted]","userCode":"[redacted]"}`},
		{"JSON with an escaped quote", `{"access_token":"a\"b","n":1}`, `{"access_token":"[redacted]","n":1}`},
		{"JSON in a JSON string", `{"s":"{\"id_token\":\"abc\",\"n\":1}"}`, `{"s":"{\"id_token\":\"[redacted]\",\"n\":1}"}`},
		{"JSON number", `{"user_code":123456}`, `{"user_code":[redacted]}`},
		{"JSON null", `{"refresh_token":null,"authorization":null,"n":1}`, `{"refresh_token":null,"authorization":null,"n":1}`},
		{"JSON list", `{"cookie":["a=b; c","d=e"],"n":1}`, `{"cookie":[[redacted]],"n":1}`},
		{"JSON that ends in the middle", `{"refresh_token":"abc`, `{"refresh_token":"[redacted]`},
		{"header pair", `[["cookie","a=b"],["accept","x"]]`, `[["cookie","[redacted]"],["accept","x"]]`},
		{"header pair of an API key", `["x-api-key", "sk-1"]`, `["x-api-key", "[redacted]"]`},
		{"list of words stays", `["code","state","n"]`, `["code","state","n"]`},
		{"OpenCode's auth.json", `{"type":"oauth","refresh":"abc","access":"def"}`, `{"type":"oauth","refresh":"[redacted]","access":"[redacted]"}`},
		{"form", "grant_type=refresh_token&refresh_token=abc&client_id=x", "grant_type=refresh_token&refresh_token=[redacted]&client_id=x"},
		{"form begins with code", "code=abc&n=1", "code=[redacted]&n=1"},
		{"URL", "http://localhost:1455/auth/callback?code=abc&state=def&n=1", "http://localhost:1455/auth/callback?code=[redacted]&state=[redacted]&n=1"},
		{"device code", `{"device_auth_id":"abc","user_code":"AB-12","interval":"5"}`, `{"device_auth_id":"[redacted]","user_code":"[redacted]","interval":"5"}`},
		{"verifier", "code_verifier=abc", "code_verifier=[redacted]"},
		{"authorization code as JSON", `{"code":"Ab12Cd34Ef56"}`, `{"code":"[redacted]"}`},
		{"error code stays", `{"error":{"code":"usage_limit_reached"},"code":-32001}`, `{"error":{"code":"usage_limit_reached"},"code":-32001}`},
		{"hclog pair stays", "account: code=rate_limit_exceeded state=cooling n=1", "account: code=rate_limit_exceeded state=cooling n=1"},
		{"hclog pair with a credential", "x: access_token=abc n=1", "x: access_token=[redacted] n=1"},
		{"environment", "CODEX_ACCESS_TOKEN=abc", "CODEX_ACCESS_TOKEN=[redacted]"},
		{"header line", "Cookie: a=b; c=d\r\nAccept: x", "Cookie: [redacted]\r\nAccept: x"},
		{"header line in a JSON string", `"Set-Cookie: a=b; c=d\nAccept: x"`, `"Set-Cookie: [redacted]\nAccept: x"`},
		{"Go's printing of headers", "map[Accept:[x] Cookie:[a=b; c=d] X:[y]]", "map[Accept:[x] Cookie:[[redacted]] X:[y]]"},
		{"basic", "Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := RedactString(tc.in)
			if got != tc.want {
				t.Errorf("Redact(%q)\n got %q\nwant %q", tc.in, got, tc.want)
			}
			if again := RedactString(got); again != got {
				t.Errorf("a second time: %q becomes %q", got, again)
			}
		})
	}
}

func TestRedactURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://chatgpt.com/backend-api/codex/responses":   "https://chatgpt.com/backend-api/codex/responses",
		"https://user:pass@host/x?key=abc&n=1":              "https://[redacted]@host/x?key=[redacted]&n=1",
		"https://host/x?sig=abc":                            "https://host/x?sig=[redacted]",
		"%zz?access_token=abc":                              "%zz?access_token=[redacted]",
		"https://host/x?client_version=1.2.3#refresh=token": "https://host/x?client_version=1.2.3#refresh=token",
	} {
		if got := RedactURL(in); got != want {
			t.Errorf("RedactURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRedactHeaders(t *testing.T) {
	in := [][2]string{
		{"Authorization", "Bearer abc"}, {"cookie", "a=b"}, {"Set-Cookie", "c=d"}, {"X-API-Key", "sk"},
		{"Proxy-Authorization", "Basic x"}, {"x-csrf-token", "t"},
		{"session-id", "ses_1"}, {"x-codex-primary-used-percent", "4"}, {"location", "https://h/?code=abc"},
	}
	want := [][2]string{
		{"Authorization", redacted}, {"cookie", redacted}, {"Set-Cookie", redacted}, {"X-API-Key", redacted},
		{"Proxy-Authorization", redacted}, {"x-csrf-token", redacted},
		{"session-id", "ses_1"}, {"x-codex-primary-used-percent", "4"}, {"location", "https://h/?code=" + redacted},
	}
	got := RedactHeaders(in)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("header %d: got %q, want %q", i, got[i], want[i])
		}
	}
	if in[0][1] != "Bearer abc" {
		t.Error("RedactHeaders changed its argument")
	}
}

// The rules jump over what they have read. In quadratic time these few
// megabytes would take hours, and the test's own time limit would end them.
func TestRedactIsLinear(t *testing.T) {
	for _, piece := range []string{"eyJ", `"cookie":"`, "code='", "bearer ", "rt_", "access_token=", "access_token= ", `\`, "cookie:[", "=", `"code",`} {
		text := bytes.Repeat([]byte(piece), 1<<20/len(piece))
		if got := Redact(text); len(got) > 2*len(text) {
			t.Errorf("1 MiB of %q grew to %d bytes", piece, len(got))
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add([]byte(`{"a":"`), []byte(`"}`))
	f.Add([]byte(`cookie: [`), []byte(`\"`))
	f.Add([]byte("code='"), []byte("'\n"))
	f.Add([]byte(`"cookie":[`), []byte(`]`))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		if bytes.Contains(before, []byte("secretvalue")) || bytes.Contains(after, []byte("secretvalue")) {
			t.Skip("the planted word is in the text itself")
		}
		for _, planted := range []string{
			` "refresh_token":"secretvalue1"`, " access_token=secretvalue1 ", " Bearer secretvalue1 ",
			"\nrt_secretvalue1 ", "?code=secretvalue1&", " eyJsecretvalue.eyJsecretvalue.secretvalue ",
			"\ncookie: secretvalue=1\n", `["x-api-key","secretvalue1"]`,
		} {
			text := string(before) + planted + string(after)
			got := RedactString(text)
			if strings.Contains(got, "secretvalue") {
				t.Errorf("%q was left in %q", planted, got)
			}
		}
	})
}
