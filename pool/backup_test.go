package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/logging"
)

// v3 writes the accounts file as a Node tool would.
func (r *rig) v3(version string, records ...map[string]any) {
	r.t.Helper()
	list, err := json.Marshal(records)
	if err != nil {
		r.t.Fatal(err)
	}
	content := fmt.Sprintf(`{%s"accounts":%s,"activeIndex":0,"activeIndexByFamily":{"codex":0}}`, version, list)
	if version == "[" {
		content = string(list)
	}
	if err := os.WriteFile(filepath.Join(r.dir, accountsName), []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func TestMigration(t *testing.T) {
	for _, version := range []string{`"version":1,`, `"version":2,`, `"version":3,`, ``, `[`} {
		t.Run(version, func(t *testing.T) {
			r := newRig(t)
			r.v3(version, map[string]any{
				"accountId": "W1", "email": "anna@example.com", "refreshToken": " rt-1 ", "accountLabel": "work",
				"accountTags": []string{"a"}, "accountNote": "n", "addedAt": 1700000000000, "lastUsed": 1700000000001,
				"rateLimitResetTimes": map[string]int64{"codex": 1700000000002}, "enabled": false, "organizationId": nil,
			}, map[string]any{
				"accountId": "W2", "refreshToken": "rt-2", "accessToken": bert.jwt(r.clock.now().Add(time.Hour), ""), "expiresAt": r.clock.now().Add(time.Hour).UnixMilli(),
			})
			before, err := r.Accounts()
			if err != nil || len(before) != 2 {
				t.Fatalf("%+v, %v", before, err)
			}
			a := before[0]
			if a.Label != "work" || a.Note != "n" || len(a.Tags) != 1 || a.Enabled || a.Refresh.Reveal() != "rt-1" ||
				a.Source != sourceMigrated || !a.AddedAt.Equal(time.UnixMilli(1700000000000)) {
				t.Errorf("migrated as %+v", a)
			}
			if b := before[1]; !b.identified() || b.UserID+b.AccountUserID != "u-bert" || b.ExpiresAt.IsZero() {
				t.Errorf("migrated as %+v", b)
			}
			if len(r.Notices()) != 0 {
				t.Errorf("a plain migration says %q", r.Notices())
			}
			original, _ := os.ReadFile(filepath.Join(r.dir, accountsName))
			if err := r.Update(t.Context(), a.ID, func(a *Account) error { a.Enabled = true; return nil }); err != nil {
				t.Fatal(err)
			}
			after, err := r.open(Options{}).Accounts()
			if err != nil || after[0].ID != a.ID || !after[0].Enabled || after[1].ID != before[1].ID {
				t.Errorf("rewritten as %+v, %v", after, err)
			}
			written, _ := os.ReadFile(filepath.Join(r.dir, accountsName))
			if !strings.Contains(string(written), "rateLimitResetTimes") || strings.Contains(string(written), "activeIndex") {
				t.Errorf("written as\n%s", written)
			}
			kept := false
			for _, name := range r.backups() {
				data, _ := os.ReadFile(filepath.Join(r.dir, backupsName, name))
				kept = kept || string(data) == string(original)
			}
			if !kept {
				t.Error("the original was not kept as a backup")
			}
		})
	}
}

// The seat of a migrated account without an access token is known after its
// first refresh; its public id stays.
func TestMigratedIdentityIsCompleted(t *testing.T) {
	r := newRig(t)
	login := r.issuer.login(anna, time.Hour)
	r.v3(`"version":3,`, map[string]any{"accountId": "org-7", "refreshToken": login.Refresh.Reveal()})
	before, _ := r.Accounts()
	token, err := r.Token(t.Context(), before[0].ID, TokenOptions{})
	if err != nil || token.AccountID != "W1" {
		t.Fatalf("Token = %+v, %v", token, err)
	}
	a := r.account(r.open(Options{}), before[0].ID)
	if a.AccountID != "W1" || a.AccountUserID != "u-anna" || a.Email != "anna@example.com" {
		t.Errorf("completed as %+v", a)
	}
}

// Such an account can turn out to be one that is there already.
func TestMigratedTwinIsMerged(t *testing.T) {
	r := newRig(t)
	first, second := r.issuer.login(anna, time.Hour), r.issuer.login(anna, time.Hour)
	r.v3(`"version":3,`,
		map[string]any{"accountId": "W1", "refreshToken": first.Refresh.Reveal(), "accessToken": first.Access.Reveal(), "accountLabel": "work"},
		map[string]any{"accountId": "org-7", "refreshToken": second.Refresh.Reveal(), "accountNote": "n"})
	before, _ := r.Accounts()
	if len(before) != 2 {
		t.Fatalf("%d accounts", len(before))
	}
	token, err := r.Token(t.Context(), before[1].ID, TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Accounts()
	if err != nil || len(list) != 1 || list[0].ID != before[0].ID || list[0].Label != "work" || list[0].Note != "n" || !list[0].Access.Equal(token.Access) {
		t.Errorf("merged into %+v, %v", list, err)
	}
}

func TestNodeToolWroteOverOurs(t *testing.T) {
	r := newRig(t)
	stale := r.add(anna, time.Hour)
	r.clock.add(2 * time.Hour)
	if _, err := r.Token(t.Context(), stale.ID, TokenOptions{}); err != nil { // stale.Refresh is used up now
		t.Fatal(err)
	}
	ours := r.account(r.Store, stale.ID)
	b := r.add(bert, time.Hour)
	if err := r.Update(t.Context(), b.ID, func(a *Account) error { a.Label = "second"; return nil }); err != nil {
		t.Fatal(err)
	}
	replaced := r.add(person{"W3", "u-dora", ""}, time.Hour)
	flagged := r.add(person{"W3", "u-dora", ""}, time.Hour)
	if err := r.Flag(t.Context(), flagged.ID, Flag{Kind: FlagNeedsLogin, Reason: "refused"}, flagged.Access); err != nil {
		t.Fatal(err)
	}
	newer := r.issuer.login(bert, time.Hour)
	r.v3(`"version":3,`,
		map[string]any{"accountId": "W1", "refreshToken": stale.Refresh.Reveal(), "accessToken": stale.Access.Reveal(), "email": anna.email},
		map[string]any{"accountId": "W2", "refreshToken": newer.Refresh.Reveal(), "accessToken": newer.Access.Reveal(), "accountLabel": "theirs"},
		map[string]any{"accountId": "W3", "refreshToken": flagged.Refresh.Reveal(), "accessToken": flagged.Access.Reveal()},
		map[string]any{"accountId": "W3", "refreshToken": replaced.Refresh.Reveal(), "accessToken": replaced.Access.Reveal()},
		map[string]any{"accountId": "W4", "refreshToken": "rt-new"})

	check := func(s *Store) {
		t.Helper()
		list, err := s.Accounts()
		if err != nil || len(list) != 4 {
			t.Fatalf("%d accounts, %v", len(list), err)
		}
		if a := r.account(s, stale.ID); !a.Refresh.Equal(ours.Refresh) || !a.Access.Equal(ours.Access) {
			t.Error("the used-up token came back")
		}
		if got := r.account(s, b.ID); !got.Refresh.Equal(newer.Refresh) || got.Label != "second" {
			t.Errorf("the newer login was not taken over, or the label lost: %+v", got)
		}
		if got := r.account(s, flagged.ID); got.Flag == nil {
			t.Error("the refused token came back")
		}
	}
	check(r.Store)
	if notices := r.Notices(); len(notices) != 1 || !strings.Contains(notices[0], "another tool") {
		t.Errorf("notices = %q", notices)
	}
	if err := r.Pin(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	check(r.open(Options{}))
	if notices := r.open(Options{}).Notices(); len(notices) != 0 {
		t.Errorf("after a write: %q", notices)
	}
}

// The merged file takes the place of the other tool's as soon as somebody may
// write: used-up tokens must not lie about under our file's name.
func TestMergedFileIsWrittenBack(t *testing.T) {
	for name, run := range map[string]func(r *rig, s *Store, id string) error{
		"settled": func(r *rig, s *Store, _ string) error { return s.Settle(t.Context()) },
		"a token that is fresh": func(r *rig, s *Store, id string) error {
			_, err := s.Token(t.Context(), id, TokenOptions{})
			return errors.Join(err, s.Close(t.Context()))
		},
		"an update of nothing": func(r *rig, s *Store, id string) error {
			return s.Update(t.Context(), id, func(*Account) error { return nil })
		},
		"another login": func(r *rig, s *Store, _ string) error {
			_, _, err := s.Add(t.Context(), r.issuer.login(bert, time.Hour), "", "test")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			stale := r.add(anna, time.Hour)
			if _, err := r.Token(t.Context(), stale.ID, TokenOptions{Rejected: stale.Access}); err != nil {
				t.Fatal(err)
			}
			ours := r.account(r.Store, stale.ID)
			r.v3(`"version":3,`, map[string]any{"accountId": "W1", "refreshToken": stale.Refresh.Reveal(), "accessToken": stale.Access.Reveal()})
			theirs, _ := os.ReadFile(filepath.Join(r.dir, accountsName))
			s := r.open(Options{})
			if _, err := s.Accounts(); err != nil {
				t.Fatal(err)
			}
			if now, _ := os.ReadFile(filepath.Join(r.dir, accountsName)); string(now) != string(theirs) {
				t.Error("a reader wrote")
			}
			if err := run(r, s, stale.ID); err != nil {
				t.Fatal(err)
			}
			data, _ := os.ReadFile(filepath.Join(r.dir, accountsName))
			doc, err := decodeDocument(data)
			if err != nil || doc.version != fileVersion || !doc.accounts[0].Refresh.Equal(ours.Refresh) || strings.Contains(string(data), stale.Refresh.Reveal()+`"`) {
				t.Errorf("%v in\n%s", err, data)
			}
			kept := false
			for _, name := range s.backups() {
				data, _ := os.ReadFile(filepath.Join(r.dir, backupsName, name))
				kept = kept || strings.HasSuffix(name, ".foreign.json") && string(data) == string(theirs)
			}
			if !kept {
				t.Error("what the other tool wrote was not kept")
			}
			// Who mended it still tells the person; nobody else finds anything.
			if notices := s.Notices(); len(notices) != 1 || !strings.Contains(notices[0], "another tool") {
				t.Errorf("notices = %q", notices)
			}
			other := r.open(Options{})
			if notices := other.Notices(); len(notices) != 0 {
				t.Errorf("another process's notices = %q", notices)
			}
			if err := errors.Join(other.Settle(t.Context()), s.Settle(t.Context())); err != nil {
				t.Error(err)
			}
			if again, _ := os.ReadFile(filepath.Join(r.dir, accountsName)); string(again) != string(data) {
				t.Error("settled twice")
			}
		})
	}
}

// What is only to be migrated waits for a change that a person or a refresh
// makes.
func TestSettleLeavesAPlainMigration(t *testing.T) {
	r := newRig(t)
	r.v3(`"version":3,`, map[string]any{"accountId": "W1", "refreshToken": "rt-1"})
	before, _ := os.ReadFile(filepath.Join(r.dir, accountsName))
	if err := r.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(filepath.Join(r.dir, accountsName)); string(after) != string(before) {
		t.Errorf("written as\n%s", after)
	}
}

// A disk that takes no write is asked once per content, not at every call.
func TestMergedFileOnABrokenDisk(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	r.v3(`"version":3,`, map[string]any{"accountId": "W1", "refreshToken": a.Refresh.Reveal()})
	disk := &countingDisk{}
	s := r.open(Options{disk: disk})
	for range 5 {
		if token, err := s.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !token.Access.Equal(a.Access) {
			t.Errorf("Token = %+v, %v", token, err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := disk.tries.Load(); n != 1 {
		t.Errorf("%d tries", n)
	}
	var unwritable *UnwritableError
	if err := s.Settle(t.Context()); !errors.As(err, &unwritable) {
		t.Errorf("Settle: %v", err)
	}
}

func TestBackupsKept(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	for n := range 25 {
		if err := r.Update(t.Context(), a.ID, func(a *Account) error { a.Note = fmt.Sprint(n); return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Token(t.Context(), a.ID, TokenOptions{Rejected: r.account(r.Store, a.ID).Access}); err != nil {
			t.Fatal(err)
		}
	}
	count := map[backupKind]int{}
	for _, name := range r.backups() {
		if _, kind, ok := parseBackupName(name); ok {
			count[kind]++
		}
	}
	if count[backupToken] != backupsKept || count[backupChange] != backupsKept {
		t.Errorf("kept %v", count)
	}
	newest, _ := os.ReadFile(r.NewestGoodBackup())
	current, _ := os.ReadFile(filepath.Join(r.dir, accountsName))
	if string(newest) != string(current) {
		t.Error("the newest backup is not the current version")
	}
	if err := os.WriteFile(r.NewestGoodBackup(), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r.NewestGoodBackup() == "" {
		t.Error("no good backup behind a damaged one")
	}
}

func TestRemoveAndLogoutScrub(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   func(r *rig, id string) error
		marks []string
		left  int
	}{
		{"remove", func(r *rig, id string) error { return r.Remove(r.t.Context(), id) }, []string{"rt-MARK-u-anna", "u-anna", "anna@example.com"}, 1},
		{"logout", func(r *rig, id string) error { return r.Logout(r.t.Context(), id) }, []string{"rt-MARK-u-anna"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			a := r.add(anna, time.Hour)
			r.add(bert, time.Hour)
			r.add(anna, time.Hour)
			if err := r.writeIntent(a.ID, intent{Sent: "x", Answer: &answer{Refresh: a.Refresh}}); err != nil {
				t.Fatal(err)
			}
			for path, content := range map[string]string{
				filepath.Join(backupsName, "openai-codex-accounts.r0000000001.20260101T000000Z.damaged.json"): "{" + a.Refresh.Reveal(),
				".openai-codex-accounts.json.tmp-12": a.Refresh.Reveal(),
			} {
				if err := os.WriteFile(filepath.Join(r.dir, path), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.run(r, a.ID); err != nil {
				t.Fatal(err)
			}
			for _, mark := range c.marks {
				nowhere(t, r.dir, mark)
			}
			list, err := r.Accounts()
			if err != nil || len(list) != c.left {
				t.Errorf("%d accounts, %v", len(list), err)
			}
			_, err = r.Token(t.Context(), a.ID, TokenOptions{})
			var refused *RefusedError
			if !errors.Is(err, ErrNoAccount) && !errors.As(err, &refused) {
				t.Errorf("Token: %v", err)
			}
		})
	}
}

// What a backup brings back is never presented if it was used since, unless
// its successor waits in an intent.
func TestRestoreKnowsUsedTokens(t *testing.T) {
	r := newRig(t)
	a, b := r.add(anna, time.Hour), r.add(bert, time.Hour)
	old, err := os.ReadFile(r.NewestGoodBackup())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil {
		t.Fatal(err)
	}
	newer := r.issuer.login(bert, time.Hour)
	if err := r.consumed.add(b.Refresh.Hash()); err != nil {
		t.Fatal(err)
	}
	if err := r.writeIntent(b.ID, intent{Sent: b.Refresh.Hash(), Answer: &answer{Refresh: newer.Refresh, Access: newer.Access, ExpiresAt: newer.ExpiresAt, ReceivedAt: r.clock.now()}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range r.backups() { // only the old one is left
		if err := os.WriteFile(filepath.Join(r.dir, backupsName, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, backupsName, backupName(accountsName, 1, r.clock.now(), backupChange)), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, accountsName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := r.RestoreBackup(t.Context())
	if err != nil || len(done.NeedLogin) != 1 || done.NeedLogin[0] != a.ID {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := r.account(r.Store, a.ID); got.Flag == nil || !got.Refresh.IsZero() {
		t.Errorf("restored %+v", got)
	}
	if token, err := r.Token(t.Context(), b.ID, TokenOptions{}); err != nil || !token.Access.Equal(newer.Access) {
		t.Errorf("the waiting answer: %+v, %v", token, err)
	}
	if _, err := r.RestoreBackup(t.Context()); !errors.Is(err, ErrNothingToRestore) {
		t.Errorf("restoring again: %v", err)
	}
}

func TestPurge(t *testing.T) {
	r := newRig(t)
	r.add(anna, time.Hour)
	other := filepath.Join(r.dir, "settings.json")
	if err := os.WriteFile(other, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(r.dir)
	if err != nil || len(left) != 1 || left[0].Name() != "settings.json" {
		t.Errorf("left: %v, %v", left, err)
	}
	if list, err := r.Accounts(); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	r.add(bert, time.Hour)
}

func TestFlag(t *testing.T) {
	r := newRig(t)
	a, b := r.add(anna, time.Hour), r.add(bert, time.Hour)
	if err := r.Flag(t.Context(), a.ID, Flag{Kind: FlagNeedsLogin, Reason: "x"}, logging.NewSecret("an older token")); err != nil {
		t.Fatal(err)
	}
	if got := r.account(r.Store, a.ID); got.Flag != nil {
		t.Error("flagged for a token that is stored no more")
	}
	if err := r.Flag(t.Context(), a.ID, Flag{Kind: FlagSuspended, Reason: "the workspace is disabled"}, a.Access); err != nil {
		t.Fatal(err)
	}
	list, err := r.open(Options{}).Accounts()
	if err != nil || list[0].ID != b.ID || list[1].ID != a.ID {
		t.Fatalf("flagged accounts come last: %+v, %v", list, err)
	}
	got := list[1]
	if got.Flag.Kind != FlagSuspended || !got.Access.IsZero() || !got.Refresh.Equal(a.Refresh) || !got.Flag.At.Equal(r.clock.now()) {
		t.Errorf("flagged as %+v, %+v", got, got.Flag)
	}
	// A crash between the two writes leaves the seat in both: the accounts
	// file wins, and the next change cleans up.
	active := r.account(r.Store, b.ID)
	active.Flag = &Flag{Kind: FlagNeedsLogin}
	data, err := encodeDocument(document{revision: 9, accounts: []Account{got, active}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, flaggedName), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.account(r.Store, b.ID); got.Flag != nil {
		t.Error("the flagged file won")
	}
	if err := r.Remove(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if list, _ := r.Accounts(); len(list) != 1 {
		t.Errorf("removed, and back from the flagged file: %+v", list)
	}
}

// Whoever changes a login waits for the account's lock.
func TestLoginsWaitForARefresh(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	unlock, err := r.lockAccount(t.Context(), a.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	before, _ := os.ReadFile(filepath.Join(r.dir, accountsName))
	for name, run := range map[string]func(context.Context) error{
		"add": func(ctx context.Context) error {
			_, _, err := r.Add(ctx, r.issuer.login(anna, time.Hour), "", "")
			return err
		},
		"remove": func(ctx context.Context) error { return r.Remove(ctx, a.ID) },
		"logout": func(ctx context.Context) error { return r.Logout(ctx, a.ID) },
		"flag":   func(ctx context.Context) error { return r.Flag(ctx, a.ID, Flag{Kind: FlagSuspended}, logging.Secret{}) },
		"purge":  r.Purge,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	if after, _ := os.ReadFile(filepath.Join(r.dir, accountsName)); string(after) != string(before) {
		t.Error("the accounts file changed")
	}
}

// A login that could not be written is in no backup either, and a flagged
// seat that it would have healed is still flagged.
func TestFailedLoginLeavesNoCopy(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	if err := r.Flag(t.Context(), a.ID, Flag{Kind: FlagNeedsLogin}, logging.Secret{}); err != nil {
		t.Fatal(err)
	}
	disk := &brokenDisk{only: accountsName}
	disk.broken.Store(true)
	for _, p := range []person{bert, anna} {
		var unwritable *UnwritableError
		if _, _, err := r.open(Options{disk: disk}).Add(t.Context(), r.issuer.login(p, time.Hour), "", ""); !errors.As(err, &unwritable) {
			t.Fatal(err)
		}
	}
	nowhere(t, r.dir, "u-bert")
	if list, err := r.Accounts(); err != nil || len(list) != 1 || list[0].Flag == nil {
		t.Errorf("%+v, %v", list, err)
	}
}

// A seat on its way back from the flagged file is never seen in neither file.
func TestReadersSeeAHealedSeat(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	if err := r.Flag(t.Context(), a.ID, Flag{Kind: FlagNeedsLogin}, logging.Secret{}); err != nil {
		t.Fatal(err)
	}
	heal := sync.OnceFunc(func() { r.add(anna, time.Hour) })
	s := r.open(Options{disk: &brokenDisk{onRead: func(path string) {
		if filepath.Base(path) == flaggedName {
			heal() // between the reader's two reads
		}
	}}})
	if list, err := s.Accounts(); err != nil || len(list) != 1 || list[0].Flag != nil {
		t.Errorf("%+v, %v", list, err)
	}
}
