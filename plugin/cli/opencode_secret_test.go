package cli

import (
	"bytes"
	"io/fs"
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
// use with every log on, and then searches all that was written.
func TestOpenCodeKeepsSecrets(t *testing.T) {
	o := newOpenCode(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b"})
	marks := o.marks()
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
	marks = append(marks, o.marks()...)
	for _, seat := range o.seats {
		if n := o.sim.RefreshCount(seat); n != 1 {
			t.Errorf("%s was refreshed %d times, want once", seat.Name, n)
		}
	}
	for _, mark := range marks {
		if strings.Contains(got.out+got.err+got.log, mark) {
			t.Errorf("the person sees %q", mark)
		}
	}
	files := o.filesWith(marks...)
	for _, file := range files {
		if file != "pool/openai-codex-accounts.json" && !strings.HasPrefix(file, "pool/backups/") {
			t.Errorf("there is a token in %s", file)
		}
	}
	if len(files) < 2 {
		t.Errorf("tokens were found in %q alone: the search is blind", files)
	}
	// What must have been searched, with what it must hold.
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

// filesWith names the files of the home that hold one of the texts.
func (o *openCode) filesWith(texts ...string) []string {
	o.t.Helper()
	var found []string
	err := filepath.WalkDir(o.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if bytes.Contains(b, []byte(text)) {
				name, err := filepath.Rel(o.dir, path)
				found = append(found, filepath.ToSlash(name))
				return err
			}
		}
		return nil
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return found
}
