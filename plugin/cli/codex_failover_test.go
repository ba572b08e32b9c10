package cli

import (
	"maps"
	"testing"

	"codex-rota/plugin/sim"
)

// TestCodexAnswers goes through the shapes that Codex writes: the classic one,
// and the lite one of its own default model.
func TestCodexAnswers(t *testing.T) {
	for _, model := range []string{"gpt-5.5", "gpt-6.1-sol"} {
		t.Run(model, func(t *testing.T) {
			c := newCodex(t, named("a", "b")...)
			c.exec("Say hello.", "-m", model).mustSay(t, "Hello from a")
			c.mustTalk("a 200")
			c.mustRefresh(nil)
			c.mustBeObedient()
		})
	}
}

// TestCodexFailsOver: what an account or the way to it does wrong ends inside one
// request of Codex's, which sees only the answer.
func TestCodexFailsOver(t *testing.T) {
	for _, test := range []struct {
		name, fault string
		seat        string
		talk        []string
		refreshes   map[string]int
		states      map[string]string
		says        string
		troubles    []string // Codex's own words for what it repeats by itself
	}{
		{"weekly limit", "weekly-limit", "a", []string{"a 429", "b 200"}, nil, map[string]string{"a": "limited"}, "b", nil},
		{"5-hour limit", "five-hour-limit", "a", []string{"a 429", "b 200"}, nil, map[string]string{"a": "limited"}, "b", nil},
		{"limit told with a 404", "limit-404", "a", []string{"a 404", "b 200"}, nil, map[string]string{"a": "limited"}, "b", nil},
		{"limit in the stream", "limit-in-stream", "a", []string{"a 200", "b 200"}, nil, map[string]string{"a": "limited"}, "b", nil},
		{"rate limit in the stream", "rate-limit-in-stream", "a", []string{"a 200", "b 200"}, nil, map[string]string{"a": "cooling"}, "b", nil},
		{"long rate limit", "rate-limit-long", "a", []string{"a 429", "b 200"}, nil, map[string]string{"a": "cooling"}, "b", nil},
		{"token expired", "token-expired", "a", []string{"a 401", "a 200"}, map[string]int{"a": 1}, nil, "a", nil},
		{"workspace deactivated", "workspace-deactivated", "a", []string{"a 402", "b 200"}, nil, map[string]string{"a": "suspended"}, "b", nil},
		{"workspace disabled", "workspace-disabled", "a", []string{"a 403", "b 200"}, nil, map[string]string{"a": "suspended"}, "b", nil},
		{"not in the plan", "not-in-plan", "a", []string{"a 429", "b 200"}, nil, map[string]string{"a": "cooling"}, "b", nil},
		{"model not supported", "model-not-supported", "a", []string{"a 400", "b 200"}, nil, nil, "b", nil},
		{"connection reset", "reset-connection", "", []string{"a 0", "a 200"}, nil, nil, "a", nil},
		{"stream cut before output", "stream-cut-before-output", "", []string{"a 200", "a 200"}, nil, nil, "a", nil},
		{"overload", "overload-503", "", []string{"a 503", "a 200"}, nil, nil, "a", nil},
		{"overload that Codex would not repeat", "overload-429", "", []string{"a 429", "a 200"}, nil, nil, "a", nil},
		{"overload told in the stream", "overload-in-stream", "", []string{"a 200", "a 200"}, nil, nil, "a", nil},
		{"fault of the server told in the stream", "error-in-stream", "", []string{"a 200", "a 200"}, nil, nil, "a", nil},
		{"fault of the server", "error-500", "", []string{"a 500", "a 200"}, nil, nil, "a", nil},
		{"stream cut after output", "stream-cut", "", []string{"a 200", "a 200"}, nil, nil, "a", []string{"Reconnecting... 1/5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCodex(t, named("a", "b")...)
			c.fault(test.fault, times(1), onSeat(test.seat))
			c.exec("Say hello.").mustSay(t, "Hello from "+test.says, test.troubles...)
			c.mustTalk(test.talk...)
			c.mustRefresh(test.refreshes)
			states := map[string]string{"a": "ready", "b": "ready"}
			maps.Copy(states, test.states)
			if got := c.states(); !maps.Equal(got, states) {
				t.Errorf("states %v, want %v", got, states)
			}
			c.mustBeObedient()
			if test.seat == "" || test.says == "a" {
				return
			}
			c.resume("And again.").mustSay(t, "Hello from "+test.says)
			c.mustTalk(append(test.talk, test.says+" 200")...)
		})
	}
}

// TestCodexExpiredToken: it is renewed before the request is sent.
func TestCodexExpiredToken(t *testing.T) {
	c := newCodex(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b"})
	c.exec("Say hello.").mustSay(t, "Hello from a")
	c.mustTalk("a 200")
	c.mustRefresh(map[string]int{"a": 1})
	c.mustBeObedient()
}
