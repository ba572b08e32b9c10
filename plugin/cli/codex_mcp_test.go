package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

// TestCodexTools: the real Codex offers the model our tools, runs the ones that
// the model calls, and gives it what they say: the commands' own text, and a
// failure as text too.
func TestCodexTools(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	calls := []sim.ToolCall{
		{ID: "call_1", Namespace: "mcp__codex_rota", Name: "list_accounts", Arguments: `{}`},
		{ID: "call_2", Namespace: "mcp__codex_rota", Name: "quota", Arguments: `{"account":2}`},
		{ID: "call_3", Namespace: "mcp__codex_rota", Name: "explain", Arguments: `{"model":"gpt-5.5"}`},
		{ID: "call_4", Namespace: "mcp__codex_rota", Name: "quota", Arguments: `{"account":"nobody"}`},
	}
	c.sim.SetReply(func(call sim.Call) sim.Reply {
		for i := range calls {
			if !strings.Contains(call.Body, `"call_id":"`+calls[i].ID+`"`) {
				return sim.Reply{Tool: &calls[i]}
			}
		}
		return sim.Reply{Text: "done"}
	})
	c.exec("look at my accounts").mustSay(t, "done")
	c.mustBeObedient()
	all := c.sim.Calls(sim.KindResponses)
	last := decode[struct {
		Tools []struct {
			Name  string
			Tools []struct{ Name string }
		}
		Input []struct {
			Type   string
			CallID string `json:"call_id"`
			Output json.RawMessage
		}
	}](t, all[len(all)-1].Body)
	var offered []string
	for _, namespace := range last.Tools {
		for _, tool := range namespace.Tools {
			if namespace.Name == "mcp__codex_rota" {
				offered = append(offered, tool.Name)
			}
		}
	}
	if got := strings.Join(offered, " "); got != "explain list_accounts quota switch_account" {
		t.Errorf("the model is offered %q", got)
	}
	outputs := map[string]string{}
	for _, item := range last.Input {
		if item.Type == "function_call_output" {
			outputs[item.CallID] = string(item.Output)
		}
	}
	for id, want := range map[string]string{"call_1": "ready", "call_2": "weekly", "call_3": " would be used", "call_4": "no account is called"} {
		if !strings.Contains(outputs[id], want) {
			t.Errorf("%s says %s, want %q", id, outputs[id], want)
		}
	}
}
