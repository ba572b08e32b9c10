package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

const (
	liteHeader = "X-OpenAI-Internal-Codex-Responses-Lite"
	liteBody   = `{"model":"gpt-6-sol","instructions":"","input":[{"type":"additional_tools","role":"developer","tools":[]},{"type":"message","role":"developer","content":[{"type":"input_text","text":"I"}]},{"role":"user","content":"hi"}],"parallel_tool_calls":false,"reasoning":{"effort":"low","context":"all_turns"},"include":["reasoning.encrypted_content"],"store":false,"stream":true}`
)

// TestHeaderChecks changes one header of a good call at a time.
func TestHeaderChecks(t *testing.T) {
	cases := []struct {
		name, header, value string
		status              int
		refused             string
	}{
		{"good", "", "", 200, ""},
		{"no authorization", "Authorization", "", 401, "no authorization"},
		{"host's dummy key", "Authorization", "Bearer sentinel", 401, "unknown access token"},
		{"no bearer", "Authorization", "Basic eDp5", 401, "unknown access token"},
		{"no account", "ChatGPT-Account-Id", "", 403, "chatgpt-account-id"},
		{"another account", "ChatGPT-Account-Id", "acc-2", 403, "chatgpt-account-id"},
		{"no content type", "Content-Type", "", 400, "content-type"},
		{"a form", "Content-Type", "application/x-www-form-urlencoded", 400, "content-type"},
		{"no accept", "Accept", "", 400, "accept"},
		{"accept json", "Accept", "application/json", 400, "accept"},
		{"said to be gzip", "Content-Encoding", "gzip", 400, "the body is no gzip"},
		{"said to be zstd", "Content-Encoding", "zstd", 400, "the body is no zstd"},
		{"another compression", "Content-Encoding", "br", 415, "content-encoding br"},
		{"residency unasked", "X-OpenAI-Internal-Codex-Residency", "us", 403, "residency"},
		{"lite header alone", liteHeader, "true", 400, "lite"},
	}
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{AccountID: "acc-1"})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := r.model(seat, goodBody, c.header, c.value)
			if got.status != c.status || !strings.Contains(r.last().Refused, c.refused) || (c.refused == "") != (r.last().Refused == "") {
				t.Errorf("%d %s, refused %q", got.status, got.body, r.last().Refused)
			}
		})
	}
}

func TestStrayHeadersAreNoted(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	r.model(seat, goodBody)
	if notes := r.last().Notes; notes != nil {
		t.Errorf("a clean call has notes %q", notes)
	}
	for _, h := range []string{"cookie", "x-api-key", "openai-organization", "traceparent", "b3", "x-session-id", "x-session-affinity", "x-parent-session-id", "x-opencode-title"} {
		r.model(seat, goodBody, h, "v")
		if notes := r.last().Notes; !slices.Equal(notes, []string{"stray header " + h}) {
			t.Errorf("%s: %q", h, notes)
		}
	}
	for _, h := range []string{"session-id", "thread-id", "version", "x-codex-window-id"} {
		r.model(seat, goodBody, h, "v")
		if notes := r.last().Notes; notes != nil {
			t.Errorf("%s is the host's and fine: %q", h, notes)
		}
	}
}

