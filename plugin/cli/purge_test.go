package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// TestPurgeLeavesNothing fills a home with everything the product ever writes,
// some of it by processes that live on, deletes it, and looks for any token,
// e-mail or id of an account in every file and name of the home.
func TestPurgeLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, sim.Seat{Name: "a", Email: "marked.anna@example.com", Expired: true}, sim.Seat{Name: "b", Email: "marked.bert@example.com"},
		sim.Seat{Name: "c", Email: "marked.carl@example.com"}, sim.Seat{Name: "d", Email: "marked.dora@example.com"})
	r.withCodex()
	const openCodeText, codexText = "{\n  // mine\n  \"model\": \"openai/gpt-5.5\"\n}\n", "# mine\nmodel = \"gpt-5.5\"\n"
	r.write(".config/opencode/opencode.jsonc", openCodeText)
	r.write(codexConfig, codexText)
	marks := r.marks()
	r.must("install", "opencode")
	r.must("install", "codex")
	r.must("install", "codex", "--profile-only")
	marks = append(marks, strings.TrimSpace(r.must("token", "--front-end")))
	r.fault("weekly-limit", onSeat("a"))
	r.fault("token-invalidated", onSeat("c"))
	outlives, _ := r.serve("", "ENABLE_PLUGIN_REQUEST_LOGGING=1", "CODEX_PLUGIN_LOG_BODIES=1")
	for _, session := range []string{"1", "2", "3"} {
		if _, _, err := r.call(outlives, hostCall{name: session, session: session}); err != nil {
			t.Log(err) // the account whose tokens were invalidated
		}
	}
	// A call goes on over the purge.
	body, err := demoBody("over")
	if err != nil {
		t.Fatal(err)
	}
	var prepared plugin.Prepared
	if err := outlives.ask(t.Context(), "request/prepare", object{"call": "over", "url": "https://api.openai.com/v1/responses", "method": "POST",
		"headers": []plugin.Header{{"session-id", "over"}}, "body": string(body)}, &prepared); err != nil {
		t.Fatal(err)
	}
	answer, err := outlives.send(t.Context(), prepared, body)
	if err != nil || answer.status != 200 {
		t.Fatalf("the call before the purge: %+v %v", answer, err)
	}
	marks = append(marks, r.marks()...)
	// What a crash, another tool and a damaged file leave.
	id := r.accountID("b")
	r.write("pool/locks/"+id+".intent", `{"answer":"`+r.seats[1].Tokens().Refresh+`"}`)
	r.write("pool/.openai-codex-accounts.json.tmp-1", r.seats[1].Tokens().Refresh)
	r.write("pool/openai-codex-accounts.json.bak", nodePool(3, r.seats[1]))
	r.write("pool/projects/web-0123456789ab/openai-codex-accounts.json", nodePool(3, r.seats[2]))
	r.write("pool/quota-cache.json.unreadable-20260101T000000.000Z", id)
	r.write("pool/settings.json", `{"accountsForModel": {"gpt-5.5": ["marked.bert@example.com"]}}`)
	if found := r.search(marks); len(found) == 0 {
		t.Fatal("the search finds nothing even before the purge")
	}

	if _, errOut, code := r.run("", "purge", "--all"); code != 2 || !strings.Contains(errOut, "--yes") {
		t.Errorf("without --yes and a terminal: exit %d, %s", code, errOut)
	}
	out := r.must("purge", "--all", "--yes")
	for _, name := range []string{"opencode", "codex"} {
		if !strings.Contains(out, "codex-rota uninstall "+name) {
			t.Errorf("it does not say that %s is still registered:\n%s", name, out)
		}
		r.must("uninstall", name)
	}
	if _, err := os.Stat(r.root()); err == nil {
		t.Errorf("the root is still there:\n%s", out)
	}
	// The process that was there all the time.
	var verdict plugin.Verdict
	if err := outlives.ask(t.Context(), "request/response", object{"call": "over", "attempt": 1, "status": 200, "headers": answer.headers, "body": string(answer.body)}, &verdict); err != nil {
		t.Error(err)
	}
	if err := outlives.ask(t.Context(), "request/done", object{"call": "over", "end": "completed", "body": string(answer.body)}, &plugin.Empty{}); err != nil {
		t.Error(err)
	}
	if _, _, err := r.call(outlives, hostCall{name: "after", session: "1"}); codeOf(err) != "no_accounts" {
		t.Errorf("a call after the purge: %v", err)
	}
	if err := outlives.close(); err != nil {
		t.Error(err)
	}
	for _, found := range r.search(marks) {
		t.Errorf("left: %s", found)
	}
	for name, want := range map[string]string{".config/opencode/opencode.jsonc": openCodeText, codexConfig: codexText} {
		if now := r.read(name); now != want {
			t.Errorf("%s is now\n%s", name, now)
		}
	}
	for _, name := range []string{".config/opencode/codex-rota", ".codex/codex-rota", codexProfile} {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

// marks are what must not be found of any account.
func (r *rig) marks() (marks []string) {
	r.t.Helper()
	for _, seat := range r.seats {
		tokens := seat.Tokens()
		marks = append(marks, tokens.Access, tokens.Refresh, tokens.ID, seat.Email, seat.AccountID, seat.UserID, seat.AccountUserID)
	}
	for _, a := range decode[struct{ Accounts []plugin.Account }](r.t, r.must("list", "--json")).Accounts {
		marks = append(marks, a.ID)
	}
	return marks
}

// search looks through names and contents of the whole home.
func (r *rig) search(marks []string) (found []string) {
	r.t.Helper()
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		text := path[len(r.dir):]
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += "\n" + string(data)
		}
		if i := slices.IndexFunc(marks, func(mark string) bool { return strings.Contains(text, mark) }); i >= 0 {
			found = append(found, path[len(r.dir):]+" has "+marks[i])
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

func TestPurgeParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	fill := func() {
		r.write("pool/logs/codex-plugin/requests.jsonl", "{}")
		r.write("pool/cache/codex-instructions-meta.json", "{}")
		r.write("pool/cache/mine.txt", "of somebody else")
		r.write("pool/usage/2026-01.jsonl", "{}")
		r.write("pool/diary.txt", "of somebody else")
	}
	for _, test := range []struct {
		flag       string
		gone, left []string
	}{
		{"--logs", []string{"logs/codex-plugin"}, []string{"cache/codex-instructions-meta.json", "usage/2026-01.jsonl", "openai-codex-accounts.json", "diary.txt"}},
		{"--cache", []string{"cache/codex-instructions-meta.json"}, []string{"cache/mine.txt", "logs/codex-plugin/requests.jsonl", "openai-codex-accounts.json"}},
		{"--all", []string{"cache/codex-instructions-meta.json", "usage", "logs", "locks", "backups", "openai-codex-accounts.json"}, []string{"cache/mine.txt", "diary.txt"}},
	} {
		fill()
		out := decode[plugin.PurgeResult](t, r.must("purge", test.flag, "--yes", "--json"))
		for _, name := range test.gone {
			if _, err := os.Lstat(filepath.Join(r.root(), name)); err == nil {
				t.Errorf("%s: %s is still there", test.flag, name)
			}
		}
		for _, name := range test.left {
			if _, err := os.Lstat(filepath.Join(r.root(), name)); err != nil {
				t.Errorf("%s: %v", test.flag, err)
			}
		}
		if test.flag == "--all" && !slices.Equal(out.LeftAlone, []string{"cache", "diary.txt"}) {
			t.Errorf("left alone: %q", out.LeftAlone)
		}
	}
	if _, _, code := r.run("", "purge", "--yes"); code != 2 {
		t.Errorf("without a word of what: exit %d", code)
	}
}
