package request

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyObject draws an object of some of the members, in any order and number,
// with spaces wherever JSON allows them.
func anyObject(members ...*rapid.Generator[string]) *rapid.Generator[string] {
	return anyList("{", "}", rapid.OneOf(members...), 7)
}

func anyList(open, end string, entry *rapid.Generator[string], most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		space := func() string { return rapid.SampledFrom([]string{"", "", " ", "\n\t"}).Draw(t, "space") }
		entries := rapid.SliceOfN(entry, 0, most).Draw(t, "entries")
		for i := range entries {
			entries[i] = space() + entries[i] + space()
		}
		if len(entries) == 0 {
			entries = []string{space()}
		}
		return open + strings.Join(entries, ",") + end
	})
}

func one(key string, values ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return `"` + key + `":` + rapid.SampledFrom(values).Draw(t, key)
	})
}

func nested(key string, value *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string { return `"` + key + `" : ` + value.Draw(t, key) })
}

// anyBody draws bodies made of what the rules look at, keys twice and values of
// the wrong kind included.
func anyBody() *rapid.Generator[string] {
	junk := one("x", `1`, `{"id":"a"}`, `[null]`, `""`)
	part := anyObject(one("type", `"input_image"`, `"input_text"`, `1`), one("detail", `"high"`, `null`), junk)
	parts := anyList("[", "]", part, 3)
	item := anyObject(
		one("type", `"message"`, `"reasoning"`, `"item_reference"`, `"compaction"`, `"web_search_call"`, `"additional_tools"`, `null`),
		one("type", `"function_call"`, `"custom_tool_call"`, `"local_shell_call"`, `"function_call_output"`, `"custom_tool_call_output"`, `"local_shell_call_output"`),
		one("type", `"function_call"`, `"function_call_output"`),
		one("call_id", `"a"`, `"\u0061"`, `"b"`, `""`, `null`), one("call_id", `"a"`),
		one("id", `"i"`, `null`), one("i\\u0064", `7`), one("role", `"user"`, `"developer"`, `"system"`),
		one("arguments", `null`, `"{}"`, `""`), one("name", `"n"`, `7`), one("output", `"o\n"`, `{ "a" : 1 }`, `null`),
		one("encrypted_content", `"E"`, `""`), nested("content", parts), nested("output", parts), junk)
	items := anyList("[", "]", item, 6)
	return anyObject(
		one("model", `"openai/gpt-5.5-max"`, `"gpt-5.6-sol"`, `"gpt-5.6-luna-none"`, `"new"`, `5`),
		one("instructions", `"OWN"`, `""`, `null`, `"CODEX and more"`), one("input", `"hi"`, `null`, `7`), nested("input", items), nested("input", items), nested("input", items),
		one("include", `[ ]`, `["a"]`, `["reasoning.encrypted_content"]`, `null`), one("store", `true`, `false`), one("stream", `true`, `null`),
		nested("reasoning", anyObject(one("effort", `null`, `"low"`), one("context", `"auto"`, `"all_turns"`), junk)), one("reasoning", `null`, `"x"`),
		one("tools", `[{}]`, `null`), one("parallel_tool_calls", `true`, `false`), one("max_output_tokens", `1`), one("safety_identifier", `"s"`),
		one("temperature", `0.5`), one("top_p", `1`), junk)
}

// Whatever a body is made of, what is sent is valid, and needs no more mending.
func TestAnyBody(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		body := anyBody().Draw(r, "body")
		o := Options{Mode: rapid.SampledFrom([]Mode{ModeNative, ModeCodex}).Draw(r, "mode"), Catalogue: catalogue(), Instructions: "CODEX"}
		o.DropReasoning = rapid.Bool().Draw(r, "drop")
		o.Untouched = rapid.IntRange(0, 9).Draw(r, "untouched") == 0
		sent, _ := run(t, body, o)
		if again, _ := run(t, sent, o); again != sent {
			r.Fatalf("mended twice\nfrom %s\nsent %s\nthen %s", body, sent, again)
		}
	})
}