func TestTokenStates(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(r *rig, seat *sim.Seat)
		code  string
	}{
		{"expired by time", func(r *rig, _ *sim.Seat) { r.clock.advance(241 * time.Hour) }, "token_expired"},
		{"refused", func(_ *rig, s *sim.Seat) { s.RefuseAccess() }, "token_expired"},
		{"revoked", func(_ *rig, s *sim.Seat) { s.Revoke() }, "token_invalidated"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, sim.Options{})
			seat := r.AddSeat(sim.Seat{})
			c.spoil(r, seat)
			if got := r.model(seat, goodBody); got.status != 401 || !strings.Contains(got.body, `"`+c.code+`"`) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

func TestResidency(t *testing.T) {
	r := start(t, sim.Options{})
	us := r.AddSeat(sim.Seat{Residency: "us"})
	free := r.AddSeat(sim.Seat{Residency: "no_constraint"})
	cases := []struct {
		name   string
		seat   *sim.Seat
		value  string
		status int
	}{
		{"claimed and sent", us, "us", 200},
		{"claimed, not sent", us, "", 403},
		{"no constraint, not sent", free, "", 200},
		{"no constraint, sent", free, "no_constraint", 403},
	}
	for _, c := range cases {
		if got := r.model(c.seat, goodBody, "X-OpenAI-Internal-Codex-Residency", c.value); got.status != c.status {
			t.Errorf("%s: %d", c.name, got.status)
		}
	}
}

// TestBodyChecks changes the good body by replacing one text in it.
func TestBodyChecks(t *testing.T) {
	const in = `"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]`
	items := func(list string) string { return `"input":[` + list + `]` }
	const call, output = `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`, `{"type":"function_call_output","call_id":"c1","output":"x"}`
	cases := []struct {
		name, old, new string
		says           string // of the answer, "" when it is accepted
	}{
		{"good", "", "", ""},
		{"no JSON", goodBody, `{"model":`, "valid dictionary"},
		{"no object", goodBody, `[]`, "valid dictionary"},
		{"null", goodBody, `null`, "valid dictionary"},
		{"wrong type", `"store":false`, `"store":"no"`, "Invalid type"},
		{"store true", `"store":false`, `"store":true`, "Store must be set to false"},
		{"store absent", `"store":false,`, ``, "Store must be set to false"},
		{"stream false", `"stream":true`, `"stream":false`, "Stream must be set to true"},
		{"stream absent", `,"stream":true`, ``, "Stream must be set to true"},
		{"no model", `"model":"gpt-5.5",`, ``, "Model is required"},
		{"provider prefix", `gpt-5.5`, `openai/gpt-5.5`, "not supported"},
		{"effort suffix", `gpt-5.5`, `gpt-5.5-high`, "not supported"},
		{"another model's own suffix", `gpt-5.5`, `gpt-5.1-codex-max`, ""},
		{"no instructions", `"instructions":"I",`, ``, "Instructions are required"},
		{"empty instructions", `"instructions":"I"`, `"instructions":""`, "Instructions are required"},
		{"null instructions", `"instructions":"I"`, `"instructions":null`, "Instructions are required"},
		{"leading developer item", `"instructions":"I",` + in, items(`{"role":"developer","content":"I"},{"role":"user","content":"hi"}`), ""},
		{"leading system item", `"instructions":"I",` + in, items(`{"role":"system","content":"I"}`), ""},
		{"developer item not leading", `"instructions":"I",` + in, items(`{"role":"user","content":"hi"},{"role":"developer","content":"I"}`), "Instructions are required"},
		{"input is a string", in, `"input":"hi"`, "Invalid type"},
		{"no input", in + ",", ``, "Input must be a list"},
		{"max_output_tokens", `"store"`, `"max_output_tokens":5,"store"`, "Unsupported parameter: max_output_tokens"},
		{"max_completion_tokens", `"store"`, `"max_completion_tokens":5,"store"`, "Unsupported parameter: max_completion_tokens"},
		{"prompt_cache_retention", `"store"`, `"prompt_cache_retention":"24h","store"`, "Unsupported parameter: prompt_cache_retention"},
		{"safety_identifier", `"store"`, `"safety_identifier":"x","store"`, "Unsupported parameter: safety_identifier"},
		{"temperature of a reasoning model", `"store"`, `"temperature":1,"store"`, "Unsupported parameter: temperature"},
		{"top_p of a reasoning model", `"store"`, `"top_p":1,"store"`, "Unsupported parameter: top_p"},
		{"service tier and unknown fields", `"store"`, `"service_tier":"priority","x":{"y":[1]},"store"`, ""},
		{"item reference", in, items(`{"type":"item_reference","id":"rs_1"}`), "Items are not persisted"},
		{"stale id", in, items(`{"type":"message","id":"msg_1","role":"user","content":"hi"}`), "Items are not persisted"},
		{"call and output", in, items(call + `,` + output), ""},
		{"no output", in, items(call), "No tool output found for function call c1."},
		{"no call", in, items(output), "No tool call found for function call output with call_id c1."},
		{"output before its call", in, items(output + `,` + call), "No tool call found"},
		{"two outputs", in, items(call + `,` + output + `,` + output), "No tool call found"},
		{"custom tool without output", in, items(`{"type":"custom_tool_call","call_id":"c1","name":"f","input":"x"}`), "No tool output found for custom tool call c1."},
		{"custom tool, wrong output", in, items(`{"type":"custom_tool_call","call_id":"c1","name":"f","input":"x"},` + output), "No tool call found"},
		{"shell answered by a function output", in, items(`{"type":"local_shell_call","call_id":"c1","action":{}},` + output), ""},
		{"search has no output", in, items(`{"type":"web_search_call","status":"completed"}`), ""},
		{"call without call_id", in, items(`{"type":"function_call","name":"f","arguments":"{}"}`), ""},
		{"no arguments", in, items(`{"type":"function_call","call_id":"c1","name":"f"},` + output), "input[0].arguments"},
		{"null arguments", in, items(`{"type":"function_call","call_id":"c1","name":"f","arguments":null},` + output), "input[0].arguments"},
		{"lite shape without its header", goodBody, liteBody, "Invalid request"},
	}
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			body := strings.Replace(goodBody, c.old, c.new, 1)
			if c.old != "" && body == goodBody {
				t.Fatal("the case changes nothing")
			}
			got := r.model(seat, body)
			if accepted := c.says == ""; accepted != (got.status == 200) || !accepted && (got.status != 400 || !strings.Contains(got.body, c.says)) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if (r.last().Refused == "") != (c.says == "") {
				t.Errorf("refused: %q", r.last().Refused)
			}
		})
	}
}

