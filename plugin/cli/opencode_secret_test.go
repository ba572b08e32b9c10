package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"codex-rota/logging"
	"codex-rota/plugin/sim"
)

// marks are the tokens that the accounts have now, and the parts of them that
// would give one away.
func (o *openCode) marks() []string {
	var marks []string
	for _, seat := range o.seats {
		tokens := seat.Tokens()
		marks = append(marks, tokens.Refresh)
		for _, token := range []string{tokens.Access, tokens.ID} {
			marks = append(marks, strings.Split(token, ".")[1:]...) // the head is the same in all
		}
	}
	return marks
}

// TestOpenCodeKeepsSecrets goes through refresh, refused token, limit and tool
// use with every log on; then all that was written is searched, as at the end of
// every test.
func TestOpenCodeKeepsSecrets(t *testing.T) {
	o := newOpenCode(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b"})
	o.fault("unauthorized", onSeat("b"), times(1))
	o.fault("weekly-limit", onSeat("a"))
	o.sim.SetReply(func(c sim.Call) sim.Reply {
		if isTitle(c) || strings.Contains(c.Body, "function_call_output") {
			return sim.Reply{}
		}
		return sim.Reply{Tool: &sim.ToolCall{ID: "call_1", Name: "codex-status", Arguments: "{}"}}
	})
	run := o.startWith([]string{"CODEX_PLUGIN_LOG_BODIES=1"},
		"run", "Say hello.", "--model", "openai/gpt-5.5", printLogs, "--log-level", "DEBUG")
	got := run.wait()
	if got.code != 0 || got.out != "Hello from b\n" {
		t.Errorf("the person sees %q (exit code %d)", got.out, got.code)
	}
	for _, seat := range o.seats {
		if n := o.sim.RefreshCount(seat); n != 1 {
			t.Errorf("%s was refreshed %d times, want once", seat.Name, n)
		}
	}
	// What the search at the end must find there.
	for file, text := range map[string]string{
		"pool/logs/codex-plugin/" + logging.RequestsLog: "Say hello.",
		".local/share/opencode/log/opencode.log":        "codex-rota",
		".local/share/opencode/auth.json":               `"refresh":"codex-rota"`,
	} {
		b, err := os.ReadFile(filepath.Join(o.dir, filepath.FromSlash(file)))
		if err != nil || !bytes.Contains(b, []byte(text)) {
			t.Errorf("%s does not hold %q (%v)", file, text, err)
		}
	}
}
