package request

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestScanRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, body string
		ok         bool
		notObject  bool
	}{
		{"an object", ` {"a":[1,-0.5e+10,true,false,null,"x\/\u00eF"],"b":{}} `, true, false},
		{"a huge number", `{"a":1` + strings.Repeat("0", 5000) + `e999999}`, true, false},
		{"invalid UTF-8 in a string", "{\"a\":\"\xff\"}", true, false},
		{"as deep as may be", `{"input":` + deep(maxDepth-1) + `}`, true, false},
		{"too deep", `{"input":` + deep(maxDepth) + `}`, false, false},
		{"far too deep", `{"a":` + strings.Repeat("[", 1<<20), false, false},
		{"nothing", ``, false, true},
		{"spaces", " \n", false, true},
		{"an array", `[{}]`, false, true},
		{"a string", `"{}"`, false, true},
		{"null", `null`, false, true},
		{"a byte order mark", "\ufeff{}", false, true},
		{"two values", `{}{}`, false, false},
		{"something after", `{} x`, false, false},
		{"not closed", `{"a":1`, false, false},
		{"closed by the other bracket", `{"a":[1}]`, false, false},
		{"comma at the end", `{"a":1,}`, false, false},
		{"comma at the end of an array", `{"a":[1,]}`, false, false},
		{"only a comma", `{,}`, false, false},
		{"no colon", `{"a" 1}`, false, false},
		{"no value", `{"a":}`, false, false},
		{"key without quotes", `{a:1}`, false, false},
		{"line break in a string", "{\"a\":\"x\n\"}", false, false},
		{"control character far inside a string", "{\"a\":\"" + strings.Repeat("x", 37) + "\x01\"}", false, false},
		{"string without end", `{"a":"x`, false, false},
		{"escape without end", `{"a":"\`, false, false},
		{"unknown escape", `{"a":"\x"}`, false, false},
		{"escape with a wrong digit", `{"a":"\u12g4"}`, false, false},
		{"escape cut short", `{"a":"\u12"}`, false, false},
		{"leading zero", `{"a":01}`, false, false},
		{"plus sign", `{"a":+1}`, false, false},
		{"no digit after the point", `{"a":1.}`, false, false},
		{"no digit in the exponent", `{"a":1e}`, false, false},
		{"only a minus", `{"a":-}`, false, false},
		{"a word cut short", `{"a":nul}`, false, false},
		{"input cut inside an item", `{"input":[{"type":"function_call","id":"x","call_id":"c`, false, false},
		{"input cut inside a part", `{"input":[{"content":[{"type":"input_image","detail":`, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Scan([]byte(test.body))
			if (err == nil) != test.ok || errors.Is(err, ErrNotObject) != test.notObject {
				t.Errorf("err = %v", err)
			}
			if !test.notObject && json.Valid([]byte(test.body)) != test.ok {
				t.Error("encoding/json thinks otherwise")
			}
		})
	}
}

func TestAccessors(t *testing.T) {
	const full = `{"model":"openai\/gpt-5.5-high","prompt_cache_key":"ses_\u0031","stream":true,"instructions":"I"}`
	b, err := Scan([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	if b.Model() != "openai/gpt-5.5-high" || b.Slug(catalogue()) != "gpt-5.5" || b.Slug(nil) != "gpt-5.5-high" ||
		b.PromptCacheKey() != "ses_1" || !b.Stream() || b.NeedsInstructions() {
		t.Errorf("%q %q %q %v %v", b.Model(), b.Slug(nil), b.PromptCacheKey(), b.Stream(), b.NeedsInstructions())
	}
	b, err = Scan([]byte(`{"model":null,"prompt_cache_key":7,"stream":"true","input":"hi"}`))
	if err != nil {
		t.Fatal(err)
	}
	if b.Model() != "" || b.PromptCacheKey() != "" || b.Stream() || !b.NeedsInstructions() {
		t.Errorf("%q %q %v %v", b.Model(), b.PromptCacheKey(), b.Stream(), b.NeedsInstructions())
	}
}

func TestSlug(t *testing.T) {
	c := catalogue()
	c["gpt-5.1-codex-max"] = Model{}
	c["vendor/own"] = Model{}
	tests := []struct{ model, slug, effort string }{
		{"gpt-5.5", "gpt-5.5", ""},
		{"openai/gpt-5.5", "gpt-5.5", ""},
		{"gpt-5.5-none", "gpt-5.5", "none"},
		{"gpt-5.5-minimal", "gpt-5.5", "minimal"},
		{"gpt-5.5-xhigh", "gpt-5.5", "xhigh"},
		{"openai/gpt-6-luna-ultra", "gpt-6-luna", "ultra"},
		{"gpt-5.1-codex-max", "gpt-5.1-codex-max", ""},
		{"gpt-5.1-codex-max-high", "gpt-5.1-codex-max", "high"},
		{"gpt-5.1-codex-mini-high", "gpt-5.1-codex-mini-high", ""},
		{"gpt-5.5-low-high", "gpt-5.5-low-high", ""},
		{"gpt-5.5-", "gpt-5.5-", ""},
		{"gpt-5.5-High", "gpt-5.5-High", ""},
		{"vendor/own", "vendor/own", ""},
		{"openai/", "openai/", ""},
		{"", "", ""},
	}
	for _, test := range tests {
		if slug, effort := Slug(test.model, c); slug != test.slug || effort != test.effort {
			t.Errorf("Slug(%q) = %q, %q", test.model, slug, effort)
		}
	}
}

func TestNearest(t *testing.T) {
	tests := []struct {
		wanted  string
		offered string
		want    string
	}{
		{"medium", "low medium high", "medium"},
		{"medium", "high low", "low"}, // as near: the lower
		{"medium", "none xhigh", "xhigh"},
		{"none", "low medium", "low"},
		{"ultra", "low high xhigh", "xhigh"},
		{"max", "ultra xhigh", "xhigh"},
		{"high", "future", ""},
		{"high", "", ""},
	}
	for _, test := range tests {
		if got := nearest(test.wanted, strings.Fields(test.offered)); got != test.want {
			t.Errorf("nearest(%s, %s) = %q, want %q", test.wanted, test.offered, got, test.want)
		}
	}
}

func TestReasons(t *testing.T) {
	for slug, want := range map[string]bool{
		"gpt-5": true, "gpt-5.1": true, "gpt-6-luna": true, "gpt-10": true, "o3": true, "o4-mini": true, "codex-mini-latest": true, "gpt-5.5": true,
		"gpt-4o": false, "gpt-4.1-mini": false, "gpt-": false, "gpt-oss": false, "o": false, "opus": false, "": false,
	} {
		if got := reasons(slug, catalogue()); got != want {
			t.Errorf("reasons(%q) = %v", slug, got)
		}
	}
}

// What ends or interrupts a string is found wherever it lies in the bytes
// that are looked at together, and so is what only looks like it.
func TestStringsAtEveryOffset(t *testing.T) {
	for _, inside := range []string{
		`\"`, `\\`, `\\\"`, `\\\\\\\\`, `\"\"\"\"\"`, `\/\b\f\n\r\t`, `\\n"`, `\\"`, `\`, `\x`, `\u0022`, `\u002`, `\\u`, `"`, `"\`,
		"\x00", "\x1f", "\\\x1f", "\\\n", "#!\x20\x21\x23", "\x7f\x80\xa2\xdc\xff", "\xa2\x1f", `ä\ö`, `[]^_`, "\x5b\x5d\xdc\\\\",
	} {
		for before := range 70 {
			for after := range 40 {
				body := []byte(`{"a":"` + strings.Repeat("x", before) + inside + strings.Repeat("y", after) + `"}`)
				if _, err := Scan(body); (err == nil) != json.Valid(body) {
					t.Errorf("%q: %v, but encoding/json says valid: %v", body, err, json.Valid(body))
				}
			}
		}
	}
}
