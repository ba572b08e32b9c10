package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"codex-rota/plugin/sim"
)

// TestCodexThreadStays: in round-robin each new thread takes the next account, so
// that only its binding keeps one where it is.
func TestCodexThreadStays(t *testing.T) {
	c := newCodex(t, named("a", "b", "c")...)
	c.writeSettings(`{"rotation": "round-robin"}`)
	c.exec("Say hello.").mustSay(t, "Hello from a")
	first := c.sim.Calls(sim.KindResponses)[0].Headers.Get("Thread-Id")
	c.exec("Say hello.").mustSay(t, "Hello from b")
	c.startWith(nil, "exec", "resume", "--skip-git-repo-check", first, "And again.").shown().mustSay(t, "Hello from a")
	c.mustTalk("a 200", "b 200", "a 200")
	c.mustBeObedient()
}

// TestCodexThreadMoves: between two turns the person goes to another account.
// The thread's text goes on there; the backend may or may not take the reasoning
// that the first account encrypted, and Codex does not know what to do when not.
func TestCodexThreadMoves(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	c.exec("My name is Ann.").mustSay(t, "Hello from a")
	c.must("disable", "a")
	c.resume("What is my name?").mustSay(t, "Hello from b")
	c.fault("invalid-encrypted-content", times(1))
	c.resume("And again?").mustSay(t, "Hello from b")
	c.resume("And now?").mustSay(t, "Hello from b")
	c.mustTalk("a 200", "b 200", "b 400", "b 200", "b 200")
	calls := c.sim.Calls(sim.KindResponses)
	for i, want := range [][]string{{}, {"a"}, {"a", "b"}, {}, {"b"}} {
		if got := c.reasoningIn(calls[i].Body); !slices.Equal(got, want) {
			t.Errorf("call %d carries the reasoning of %q, want %q", i+1, got, want)
		}
		if i > 0 && !strings.Contains(calls[i].Body, "My name is Ann.") {
			t.Errorf("call %d lost the thread", i+1)
		}
	}
	c.mustRefresh(nil)
}

// reasoningIn names the accounts whose encrypted reasoning a body carries.
func (c *codexCLI) reasoningIn(body string) []string {
	names := []string{}
	for _, item := range gjson.Get(body, `input.#(type=="reasoning")#.encrypted_content`).Array() {
		for _, seat := range c.seats {
			if strings.Contains(item.String(), seat.AccountID) {
				names = append(names, seat.Name)
			}
		}
	}
	return names
}

// turnStates are the turn states of the model calls so far, by the name of the
// account that gave them, "" for none.
func (c *codexCLI) turnStates() []string {
	var out []string
	for _, call := range c.sim.Calls(sim.KindResponses) {
		giver := call.Headers.Get("X-Codex-Turn-State")
		for _, seat := range c.seats {
			if giver != "" && strings.Contains(giver, seat.AccountID) {
				giver = seat.Name
			}
		}
		out = append(out, giver)
	}
	return out
}

// useTools has the model call a harmless tool of Codex's this often in a turn.
// during runs while the call after so many tools is answered.
func (c *codexCLI) useTools(times int, during func(done int)) {
	c.sim.SetReply(func(call sim.Call) sim.Reply {
		done := strings.Count(call.Body, `"type":"function_call_output"`)
		if during != nil {
			during(done)
		}
		if done < times {
			return sim.Reply{Tool: &sim.ToolCall{ID: fmt.Sprint("call_", done), Name: "get_goal", Arguments: "{}"}}
		}
		return sim.Reply{}
	})
}

func (c *codexCLI) mustCarryTurnStates(want ...string) {
	c.t.Helper()
	if got := c.turnStates(); !slices.Equal(got, want) {
		c.t.Errorf("the calls carry the turn states of %q, want %q", got, want)
	}
}

// TestCodexTurnState: Codex echoes the first one of a turn to its end. The account
// that gave it gets it back, and a new turn begins with none.
func TestCodexTurnState(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	c.useTools(2, nil)
	c.exec("Look.").mustSay(t, "Hello from a")
	c.mustTalk("a 200", "a 200", "a 200")
	c.mustCarryTurnStates("", "a", "a")
	c.resume("And again.").mustSay(t, "Hello from a")
	c.mustCarryTurnStates("", "a", "a", "")
	c.mustBeObedient()
}

// TestCodexTurnStateOfAnother: the account of a turn is spent in the middle of it.
// The next one never gets its turn state, also not after it has given its own,
// which Codex does not take up.
func TestCodexTurnStateOfAnother(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	c.useTools(3, func(done int) {
		if done == 1 {
			c.fault("weekly-limit", onSeat("a"), times(1))
		}
	})
	c.exec("Look.").mustSay(t, "Hello from b")
	c.mustTalk("a 200", "a 200", "a 429", "b 200", "b 200")
	c.mustCarryTurnStates("", "a", "a", "", "")
}
