package pool

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"codex-rota/logging"
)

func drawAccount(t *rapid.T) Account {
	text := rapid.StringMatching(`[a-zA-Z0-9 <>&"\\\x{e4}\x{1F600}]{0,12}`)
	at := rapid.Custom(func(t *rapid.T) time.Time {
		ms := rapid.Int64Range(0, 4e12).Draw(t, "ms")
		if ms < 1e10 {
			return time.Time{}
		}
		return time.UnixMilli(ms)
	})
	secret := func(label string) logging.Secret { return logging.NewSecret(text.Draw(t, label)) }
	a := Account{
		ID: text.Draw(t, "id"), AccountID: text.Draw(t, "account"), AccountUserID: text.Draw(t, "seat"), UserID: text.Draw(t, "user"),
		Email: text.Draw(t, "email"), Label: text.Draw(t, "label"), Note: text.Draw(t, "note"),
		Enabled: rapid.Bool().Draw(t, "enabled"), Pinned: rapid.Bool().Draw(t, "pinned"), Preferred: rapid.Bool().Draw(t, "preferred"),
		Plan: text.Draw(t, "plan"), Residency: text.Draw(t, "residency"), Refresh: secret("refresh"), Access: secret("access"),
		ExpiresAt: at.Draw(t, "expires"), RefreshedAt: at.Draw(t, "refreshed"), AddedAt: at.Draw(t, "added"), Source: text.Draw(t, "source"),
	}
	if tags := rapid.SliceOfN(text, 0, 3).Draw(t, "tags"); len(tags) > 0 {
		a.Tags = tags
	}
	if rapid.Bool().Draw(t, "flagged") {
		a.Flag = &Flag{Kind: FlagSuspended, Reason: text.Draw(t, "reason"), At: at.Draw(t, "flaggedAt"), RefusedHash: text.Draw(t, "hash")}
	}
	a.extra = drawExtra(t)
	return a
}

func drawExtra(t *rapid.T) map[string]json.RawMessage {
	extra := map[string]json.RawMessage{}
	for _, name := range rapid.SliceOfN(rapid.StringMatching(`x[a-z"\\]{1,4}`), 0, 3).Draw(t, "extra") {
		extra[name] = json.RawMessage(rapid.SampledFrom([]string{`null`, `12345678901234567890`, `"a"`, `[1.50]`, `{"b":true}`}).Draw(t, "value"))
	}
	if len(extra) == 0 {
		return nil
	}
	return extra
}

var sameDocument = cmp.Options{
	cmp.AllowUnexported(document{}, Account{}),
	cmp.Comparer(func(a, b logging.Secret) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b json.RawMessage) bool { return compact(a) == compact(b) }),
}

func compact(raw json.RawMessage) string {
	return strings.NewReplacer(" ", "", "\n", "").Replace(string(raw))
}

func TestDocumentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := document{
			version: fileVersion, revision: rapid.Int64Range(0, 1<<53).Draw(t, "revision"),
			accounts: rapid.SliceOfN(rapid.Custom(drawAccount), 0, 4).Draw(t, "accounts"), extra: drawExtra(t),
		}
		data, err := encodeDocument(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeDocument(data)
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		if diff := cmp.Diff(doc, got, sameDocument); diff != "" {
			t.Errorf("(-written +read)\n%s", diff)
		}
	})
}

func TestIntentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAccount(t)
		in := intent{Sent: a.Refresh.Hash(), At: a.AddedAt, Failures: rapid.IntRange(0, 9).Draw(t, "failures"), RetryAt: a.RefreshedAt}
		if rapid.Bool().Draw(t, "answered") {
			in.Answer = &answer{Refresh: a.Refresh, Access: a.Access, ExpiresAt: a.ExpiresAt, ReceivedAt: a.RefreshedAt}
			in.Answer.Claims.Email, in.Answer.Claims.AccountID = a.Email, a.AccountID
		}
		data, err := encodeIntent(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeIntent(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, got, sameDocument); diff != "" {
			t.Errorf("(-written +read)\n%s", diff)
		}
		if in.Answer == nil {
			return
		}
		cut := rapid.IntRange(headRoom, len(data)-1).Draw(t, "cut")
		torn := append(append([]byte{}, data[:cut]...), strings.Repeat(" ", len(data)-cut)...)
		if got, err := decodeIntent(torn); err != nil || cut < len(data)-2 && got.Answer != nil {
			t.Errorf("cut at %d: %+v, %v", cut, got.Answer, err)
		}
	})
}

