package pool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHeldLocks: whoever holds a lock for long is named, and nobody else.
func TestHeldLocks(t *testing.T) {
	self := Holder{os.Getpid(), time.Now().Add(-2 * time.Minute).Truncate(time.Millisecond)}
	for _, c := range []struct {
		name   string
		taken  bool
		record string // written over the holder's own, "" keeps it
		want   *HeldLock
	}{
		{"free", false, self.record(), nil},
		{"held for a moment", true, "", nil},
		{"held for long", true, self.record(), &HeldLock{Holder: self, Alive: true}},
		{"a holder that died", true, Holder{1 << 30, time.Now()}.record(), &HeldLock{Holder: Holder{1 << 30, time.Now()}}},
		{"a holder that is not known", true, strings.Repeat("x", len(self.record())), &HeldLock{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			path := r.accountFile("acct_1", ".lock")
			unlock, err := lockFile(t.Context(), path, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if c.taken {
				defer unlock()
			} else {
				unlock()
			}
			if c.record != "" {
				overwriteAt(t, path, holderAt, c.record)
			}
			held, err := r.HeldLocks(t.Context(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				if len(held) > 0 {
					t.Fatalf("held: %+v", held)
				}
				return
			}
			if len(held) != 1 || held[0].Path != path || held[0].Alive != c.want.Alive || held[0].Holder.PID != c.want.Holder.PID {
				t.Fatalf("held = %+v, want %+v", held, *c.want)
			}
		})
	}
}

func overwriteAt(t *testing.T, path string, offset int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(text), offset)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestALockNamesItsHolder: the record is replaced whole by the next holder.
func TestALockNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.lock")
	if err := os.WriteFile(path, []byte("\x00"+Holder{123456789, time.Unix(1, 0)}.record()), 0o600); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Truncate(time.Millisecond)
	unlock, err := lockFile(t.Context(), path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if h, err := readHolder(path); err != nil || h.PID != os.Getpid() || h.Since.Before(before) {
		t.Errorf("holder %+v (%v), want this process since just now", h, err)
	}
}

func FuzzParseHolder(f *testing.F) {
	f.Add(Holder{1, time.UnixMilli(2)}.record())
	f.Add("-1 9999999999999999999\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHolder(text)
		if err != nil {
			return
		}
		if again, err := parseHolder(h.record()); err != nil || again != h {
			t.Errorf("%+v reads back as %+v (%v)", h, again, err)
		}
	})
}

// TestLeftIntents: what a process left that died in each step of a refresh is
// found, and settled where that takes no request.
func TestLeftIntents(t *testing.T) {
	for _, c := range []struct {
		kill    string
		change  func(*rig, string) // what happened since
		want    LeftIntent
		settled bool
	}{
		{kill: "intent written", want: LeftIntent{Current: true}},
		{kill: "intent written", want: LeftIntent{}, settled: true, change: func(r *rig, id string) {
			r.keepIntent(id, func() { r.add(anna, time.Hour) })
		}},
		{kill: "answer noted", want: LeftIntent{Answered: true, Current: true}, settled: true},
		{kill: "committed", want: LeftIntent{Answered: true}, settled: true},
		{kill: "answer noted", want: LeftIntent{Answered: true, Gone: true}, settled: true, change: func(r *rig, id string) {
			r.keepIntent(id, func() {
				if err := r.Remove(r.t.Context(), id); err != nil {
					r.t.Fatal(err)
				}
			})
		}},
	} {
		name := c.kill
		if c.change != nil {
			name += ", and a change since"
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			a := r.add(anna, -time.Second)
			backdate(t, filepath.Join(r.dir, accountsName))
			if err := r.child("token", c.kill).Run(); err == nil {
				t.Fatal("the child was to die")
			}
			requests := r.issuer.count(anna.account)
			if c.change != nil {
				c.change(r, a.ID)
			}
			s := r.open(Options{Refresh: nil})
			left, err := s.LeftIntents()
			if err != nil || len(left) != 1 {
				t.Fatalf("left = %+v, %v", left, err)
			}
			got := left[0]
			if got.At.IsZero() || !got.RetryAt.IsZero() || got.Account != a.ID {
				t.Errorf("left = %+v", got)
			}
			if got.Answered != c.want.Answered || got.Current != c.want.Current || got.Gone != c.want.Gone {
				t.Errorf("left = %+v, want %+v", got, c.want)
			}
			settled, err := s.SettleIntent(t.Context(), a.ID)
			if err != nil || settled != c.settled {
				t.Errorf("settled = %v, %v; want %v", settled, err, c.settled)
			}
			if left, err := s.LeftIntents(); err != nil || len(left) == 0 != c.settled {
				t.Errorf("afterwards %+v, %v", left, err)
			}
			if n := r.issuer.count(anna.account); n != requests {
				t.Errorf("%d requests were sent", n-requests)
			}
			if c.want.Answered && !c.want.Gone {
				if token, err := s.Token(t.Context(), a.ID, TokenOptions{}); err != nil || token.Access.Equal(a.Access) {
					t.Errorf("the answer was lost: %v", err)
				}
			}
		})
	}
}

// keepIntent lets an intent outlive a change that clears it, as one does that a
// process writes which was frozen meanwhile.
func (r *rig) keepIntent(id string, change func()) {
	r.t.Helper()
	data, err := os.ReadFile(r.accountFile(id, intentSuffix))
	if err != nil {
		r.t.Fatal(err)
	}
	change()
	if err := os.WriteFile(r.accountFile(id, intentSuffix), data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// TestAnIntentAtWorkIsNotLeft: while a live process holds the account's lock its
// intent is its own business.
func TestAnIntentAtWorkIsNotLeft(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	if err := r.writeIntent(a.ID, intent{Sent: a.Refresh.Hash(), At: r.now()}); err != nil {
		t.Fatal(err)
	}
	unlock, err := r.lockAccount(t.Context(), a.ID, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if left, err := r.LeftIntents(); err != nil || len(left) > 0 {
		t.Errorf("left = %+v, %v", left, err)
	}
	if settled, err := r.SettleIntent(t.Context(), a.ID); settled || err != nil {
		t.Errorf("settled = %v, %v", settled, err)
	}
}

// TestUnreadableNamesEachFile: the newest good backup with it, where there is one.
func TestUnreadableNamesEachFile(t *testing.T) {
	r := newRig(t)
	r.add(anna, time.Hour)
	if got := r.Unreadable(); len(got) > 0 {
		t.Fatalf("unreadable: %v", got)
	}
	for _, path := range []string{r.accountsPath, r.flaggedPath} {
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.RemoveAll(r.consumed.path), os.Mkdir(r.consumed.path, 0o700)); err != nil {
		t.Fatal(err)
	}
	got := r.Unreadable()
	if len(got) != 3 || got[0].Path != r.accountsPath || got[0].Backup == "" || got[1].Path != r.flaggedPath || got[2].Path != r.consumed.path {
		t.Errorf("unreadable: %v", got)
	}
}
