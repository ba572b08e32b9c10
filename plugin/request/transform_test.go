package request

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// run transforms a body, checks what must hold of any result, and returns the
// bytes that are sent.
func run(t testing.TB, body string, o Options) (string, Result) {
	t.Helper()
	b, err := Scan([]byte(body))
	if err != nil {
		t.Fatalf("%v: %.300q", err, body)
	}
	res := b.Transform(o)
	return string(checked(t, []byte(body), res)), res
}

// checked applies a result whose edits must be ascending and apart, and must
// mean the same after a journey over the wire.
func checked(t testing.TB, body []byte, res Result) []byte {
	t.Helper()
	last := -1
	for _, e := range res.Edits {
		if e.Start <= last || e.Delete < 0 || e.Start+e.Delete > len(body) || e.Delete == 0 && e.Text == "" {
			t.Fatalf("edits %+v of %d bytes", res.Edits, len(body))
		}
		last = e.Start + e.Delete
	}
	sent := Apply(body, res.Edits)
	if !json.Valid(sent) {
		t.Fatalf("not valid: %q\nfrom %q", sent, body)
	}
	wire, err := json.Marshal(res.Edits)
	if err != nil {
		t.Fatal(err)
	}
	var received []Edit
	if err := json.Unmarshal(wire, &received); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Apply(body, received), sent) {
		t.Fatalf("over the wire %s makes other bytes", wire)
	}
	return sent
}

