package cli

import (
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

// TestJudgeDemo: the demo ends well only if it showed what it promises.
func TestJudgeDemo(t *testing.T) {
	const header = "\x1b[0m\n> build · gpt-5.5\n\x1b[0m\n"
	met := []sim.Call{{Seat: "personal", Status: 429}, {Seat: "work", Status: 200}}
	for _, test := range []struct {
		name         string
		calls        []sim.Call
		answer, said string
		problem      string // "" for none
	}{
		{"as promised", met, "Hello from work", header, ""},
		{"through the pipe", met, "Hello from work", "", ""},
		{"from the wrong account", met, "Hello from second", header, "did not come from"},
		{"no answer", met, "", header, "did not come from"},
		{"the limit was not met", met[1:], "Hello from work", header, "never met"},
		{"the backend objects to a call", []sim.Call{{Status: 400, Refused: "store"}, met[1]}, "Hello from work", header, "objects: store"},
		{"an error beside the answer", met, "Hello from work", header + "\x1b[91m\x1b[1mError: \x1b[0mUsage limit\n", "sees an error: Error: Usage limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := judgeDemo(test.calls, test.answer, test.said, "work")
			if (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("got %v, want %q", err, test.problem)
			}
		})
	}
}
