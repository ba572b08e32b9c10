package auth

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vectors reads a file of the shared vectors, which lie beside the repository.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "shared", "vectors", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("SKIPPED: %s is not beside this checkout, so its vectors were NOT checked", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// checkPaste compares what a text was read as: a code and a state, or the
// beginning of an error after what they all begin with.
func checkPaste(t *testing.T, text, code, state, failure string) {
	t.Helper()
	r, err := parsePaste(text)
	got := ""
	switch {
	case err != nil:
		if !errors.Is(err, ErrPaste) {
			t.Errorf("%v is no ErrPaste", err)
		}
		got = err.Error()
	case r.denied != nil:
		got = r.denied.Reason()
	}
	if failure == "" && got != "" || !strings.Contains(got, failure) {
		t.Errorf("failed with %q, want %q", got, failure)
	}
	if failure == "" && (r.code.Reveal() != code || r.state.Reveal() != state) {
		t.Errorf("read as %q %q, want %q %q", r.code.Reveal(), r.state.Reveal(), code, state)
	}
}

func TestPasteVectors(t *testing.T) {
	type vector struct {
		Input    string
		Expected struct{ Code, State, Error string }
	}
	for _, v := range vectors[vector](t, "paste.jsonl") {
		t.Run(v.Input, func(t *testing.T) {
			checkPaste(t, v.Input, v.Expected.Code, v.Expected.State, v.Expected.Error)
		})
	}
}

func TestParsePaste(t *testing.T) {
	for _, tc := range []struct{ name, text, code, state, failure string }{
		{"URL", "http://localhost:1455/auth/callback?code=ac_1.x-y&scope=openid&state=xyz", "ac_1.x-y", "xyz", ""},
		{"escaped", "http://localhost:1455/auth/callback?code=a%2Bc&state=x%2Dz", "a+c", "x-z", ""},
		{"address without a scheme", "localhost:1455/auth/callback?code=abc&state=xyz", "abc", "xyz", ""},
		{"in quotes", `"http://localhost:1455/auth/callback?code=abc&state=xyz"`, "abc", "xyz", ""},
		{"wrapped by the terminal", "http://localhost:1455/auth/call\r\nback?code=a\nbc&state=xyz\n", "abc", "xyz", ""},
		{"code with the fragment as parameters", "abc#state=xyz", "abc", "xyz", ""},
		{"parameters that the fragment fills", "code=abc#state=xyz", "abc", "xyz", ""},
		{"code with an empty fragment", "abc#", "abc", "", ""},
		{"a refusal alone", "error=access_denied", "", "", "access_denied"},
		{"a code beside a refusal", "code=abc&error=access_denied", "", "", "access_denied"},
		{"the sign-in page's own address", "https://auth.openai.com/oauth/authorize?client_id=x&state=xyz", "", "", "no code"},
		{"a sentence", "it does not work", "", "", "no code"},
		{"state alone", "#xyz", "", "", "no code"},
		{"damaged escape", "http://localhost:1455/auth/callback?code=%zz", "", "", "damaged"},
		{"control characters", "ab\x1b[31mc", "", "", "no code"},
		{"too long", strings.Repeat("a", 20<<10), "", "", "longer"},
		{"quotes and nothing", ` "" `, "", "", "empty"},
	} {
		t.Run(tc.name, func(t *testing.T) { checkPaste(t, tc.text, tc.code, tc.state, tc.failure) })
	}
}

// What the issuer says is shown to people: it must do nothing to a terminal.
func TestDeniedIsShowable(t *testing.T) {
	r, err := parsePaste("error=access%0A_denied%1b[2J&error_description=%E2%80%AE+rt_leak.ed+" + strings.Repeat("x", 1000))
	if err != nil || r.denied == nil {
		t.Fatal(r, err)
	}
	if got := r.denied.Error(); strings.ContainsAny(got, "\n\x1b\u202e") || len(got) > 500 || strings.Contains(got, "rt_leak") {
		t.Errorf("shows %q", got)
	}
}

func FuzzParsePaste(f *testing.F) {
	for _, seed := range []string{"http://localhost:1455/auth/callback?code=a&state=b#code=c", "a#b", "code=a&state=b", "a", "error=x&error_description=%0a", "?#=%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parsePaste(text)
		switch {
		case err != nil && !errors.Is(err, ErrPaste):
			t.Errorf("%v is no ErrPaste", err)
		case err == nil && r.denied == nil && r.code.IsZero():
			t.Error("neither a code nor an error")
		case err == nil && r.denied != nil && strings.ContainsAny(r.denied.Error(), "\n\r\x1b\x00"):
			t.Errorf("%q is not fit to be shown", r.denied)
		}
	})
}