func TestTransform(t *testing.T) {
	const ready = `"instructions":"I","input":[],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`
	tests := []struct {
		name, body, want string
	}{
		{"empty object", `{}`, `{"include":["reasoning.encrypted_content"],"store":false,"stream":true}`},
		{"empty object with spaces", ` { } `, ` {"include":["reasoning.encrypted_content"],"store":false,"stream":true } `},
		{"nothing to mend", `{"model":"gpt-5.5",` + ready, `{"model":"gpt-5.5",` + ready},
		{"spaces and order stay", "\n{ \"stream\" : true,\t\"z\":[ 1e400 ],\"store\":false ,\"include\":[ \"reasoning.encrypted_content\" ],\"instructions\":\"I\" }\n",
			"\n{ \"stream\" : true,\t\"z\":[ 1e400 ],\"store\":false ,\"include\":[ \"reasoning.encrypted_content\" ],\"instructions\":\"I\" }\n"},
		{"escaped keys are the same keys", `{"\u0073tore":true,"str\u0065am":false,"instructions":"I","include":["reasoning\u002eencrypted_content"]}`,
			`{"\u0073tore":false,"str\u0065am":true,"instructions":"I","include":["reasoning\u002eencrypted_content"]}`},
		{"a key is compared with its case", `{"Store":true,"instructions":"I","include":["reasoning.encrypted_content"],"store":false,"stream":true}`,
			`{"Store":true,"instructions":"I","include":["reasoning.encrypted_content"],"store":false,"stream":true}`},
		{"null is not true", `{"store":null,"stream":null,"include":null}`, `{"store":false,"stream":true,"include":["reasoning.encrypted_content"]}`},
		{"the last of two counts, the other goes", `{"store":true,"x":1,"store":false,"stream":true,"stream":false,` + ready[:len(ready)-1] + `}`,
			`{"x":1,` + ready},

		{"include is empty", `{"include":[ ],"store":false,"stream":true}`, `{"include":[ "reasoning.encrypted_content"],"store":false,"stream":true}`},
		{"include has others", `{"include":["a", 1],"store":false,"stream":true}`, `{"include":["a", 1,"reasoning.encrypted_content"],"store":false,"stream":true}`},

		{"refused parameters at the front", `{"max_output_tokens":1, "safety_identifier":"x",` + ready, `{` + ready},
		{"refused parameters at the end", `{` + ready[:len(ready)-1] + ` , "max_completion_tokens":7,"prompt_cache_retention":null }`, `{` + ready[:len(ready)-1] + ` }`},
		{"refused parameters around another", `{"safety_identifier":"a","x":1,"safety_identifier":"b",` + ready, `{"x":1,` + ready},
		{"nothing but refused parameters", `{"max_output_tokens":1,"max_output_tokens":2}`, `{"include":["reasoning.encrypted_content"],"store":false,"stream":true}`},
		{"service_tier and others pass", `{"service_tier":"priority","user":"u","metadata":{"max_output_tokens":1},"truncation":"auto","previous_response_id":null,` + ready,
			`{"service_tier":"priority","user":"u","metadata":{"max_output_tokens":1},"truncation":"auto","previous_response_id":null,` + ready},
		{"sampling goes on a reasoning model", `{"temperature":0.5,"model":"gpt-5.5","top_p":1,` + ready, `{"model":"gpt-5.5",` + ready},
		{"sampling goes on an unknown codex model", `{"model":"gpt-5.1-codex-max","temperature":1,` + ready, `{"model":"gpt-5.1-codex-max",` + ready},
		{"sampling stays on a model without reasoning", `{"model":"plain","temperature":1,` + ready, `{"model":"plain","temperature":1,` + ready},
		{"sampling stays on an unknown old model", `{"model":"gpt-4.1","top_p":1,` + ready, `{"model":"gpt-4.1","top_p":1,` + ready},

		{"an unknown model passes", `{"model":"some-new-model-high",` + ready, `{"model":"some-new-model-high",` + ready},
		{"a prefix goes from an unknown model", `{"model":"openai/some-new-model",` + ready, `{"model":"some-new-model",` + ready},
		{"a model that is no string", `{"model":5,` + ready, `{"model":5,` + ready},
		{"suffix: reasoning has no effort", `{"model":"gpt-5.5-low","reasoning":{"summary":"auto"},` + ready, `{"model":"gpt-5.5","reasoning":{"summary":"auto","effort":"low"},` + ready},
		{"suffix: reasoning is empty", `{"model":"gpt-5.5-low","reasoning":{ },` + ready, `{"model":"gpt-5.5","reasoning":{ "effort":"low"},` + ready},
		{"suffix: reasoning is null", `{"model":"gpt-5.5-low","reasoning":null,` + ready, `{"model":"gpt-5.5","reasoning":{"effort":"low"},` + ready},
		{"suffix: effort is null", `{"model":"gpt-5.5-low","reasoning":{"effort":null},` + ready, `{"model":"gpt-5.5","reasoning":{"effort":"low"},` + ready},
		{"suffix: the body's effort stays", `{"reasoning":{"effort":"ultra"},"model":"gpt-5.5-low",` + ready, `{"reasoning":{"effort":"ultra"},"model":"gpt-5.5",` + ready},
		{"suffix: nearest below", `{"model":"gpt-5.5-ultra",` + ready, `{"model":"gpt-5.5",` + ready[:len(ready)-1] + `,"reasoning":{"effort":"xhigh"}}`},
		{"suffix: nearest above", `{"model":"gpt-5.5-none",` + ready, `{"model":"gpt-5.5",` + ready[:len(ready)-1] + `,"reasoning":{"effort":"low"}}`},
		{"suffix: the model has no efforts", `{"model":"plain-high",` + ready, `{"model":"plain",` + ready},

		{"instructions missing", `{"input":[{"role":"user"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`,
			`{"input":[{"role":"user"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true,"instructions":"CODEX <\"é>"}`},
		{"instructions null", strings.Replace(`{`+ready, `"I"`, `null`, 1), strings.Replace(`{`+ready, `"I"`, `"CODEX <\"é>"`, 1)},
		{"instructions empty", strings.Replace(`{`+ready, `"I"`, `""`, 1), strings.Replace(`{`+ready, `"I"`, `"CODEX <\"é>"`, 1)},
		{"a system item leads", `{"input":[{"role":"system","content":"S"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`,
			`{"input":[{"role":"system","content":"S"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`},
		{"additional_tools lead", `{"instructions":"","input":[{"type":"additional_tools","role":"developer","tools":[]}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`,
			`{"instructions":"","input":[{"type":"additional_tools","role":"developer","tools":[]}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`},
		{"a developer item leads once a reference is gone", `{"input":[{"type":"item_reference","id":"a"},{"role":"developer"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`,
			`{"input":[{"role":"developer"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`},
		{"a developer item that does not lead", `{"include":["reasoning.encrypted_content"],"store":false,"stream":true,"input":[{"role":"user"},{"role":"developer"}]}`,
			`{"include":["reasoning.encrypted_content"],"store":false,"stream":true,"input":[{"role":"user"},{"role":"developer"}],"instructions":"CODEX <\"é>"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := catalogue()
			c["plain"] = Model{Slug: "plain"}
			o := Options{Mode: ModeNative, Catalogue: c}
			if strings.Contains(test.want, "CODEX") || strings.Contains(test.name, "lead") {
				o.Instructions = `CODEX <"é>`
			}
			if got, _ := run(t, test.body, o); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	const body = `{"model":"openai/gpt-5.6-sol-high","temperature":1,"input":[{"id":"a","role":"user"},{"type":"item_reference"}],"store":true,"max_output_tokens":1}`
	tests := []struct {
		name     string
		o        Options
		want     string
		model    string
		collapse bool
	}{
		{"off", Options{Mode: ModeOff, Catalogue: catalogue(), Model: "x", Instructions: "C", DropReasoning: true}, body, "openai/gpt-5.6-sol-high", true},
		{"a host that is left alone", Options{Mode: ModeCodex, Untouched: true, Catalogue: catalogue(), Instructions: "C"}, body, "openai/gpt-5.6-sol-high", false},
		{"a host that is left alone, another model", Options{Mode: ModeNative, Untouched: true, Model: "gpt-5.5"}, strings.Replace(body, "openai/gpt-5.6-sol-high", "gpt-5.5", 1), "gpt-5.5", false},
		{"another model, the effort moved to it", Options{Mode: ModeNative, Catalogue: catalogue(), Model: "gpt-5.5"},
			`{"model":"gpt-5.5","input":[{"role":"user"}],"store":false,"reasoning":{"effort":"high"},"include":["reasoning.encrypted_content"],"stream":true}`, "gpt-5.5", true},
		{"another model with its own effort", Options{Mode: ModeNative, Catalogue: catalogue(), Model: "gpt-5.5-max"},
			`{"model":"gpt-5.5","input":[{"role":"user"}],"store":false,"reasoning":{"effort":"xhigh"},"include":["reasoning.encrypted_content"],"stream":true}`, "gpt-5.5", true},
		{"no catalogue: the suffix stays", Options{Mode: ModeNative},
			`{"model":"gpt-5.6-sol-high","input":[{"role":"user"}],"store":false,"include":["reasoning.encrypted_content"],"stream":true}`, "gpt-5.6-sol-high", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, res := run(t, body, test.o)
			if got != test.want || res.Model != test.model || res.Collapse != test.collapse || res.Headers != nil {
				t.Errorf("got  %s\nwant %s\n%+v", got, test.want, res)
			}
		})
	}
	t.Run("a model for a body without one", func(t *testing.T) {
		if got, _ := run(t, `{}`, Options{Untouched: true, Model: "gpt-5.5"}); got != `{"model":"gpt-5.5"}` {
			t.Error(got)
		}
	})
	t.Run("twice from the original", func(t *testing.T) {
		b, err := Scan([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		first := b.Transform(Options{Mode: ModeNative, Catalogue: catalogue()})
		b.Transform(Options{Mode: ModeCodex, Catalogue: catalogue(), Instructions: "C", DropReasoning: true})
		again := b.Transform(Options{Mode: ModeNative, Catalogue: catalogue()})
		if a, z := Apply([]byte(body), first.Edits), Apply([]byte(body), again.Edits); !bytes.Equal(a, z) {
			t.Errorf("first %s\nthen %s", a, z)
		}
	})
}
