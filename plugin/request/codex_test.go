package request

import (
	"strings"
	"testing"
)

func TestModeCodex(t *testing.T) {
	const (
		fit   = `"include":["reasoning.encrypted_content"],"store":false,"stream":true`
		codex = `{"type":"message","role":"developer","content":[{"type":"input_text","text":"CODEX"}]}`
		own   = `{"type":"message","role":"developer","content":[{"type":"input_text","text":"OWN \u003c"}]}`
		user  = `{"role":"user"}`
		tools = `{"type":"additional_tools","role":"developer","tools":[]}`
		lite  = `"parallel_tool_calls":false,"reasoning":{"context":"all_turns"},` + fit
	)
	tests := []struct {
		name, body, want string
		without          bool // no Codex instructions at hand
	}{
		{"classic: the host's own come next", `{"model":"gpt-5.5","instructions":"OWN \u003c","input":[` + user + `],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX","input":[` + own + `,` + user + `],` + fit + `}`, false},
		{"classic: input is empty", `{"model":"gpt-5.5","instructions":"OWN \u003c","input":[ ],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX","input":[` + own + ` ],` + fit + `}`, false},
		{"classic: input is a string", `{"model":"gpt-5.5","instructions":"OWN \u003c","input":"hi",` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX","input":[` + own + `,{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],` + fit + `}`, false},
		{"classic: input is null", `{"model":"gpt-5.5","instructions":"OWN \u003c","input":null,` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX","input":[` + own + `],` + fit + `}`, false},
		{"classic: no input", `{"model":"gpt-5.5","instructions":"OWN \u003c",` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX",` + fit + `,"input":[` + own + `]}`, false},
		{"classic: only references", `{"model":"gpt-5.5","instructions":"OWN \u003c","input":[{"type":"item_reference"},{"type":"item_reference"}],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX","input":[` + own + `],` + fit + `}`, false},
		{"classic: references lead", `{"model":"gpt-5.5","instructions":"OWN \u003c","input":[{"type":"item_reference"},` + user + `,{"type":"item_reference"},` + user + `],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX","input":[` + own + `,` + user + `,` + user + `],` + fit + `}`, false},
		{"classic: the host has none", `{"model":"gpt-5.5","input":[` + user + `],` + fit + `}`,
			`{"model":"gpt-5.5","input":[` + user + `],` + fit + `,"instructions":"CODEX"}`, false},
		{"classic: the host's are a developer item", `{"model":"gpt-5.5","input":[` + own + `],` + fit + `}`,
			`{"model":"gpt-5.5","input":[` + own + `],` + fit + `,"instructions":"CODEX"}`, false},
		{"classic: the host's are Codex's", `{"model":"gpt-5.5","instructions":"COD\u0045X","input":[],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"COD\u0045X","input":[],` + fit + `}`, false},
		{"classic: the host's begin with Codex's", `{"model":"gpt-5.5","instructions":"CODEX and more","input":[],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX and more","input":[],` + fit + `}`, false},
		{"classic: nothing at hand", `{"model":"gpt-5.5","instructions":"OWN","input":[],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"OWN","input":[],` + fit + `}`, true},
		{"classic keeps what lite moves", `{"model":"gpt-5.5","instructions":"CODEX","tools":[],"parallel_tool_calls":true,"input":[{"content":[{"type":"input_image","detail":"low"}]}],` + fit + `}`,
			`{"model":"gpt-5.5","instructions":"CODEX","tools":[],"parallel_tool_calls":true,"input":[{"content":[{"type":"input_image","detail":"low"}]}],` + fit + `}`, false},

		{"lite: nothing but a message", `{"model":"gpt-5.6-sol","input":[` + user + `],` + lite + `}`,
			`{"model":"gpt-5.6-sol","input":[` + tools + `,` + codex + `,` + user + `],` + lite + `,"instructions":""}`, false},
		{"lite: tools keep their bytes", `{"model":"gpt-5.6-sol","tools":[ {"b":1.0, "a":"<"} ],"input":[` + user + `],"instructions":"OWN \u003c",` + lite + `}`,
			`{"model":"gpt-5.6-sol","input":[{"type":"additional_tools","role":"developer","tools":[ {"b":1.0, "a":"<"} ]},` + codex + `,` + own + `,` + user + `],"instructions":"",` + lite + `}`, false},
		{"lite: tools are null", `{"model":"gpt-5.6-sol","input":[],"tools":null,` + lite + `,"instructions":""}`,
			`{"model":"gpt-5.6-sol","input":[` + tools + `,` + codex + `],` + lite + `,"instructions":""}`, false},
		{"lite: nothing at hand", `{"model":"gpt-5.6-sol","instructions":"OWN \u003c","input":[],` + lite + `}`,
			`{"model":"gpt-5.6-sol","instructions":"","input":[` + tools + `,` + own + `],` + lite + `}`, true},
		{"lite: the host's are Codex's", `{"model":"gpt-5.6-sol","instructions":"CODEX","input":[],` + lite + `}`,
			`{"model":"gpt-5.6-sol","instructions":"","input":[` + tools + `,` + codex + `],` + lite + `}`, false},
		{"lite: already", `{"model":"gpt-5.6-sol","instructions":"","input":[` + tools + `,` + codex + `,` + user + `],` + lite + `}`,
			`{"model":"gpt-5.6-sol","instructions":"","input":[` + tools + `,` + codex + `,` + user + `],` + lite + `}`, false},
		{"lite: suffix, context and effort", `{"model":"gpt-5.6-sol-ultra","instructions":"","input":[` + tools + `],` + fit + `}`,
			`{"model":"gpt-5.6-sol","instructions":"","input":[` + tools + `],` + fit + `,"reasoning":{"effort":"ultra","context":"all_turns"},"parallel_tool_calls":false}`, false},
		{"lite: context changed, effort null before it", `{"model":"gpt-5.6-sol-max","reasoning":{"effort":null,"x":1,"context":"auto"},"instructions":"","input":[` + tools + `],"parallel_tool_calls":null,` + fit + `}`,
			`{"model":"gpt-5.6-sol","reasoning":{"effort":"max","x":1,"context":"all_turns"},"instructions":"","input":[` + tools + `],"parallel_tool_calls":false,` + fit + `}`, false},
		{"lite: context changed, effort null after it", `{"model":"gpt-5.6-sol-max","reasoning":{"context":null,"effort":null},"instructions":"","input":[` + tools + `],"parallel_tool_calls":false,` + fit + `}`,
			`{"model":"gpt-5.6-sol","reasoning":{"context":"all_turns","effort":"max"},"instructions":"","input":[` + tools + `],"parallel_tool_calls":false,` + fit + `}`, false},
		{"lite: details", `{"model":"gpt-5.6-sol","instructions":"","input":[` + tools +
			`,{"id":"a","role":"user","content":[{"detail":"high","type":"input_image"},{"type":"input_file","detail":"x"},{"type":"input_image","detail":"a","detail":"b"}],"id":"b"}` +
			`,{"type":"custom_tool_call","call_id":"c"},{"type":"custom_tool_call_output","call_id":"c","output":[{"type":"input_image","image_url":{"detail":1},"detail":"low","z":0}]}],` + lite + `}`,
			`{"model":"gpt-5.6-sol","instructions":"","input":[` + tools +
				`,{"role":"user","content":[{"type":"input_image"},{"type":"input_file","detail":"x"},{"type":"input_image"}]}` +
				`,{"type":"custom_tool_call","call_id":"c"},{"type":"custom_tool_call_output","call_id":"c","output":[{"type":"input_image","image_url":{"detail":1},"z":0}]}],` + lite + `}`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Mode: ModeCodex, Catalogue: catalogue(), Instructions: "CODEX"}
			if test.without {
				o.Instructions = ""
			}
			got, res := run(t, test.body, o)
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if lite := len(res.Headers) == 1; lite != strings.HasPrefix(test.name, "lite") {
				t.Errorf("headers = %q", res.Headers)
			}
		})
	}
}