func FuzzDecodeDocument(f *testing.F) {
	for _, seed := range []string{
		`{"version":4,"revision":1,"accounts":[{"id":"a","accountId":"W","refreshToken":"r","expiresAt":1700000000000}]}`,
		`{"version":3,"accounts":[{"accountId":"W","refreshToken":"r","addedAt":1,"lastUsed":2,"rateLimitResetTimes":{"codex":3}}],"activeIndex":0}`,
		`{"version":1,"accounts":[{"refreshToken":"r","rateLimitResetTime":1}],"activeIndex":0}`,
		`[{"refreshToken":"r"}]`, `{"version":5}`, `{`, ``, `null`, `{"version":"4","accounts":[]}`, `{"accounts":[null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := decodeDocument(data)
		if err != nil {
			return
		}
		written, err := encodeDocument(doc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeDocument(written)
		if err != nil || len(again.accounts) != len(doc.accounts) {
			t.Fatalf("what we wrote of it cannot be read: %v\n%s", err, written)
		}
	})
}

func FuzzDecodeIntent(f *testing.F) {
	seed, err := encodeIntent(intent{Sent: "h", Answer: &answer{Refresh: logging.NewSecret("r")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = decodeIntent(data) })
}

// poolOf writes an accounts file and opens a store over it.
func poolOf(t *testing.T, accounts string) *rig {
	t.Helper()
	r := newRig(t)
	if err := os.WriteFile(filepath.Join(r.dir, accountsName), []byte(accounts), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestUnreadableIsNeverOverwritten(t *testing.T) {
	cases := []struct{ name, content, says string }{
		{"empty", "", "not JSON from line 1, column 0 on"},
		{"cut short", `{"version":4,` + "\n" + `"accounts":[{"id":`, "not JSON from line 2"},
		{"newer", `{"version":5,"accounts":[]}`, "version 5"},
		{"no list", `{"version":4}`, `no list "accounts"`},
		{"wrong type", `{"version":4,"accounts":[{},{"label":7}]}`, `account 2 of 2: field "label" has the wrong type: want a text`},
		{"version is a text", `{"version":"four","accounts":[]}`, "version is not a number"},
		{"a number", "12", "wrong type: want an object"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			a := r.add(anna, time.Hour)
			path := filepath.Join(r.dir, accountsName)
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := r.Accounts()
			unreadable, ok := err.(*UnreadableError)
			if !ok || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Fatalf("err = %v, want it to say %q", err, c.says)
			}
			if unreadable.Backup != r.NewestGoodBackup() || unreadable.Backup == "" || !strings.Contains(err.Error(), unreadable.Backup) {
				t.Errorf("backup = %q, and the error says %q", unreadable.Backup, err)
			}
			if newer := strings.Contains(c.content, `"version":5`); unreadable.Newer != newer || strings.Contains(err.Error(), "update codex-rota") != newer {
				t.Errorf("newer = %v, and the error says %q", unreadable.Newer, err)
			}
			login := r.issuer.login(bert, time.Hour)
			_, _, addErr := r.Add(t.Context(), login, "", "test")
			for name, err := range map[string]error{
				"add": addErr, "pin": r.Pin(t.Context(), a.ID), "remove": r.Remove(t.Context(), a.ID),
				"update": r.Update(t.Context(), a.ID, func(*Account) error { return nil }),
			} {
				if err == nil {
					t.Errorf("%s went through", name)
				}
			}
			if got, _ := os.ReadFile(path); string(got) != c.content {
				t.Errorf("the file was changed to %q", got)
			}
			if token, err := r.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !token.Access.Equal(a.Access) {
				t.Errorf("a running process's token: %+v, %v", token, err)
			}
			done, err := r.RestoreBackup(t.Context())
			if err != nil || done.Accounts != 1 || len(done.Damaged) != 1 {
				t.Fatalf("restore: %+v, %v", done, err)
			}
			if got := r.account(r.Store, a.ID); !got.Refresh.Equal(a.Refresh) {
				t.Errorf("restored %+v", got)
			}
			if kept, _ := os.ReadFile(done.Damaged[0]); string(kept) != c.content {
				t.Errorf("the damaged file was not kept: %q", kept)
			}
		})
	}
}

func TestHandWrittenAccounts(t *testing.T) {
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	jwt := anna.jwt(soon, "x")
	cases := []struct {
		name, record string
		check        func(a Account) bool
	}{
		{"tokens only", fmt.Sprintf(`{"refreshToken":"r","accessToken":%q}`, jwt), func(a Account) bool {
			return a.AccountID == "W1" && a.AccountUserID == "u-anna" && a.Email == "anna@example.com" && a.Plan == "plus" &&
				a.ExpiresAt.Equal(soon) && a.Enabled && strings.HasPrefix(a.ID, "acct_") && len(a.ID) == 17
		}},
		{"own expiry wins", fmt.Sprintf(`{"refreshToken":"r","accessToken":%q,"expiresAt":%d}`, jwt, soon.UnixMilli()-5000), func(a Account) bool {
			return a.ExpiresAt.Equal(soon.Add(-5 * time.Second))
		}},
		{"expiry as a text", fmt.Sprintf(`{"refreshToken":"r","accessToken":%q,"expiresAt":%q}`, jwt, soon.Format(time.RFC3339)), func(a Account) bool {
			return a.ExpiresAt.Equal(soon)
		}},
		{"disabled", `{"refreshToken":"r","accountId":"W","enabled":false}`, func(a Account) bool { return !a.Enabled && a.Problem == "" }},
		{"malformed token", fmt.Sprintf(`{"refreshToken":"r","accountId":"W","accessToken":"abc","expiresAt":%d}`, soon.UnixMilli()), func(a Account) bool {
			return a.ExpiresAt.IsZero() && strings.Contains(a.Problem, "want three parts") && a.Access.Reveal() == "abc"
		}},
		{"access token only", fmt.Sprintf(`{"accessToken":%q}`, jwt), func(a Account) bool { return a.Flag == nil && a.ExpiresAt.Equal(soon) }},
		{"no tokens", `{"accountId":"W","label":"x"}`, func(a Account) bool { return a.Flag != nil && a.Label == "x" }},
		{"nothing at all", `{}`, func(a Account) bool { return a.Flag != nil && a.ID != "" }},
		{"odd case", `{"refreshToken":"r","AccountID":"W"}`, func(a Account) bool { return a.AccountID == "W" && a.extra == nil }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := poolOf(t, `{"version":4,"accounts":[`+c.record+`]}`)
			list, err := r.Accounts()
			if err != nil || len(list) != 1 || !c.check(list[0]) {
				t.Fatalf("%+v, %v", list, err)
			}
			// The id that was derived is the one that is written.
			if err := r.Update(t.Context(), list[0].ID, func(a *Account) error { a.Note = "n"; return nil }); err != nil {
				t.Fatal(err)
			}
			if got := r.account(r.open(Options{}), list[0].ID); got.Note != "n" {
				t.Errorf("after a write: %+v", got)
			}
		})
	}
}

func TestUnknownFieldsSurvive(t *testing.T) {
	r := poolOf(t, `{"version":4,"revision":7,"theme":{"dark":true},"accounts":[{"refreshToken":"r","accountId":"W","shoe":[1,2.50]}]}`)
	list, err := r.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Pin(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(r.dir, accountsName))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"theme":{"dark":true}`, `"shoe":[1,2.50]`, `"revision":8`, `"pinned":true`} {
		if !strings.Contains(compact(data), want) {
			t.Errorf("%s is gone from\n%s", want, data)
		}
	}
}

func TestMissingFileIsAnEmptyPool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	s, err := OpenStore(Options{Dir: dir, Refresh: newIssuer(t, time.Now).refresh})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := s.Accounts(); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("opening and reading made the folder")
	}
}

func BenchmarkAccountsUnchanged(b *testing.B) {
	var records []string
	for n := range 1000 {
		p := person{fmt.Sprintf("W%d", n), fmt.Sprintf("u%d", n), ""}
		records = append(records, fmt.Sprintf(`{"refreshToken":"r%d","accessToken":%q}`, n, p.jwt(time.Now().Add(time.Hour), "")))
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, accountsName), []byte(`{"version":4,"accounts":[`+strings.Join(records, ",")+`]}`), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := OpenStore(Options{Dir: dir, Refresh: newIssuer(b, time.Now).refresh})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if list, err := s.Accounts(); err != nil || len(list) != 1000 {
			b.Fatal(len(list), err)
		}
	}
}
