package request

import (
	"strings"
	"testing"
)

// withInput is a body in which nothing but input can need mending.
func withInput(input string) string {
	return `{"model":"gpt-5.5","instructions":"I","input":` + input + `,"include":["reasoning.encrypted_content"],"store":false,"stream":true}`
}

func TestInput(t *testing.T) {
	long := strings.Repeat("x", maxOrphanText)
	const call = `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`
	const output = `{"type":"function_call_output","call_id":"c1","output":"ok"}`
	tests := []struct{ name, input, want string }{
		{"empty", `[]`, `[]`},
		{"spaces stay", "[ {\"role\" : \"user\"}\n ]", "[ {\"role\" : \"user\"}\n ]"},
		{"entries that are no objects stay", `[1,"a",null,[{"id":1}],{}]`, `[1,"a",null,[{"id":1}],{}]`},
		{"null stays", `null`, `null`},
		{"an object stays", `{"id":"x"}`, `{"id":"x"}`},
		{"a string becomes a user message", `"h\u0069 <"`, `[{"type":"message","role":"user","content":[{"type":"input_text","text":"h\u0069 <"}]}]`},

		{"the only reference", `[{"type":"item_reference","id":"a"}]`, `[]`},
		{"the first is a reference", `[ {"type":"item_reference","id":"a"} , {"role":"user"}]`, `[ {"role":"user"}]`},
		{"the last is a reference", `[{"role":"user"} , {"id":"a","type":"item_reference"} ]`, `[{"role":"user"} ]`},
		{"references around", `[{"type":"item_reference"},{"type":"item_reference"},{"role":"user"},{"type":"item_reference"},{"role":"user"},{"type":"item_reference"},{"type":"item_reference"}]`, `[{"role":"user"},{"role":"user"}]`},
		{"all are references", `[{"type":"item_reference"}, {"type":"item_reference"} ]`, `[ ]`},
		{"a reference without type", `[{"id":"msg_1"},{"role":"user"}]`, `[{"role":"user"}]`},
		{"a reference with type null", `[{"type":null,"id":"msg_1"},{"role":"user"}]`, `[{"role":"user"}]`},

		{"id first", `[{"id":"a","role":"user"}]`, `[{"role":"user"}]`},
		{"id last", `[{"role":"user" , "id":"a" }]`, `[{"role":"user" }]`},
		{"id between", `[{"role":"user","id":null,"content":"x"}]`, `[{"role":"user","content":"x"}]`},
		{"id alone beside a type", `[{"id":"a","type":"web_search_call"}]`, `[{"type":"web_search_call"}]`},
		{"id twice at the front", `[{"id":"a","id":"b","role":"user"}]`, `[{"role":"user"}]`},
		{"id three times", `[{"id":"a","role":"user","id":"b","id":"c"}]`, `[{"role":"user"}]`},
		{"id with escapes in its key", `[{"\u0069d":"a","role":"user"}]`, `[{"role":"user"}]`},
		{"id of every kind of item", `[{"type":"image_generation_call","id":"ig_1","result":"x"},{"type":"mcp_call","id":"m"},{"type":"compaction","id":"k","encrypted_content":"E"}]`,
			`[{"type":"image_generation_call","result":"x"},{"type":"mcp_call"},{"type":"compaction","encrypted_content":"E"}]`},
		{"ids inside an item stay", `[{"role":"user","content":[{"id":"a"}],"metadata":{"id":"b"}}]`, `[{"role":"user","content":[{"id":"a"}],"metadata":{"id":"b"}}]`},

		{"arguments null", `[{"type":"function_call","call_id":"c1","arguments": null},` + output + `]`, `[{"type":"function_call","call_id":"c1","arguments": "{}"},` + output + `]`},
		{"arguments missing", `[{"type":"function_call","call_id":"c1"},` + output + `]`, `[{"type":"function_call","call_id":"c1","arguments":"{}"},` + output + `]`},
		{"arguments missing, id last", `[{"type":"function_call","call_id":"c1","id":"fc"},` + output + `]`, `[{"type":"function_call","call_id":"c1","arguments":"{}"},` + output + `]`},
		{"arguments null between ids", `[{"id":"a","arguments":null,"id":"b","type":"function_call","call_id":"c1"},` + output + `]`, `[{"arguments":"{}","type":"function_call","call_id":"c1"},` + output + `]`},
		{"arguments empty stay", `[{"type":"function_call","call_id":"c1","arguments":""},` + output + `]`, `[{"type":"function_call","call_id":"c1","arguments":""},` + output + `]`},
		{"arguments of other calls", `[{"type":"mcp_call","arguments":null},{"type":"function_call","arguments":"{}"}]`, `[{"type":"mcp_call","arguments":null},{"type":"function_call","arguments":"{}"}]`},

		{"a pair", `[` + call + `,` + output + `]`, `[` + call + `,` + output + `]`},
		{"a pair whose output comes first", `[` + output + `,` + call + `]`, `[` + output + `,` + call + `]`},
		{"a pair whose id is written two ways", `[{"type":"function_call","call_id":"c\u0031","arguments":"{}"},` + output + `]`, `[{"type":"function_call","call_id":"c\u0031","arguments":"{}"},` + output + `]`},
		{"a call without output", `[` + call + `,{"role":"user"}]`,
			`[` + call + `,{"type":"function_call_output","call_id":"c1","output":"Operation cancelled by user"},{"role":"user"}]`},
		{"a custom call without output", `[{"type":"custom_tool_call","call_id":"c1","input":"x"}]`,
			`[{"type":"custom_tool_call","call_id":"c1","input":"x"},{"type":"custom_tool_call_output","call_id":"c1","output":"Operation cancelled by user"}]`},
		{"a shell call without output", `[{"type":"local_shell_call","call_id":"c1","action":{}} ]`,
			`[{"type":"local_shell_call","call_id":"c1","action":{}},{"type":"local_shell_call_output","call_id":"c1","output":"Operation cancelled by user"} ]`},
		{"a call without output before a reference", `[` + call + `,{"type":"item_reference","id":"r"},{"role":"user"}]`,
			`[` + call + `,{"type":"function_call_output","call_id":"c1","output":"Operation cancelled by user"},{"role":"user"}]`},
		{"a call without call_id", `[{"type":"function_call","arguments":"{}"},{"type":"custom_tool_call","call_id":" "},{"type":"local_shell_call","call_id":null}]`,
			`[{"type":"function_call","arguments":"{}"},{"type":"custom_tool_call","call_id":" "},{"type":"local_shell_call","call_id":null}]`},
		{"calls that have no output", `[{"type":"web_search_call","call_id":"a"},{"type":"image_generation_call","call_id":"b"},{"type":"mcp_call","call_id":"c"},{"type":"code_interpreter_call","call_id":"d"}]`,
			`[{"type":"web_search_call","call_id":"a"},{"type":"image_generation_call","call_id":"b"},{"type":"mcp_call","call_id":"c"},{"type":"code_interpreter_call","call_id":"d"}]`},
		{"a shell call answered by its own kind", `[{"type":"local_shell_call","call_id":"c1"},{"type":"local_shell_call_output","call_id":"c1","output":"ok"}]`,
			`[{"type":"local_shell_call","call_id":"c1"},{"type":"local_shell_call_output","call_id":"c1","output":"ok"}]`},

		{"an output of the wrong kind", `[` + call + `,{"type":"custom_tool_call_output","call_id":"c1","output":"ok"}]`,
			`[` + call + `,{"type":"function_call_output","call_id":"c1","output":"Operation cancelled by user"},` +
				`{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c1]: ok"}]`},
		{"a shell output does not answer a function call", `[` + call + `,{"type":"local_shell_call_output","call_id":"c1","output":"ok"}]`,
			`[` + call + `,{"type":"function_call_output","call_id":"c1","output":"Operation cancelled by user"},` +
				`{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c1]: ok"}]`},
		{"the call was only a reference", `[{"type":"item_reference","id":"fc_1"},` + output + `]`, `[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c1]: ok"}]`},
		{"an output without call_id", `[{"type":"function_call_output","output":"ok"}]`, `[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=unknown]: ok"}]`},
		{"an output's text keeps its bytes", `[{"output":"a\n\"b\u00e9` + "\xff" + `","id":"o","type":"function_call_output","call_id":"c\"9","name":"n\t"}]`,
			`[{"type":"message","role":"assistant","content":"[Previous n\t result; call_id=c\"9]: a\n\"b\u00e9` + "\xff" + `"}]`},
		{"an output without output", `[{"type":"function_call_output","call_id":"c1","name":""}]`, `[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c1]: "}]`},
		{"an output that is null", `[{"type":"function_call_output","call_id":"c1","output":null,"name":7}]`, `[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c1]: null"}]`},
		{"an output that is a list", `[{"type":"function_call_output","call_id":"c1","output":[ {"type": "input_text", "text": "a b\n\\\"<é"} , 1.0 ]}]`,
			`[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c1]: [{\"type\":\"input_text\",\"text\":\"a b\\n\\\\\\\"<é\"},1.0]"}]`},
		{"a text of just 16,000 characters", `[{"type":"function_call_output","call_id":"c","output":"` + long + `"}]`,
			`[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c]: ` + long + `"}]`},
		{"a text of 16,001 characters", `[{"type":"function_call_output","call_id":"c","output":"` + long[1:] + `éy","id":"z"}]`,
			`[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c]: ` + long[1:] + `é"}]`},
		{"a text cut after an escape", `[{"type":"function_call_output","call_id":"c","output":"` + long[1:] + `\n\n"}]`,
			`[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c]: ` + long[1:] + `\n"}]`},
		{"a text cut after a pair of surrogates", `[{"type":"function_call_output","call_id":"c","output":"` + long[1:] + `\uD83D\uDE00\uD83D"}]`,
			`[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c]: ` + long[1:] + `\uD83D\uDE00"}]`},
		{"a list cut", `[{"type":"function_call_output","call_id":"c","output":["` + long[2:] + `é"]}]`,
			`[{"type":"message","role":"assistant","content":"[Previous tool result; call_id=c]: [\"` + long[2:] + `"}]`},

		{"the last of two inputs counts", `"lost","input":[{"id":"a","role":"user"}]`, `[{"role":"user"}]`},
		{"a detail stays outside the lite shape", `[{"role":"user","content":[{"type":"input_image","detail":"high"}]}]`, `[{"role":"user","content":[{"type":"input_image","detail":"high"}]}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, _ := run(t, withInput(test.input), Options{Mode: ModeNative})
			if want := withInput(test.want); got != want {
				t.Errorf("got  %.3000s\nwant %.3000s", got, want)
			}
		})
	}
}

// Ids that collide in the table of pairs' buckets must not be mixed up.
func TestManyPairs(t *testing.T) {
	var in, want strings.Builder
	for n := range 3000 {
		id := strings.Repeat("c", n%7) + string(rune('a'+n%26)) + strings.Repeat("d", n/26)
		call := `{"type":"function_call","call_id":"` + id + `","arguments":"{}"},`
		in.WriteString(call)
		want.WriteString(call)
		answer := `{"type":"function_call_output","call_id":"` + id + `","output":"`
		if n%3 > 0 {
			in.WriteString(answer + `ok"},`)
			want.WriteString(answer + `ok"},`)
		} else {
			want.WriteString(answer + `Operation cancelled by user"},`)
		}
	}
	got, _ := run(t, withInput("["+in.String()+`{}]`), Options{Mode: ModeNative})
	if got != withInput("["+want.String()+`{}]`) {
		t.Error("pairs were mixed up")
	}
}

func TestDropReasoning(t *testing.T) {
	const input = `[{"id":"a","type":"reasoning","encrypted_content":"E1","summary":[]},` +
		`{"type":"reasoning","summary":[]},` +
		`{"type":"compaction","encrypted_content":"E2"},` +
		`{"role":"user","content":"hi"},` +
		`{"type":"compaction_summary","encrypted_content":"E3"},` +
		`{"type":"compaction_trigger"},` +
		`{"type":"function_call","call_id":"c","arguments":"{}","encrypted_content":"E4"},` +
		`{"type":"function_call_output","call_id":"c","output":"ok"},` +
		`{"type":"reasoning","encrypted_content":"E5"}]`
	const kept = `[{"role":"user","content":"hi"},{"type":"compaction_trigger"},` +
		`{"type":"function_call","call_id":"c","arguments":"{}","encrypted_content":"E4"},{"type":"function_call_output","call_id":"c","output":"ok"}]`
	for _, untouched := range []bool{false, true} {
		got, res := run(t, withInput(input), Options{Mode: ModeNative, Untouched: untouched, DropReasoning: true})
		if got != withInput(kept) {
			t.Errorf("untouched %v: got %s", untouched, got)
		}
		if len(res.Dropped) != 5 {
			t.Fatalf("dropped %q, want 5 hashes", res.Dropped)
		}
		// The next turn: what was dropped goes again, what is new stays.
		var asked []string
		hashes := res.Dropped
		again := Options{Mode: ModeNative, Untouched: untouched, Dropped: func(h string) bool {
			asked = append(asked, h)
			for _, d := range hashes {
				if d == h {
					return true
				}
			}
			return false
		}}
		fresh := `,{"type":"reasoning","encrypted_content":"NEW"}]`
		got, res = run(t, withInput(strings.TrimSuffix(input, "]")+fresh), again)
		if want := withInput(strings.TrimSuffix(kept, "]") + fresh); got != want {
			t.Errorf("untouched %v, next turn: got %s\nwant %s", untouched, got, want)
		}
		if len(res.Dropped) != 5 || len(asked) != 6 {
			t.Errorf("dropped %q, asked %q", res.Dropped, asked)
		}
	}
	t.Run("the same content has the same hash under another id", func(t *testing.T) {
		_, one := run(t, withInput(`[{"id":"a","type":"reasoning","encrypted_content":"E"}]`), Options{DropReasoning: true})
		_, two := run(t, withInput(`[{"type":"reasoning","summary":[],"encrypted_content":"\u0045"}]`), Options{DropReasoning: true})
		if one.Dropped[0] != two.Dropped[0] {
			t.Errorf("%q and %q", one.Dropped, two.Dropped)
		}
	})
}