func TestCodexMaySendIDs(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	body := strings.Replace(goodBody, `{"role":"user"`, `{"id":"msg_1","role":"user"`, 1)
	if got := r.model(seat, body, "Originator", "codex_cli_rs"); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestLiteShape(t *testing.T) {
	cases := []struct{ name, old, new, refused string }{
		{"good", "", "", ""},
		{"no instructions field", `"instructions":"",`, ``, ""},
		{"a model that is not lite", `gpt-6-sol`, `gpt-5.5`, "not lite"},
		{"additional_tools of the user", `"additional_tools","role":"developer"`, `"additional_tools","role":"user"`, "not additional_tools"},
		{"no developer message", `"message","role":"developer"`, `"message","role":"user"`, "no developer message"},
		{"instructions", `"instructions":""`, `"instructions":"I"`, "instructions beside"},
		{"tools", `"store"`, `"tools":[],"store"`, "tools beside"},
		{"parallel calls", `"parallel_tool_calls":false,`, ``, "parallel_tool_calls"},
		{"no context", `,"context":"all_turns"`, ``, "all_turns"},
		{"image detail", `"content":"hi"`, `"content":[{"type":"input_image","image_url":"data:","detail":"high"}]`, "detail"},
		{"image without detail", `"content":"hi"`, `"content":[{"type":"input_image","image_url":"data:"}]`, ""},
		{"image detail in a tool output", `{"role":"user","content":"hi"}`, `{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"data:","detail":"high"}]}`, "detail"},
	}
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := r.model(seat, strings.Replace(liteBody, c.old, c.new, 1), liteHeader, "true")
			if (c.refused == "") != (got.status == 200) || !strings.Contains(r.last().Refused, c.refused) {
				t.Errorf("%d %s, refused %q", got.status, got.body, r.last().Refused)
			}
		})
	}
}

func TestNotesOnBodies(t *testing.T) {
	r := start(t, sim.Options{})
	ann, bob := r.AddSeat(sim.Seat{}), r.AddSeat(sim.Seat{})
	thinking := strings.Replace(goodBody, `"store"`, `"reasoning":{"effort":"low"},"store"`, 1)
	reasoningOf := func(seat *sim.Seat) string {
		_, data := r.model(seat, thinking).events()
		for _, d := range data {
			e := decode[struct {
				Item struct {
					Encrypted string `json:"encrypted_content"`
				}
			}](t, d)
			if e.Item.Encrypted != "" {
				return e.Item.Encrypted
			}
		}
		t.Fatal("no reasoning in the answer")
		return ""
	}
	withReasoning := func(seat *sim.Seat) string {
		return strings.Replace(goodBody, `"input":[`, `"input":[{"type":"reasoning","summary":[],"encrypted_content":"`+reasoningOf(seat)+`"},`, 1)
	}
	cases := []struct{ name, body, note string }{
		{"no include", strings.Replace(goodBody, `"include":["reasoning.encrypted_content"],`, ``, 1), "include has no"},
		{"previous response", strings.Replace(goodBody, `"store"`, `"previous_response_id":"resp_1","store"`, 1), "previous_response_id"},
		{"model not in the catalogue", strings.Replace(goodBody, `gpt-5.5`, `gpt-7`, 1), "not in the catalogue"},
		{"own reasoning", withReasoning(ann), ""},
		{"another account's reasoning", withReasoning(bob), "input[0] holds reasoning of another account"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := r.model(ann, c.body); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			notes := strings.Join(r.last().Notes, "; ")
			if !strings.Contains(notes, c.note) || (notes == "") != (c.note == "") {
				t.Errorf("notes %q", notes)
			}
		})
	}
}
