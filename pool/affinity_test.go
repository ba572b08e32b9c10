package pool

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"codex-rota/logging"
)

// A session fails over from a, which is limited from minute 0, and what it gets
// at later minutes is the guest rule of DESIGN 5.
func TestGuestRule(t *testing.T) {
	at := func(m int) time.Time { return in(time.Duration(m) * time.Minute) }
	limit := func(id string, from, until int) func(*Book) {
		return func(b *Book) {
			b.Learn(blocked(id, at(from), Block{Kind: BlockQuota, Window: "secondary", Until: at(until)}), at(from))
		}
	}
	type step struct {
		minute int
		learn  func(*Book)
		query  Query
		want   string
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"the block ends within 10 minutes: home again", []step{
			{minute: 1, learn: limit("a", 1, 10), want: "b"}, {minute: 5, want: "b"}, {minute: 9, want: "b"}, {minute: 10, want: "a"}, {minute: 11, want: "a"}}},
		{"home again even when nobody called meanwhile", []step{
			{minute: 1, learn: limit("a", 1, 10), want: "b"}, {minute: 120, want: "a"}}},
		{"the block is longer: the guest is home at once", []step{
			{minute: 1, learn: limit("a", 1, 30), want: "b"}, {minute: 31, want: "b"}, {minute: 500, want: "b"}}},
		{"lifted early, but the guest was home already", []step{
			{minute: 1, learn: limit("a", 1, 300), want: "b"},
			{minute: 12, learn: func(b *Book) { b.Learn(seen("a", at(11), "secondary", 0, weekly, at(9000)), at(11)) }, want: "b"}}},
		{"the guest is kept, not chosen anew", []step{
			{minute: 1, learn: limit("a", 1, 10), want: "b"},
			{minute: 2, learn: func(b *Book) { b.Learn(seen("c", at(2), "secondary", 0, weekly, at(60)), at(2)) }, want: "b"}}},
		{"the guest is limited too: another, and home is still a", []step{
			{minute: 1, learn: limit("a", 1, 10), want: "b"}, {minute: 2, learn: limit("b", 2, 600), want: "c"}, {minute: 10, want: "a"}}},
		{"the block at home grew: the guest becomes home at its next call", []step{
			{minute: 1, learn: limit("a", 1, 10), want: "b"}, {minute: 2, learn: limit("a", 2, 60), want: "b"}, {minute: 61, want: "b"}}},
		{"tried in one call only: home at the next", []step{
			{minute: 1, query: Query{Skip: map[string]bool{"a": true}}, want: "b"}, {minute: 2, want: "a"}}},
		{"a model that the settings give to another account does not move the session", []step{
			{minute: 1, query: Query{Model: "m", Only: map[string]bool{"c": true}}, want: "c"}, {minute: 2, want: "a"}}},
		{"not entitled for a day: the guest is home at once", []step{
			{minute: 1, query: Query{Model: "m"}, learn: func(b *Book) { b.Learn(notFor("a", "m"), at(1)) }, want: "b"}, {minute: 2, want: "b"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, book := accounts("a", "b", "c"), NewBook()
			book.Bind("s", "a", t0)
			for _, s := range tt.steps {
				if s.learn != nil {
					s.learn(book)
				}
				s.query.Session = "s"
				c := Choose(NewRoster(list), book, s.query, at(s.minute))
				if c.Account != s.want {
					t.Fatalf("minute %d: got %q (%s), want %q", s.minute, c.Account, c.Reason, s.want)
				}
				book.Bind("s", c.Account, at(s.minute))
			}
		})
	}
}

func TestSessionsLiveADay(t *testing.T) {
	book := NewBook()
	book.Bind("s", "a", t0)
	if book.session("s", in(24*time.Hour-time.Second)) == nil {
		t.Error("forgotten within the day")
	}
	if book.session("s", in(24*time.Hour)) != nil {
		t.Error("remembered after the day")
	}
	book.trim(in(24 * time.Hour))
	if len(book.sessions) != 0 {
		t.Error("kept in memory after the day")
	}
}

func TestManySessions(t *testing.T) {
	book := NewBook()
	for i := range 100_000 {
		book.Bind(fmt.Sprint(i), "a", in(time.Duration(i)*time.Millisecond))
		if i%1000 == 0 {
			book.trim(in(time.Duration(i) * time.Millisecond))
		}
	}
	book.trim(in(100 * time.Second))
	if len(book.sessions) != maxSessions {
		t.Errorf("%d sessions are kept", len(book.sessions))
	}
	if book.session("99999", in(100*time.Second)) == nil || book.session("1", in(100*time.Second)) != nil {
		t.Error("not the newest are kept")
	}
}

func TestRunningSessions(t *testing.T) {
	book := NewBook()
	running := func(id string, at time.Time) int { return book.entry(id).running.at(at) }
	book.Bind("1", "a", t0)
	book.Bind("2", "a", t0)
	book.Bind("2", "a", in(time.Minute))
	book.Bind("", "a", t0) // a call without a session is none
	if n := running("a", in(time.Minute)); n != 2 {
		t.Errorf("%d sessions run on a", n)
	}
	book.Bind("1", "b", in(2*time.Minute))
	if a, b := running("a", in(2*time.Minute)), running("b", in(2*time.Minute)); a != 1 || b != 1 {
		t.Errorf("after a switch %d run on a and %d on b", a, b)
	}
	if n := running("a", in(time.Hour)); n != 0 {
		t.Errorf("%d still run an hour later", n)
	}
	book.Bind("2", "a", in(time.Hour))
	if n := running("a", in(time.Hour)); n != 1 {
		t.Errorf("%d run after it came back", n)
	}
}

func TestForgetAnAccount(t *testing.T) {
	book := NewBook()
	book.Bind("home", "a", t0)
	book.Bind("elsewhere", "b", t0)
	book.Bind("guest", "a", t0)
	book.Bind("guest", "b", t0)
	book.Learn(limitedFor("a", time.Hour), t0)
	book.forget("a")
	if book.facts("a") != nil || book.session("home", t0) != nil {
		t.Error("it is still there")
	}
	if s := book.session("guest", t0); s == nil || s.Home != "b" {
		t.Errorf("the guest's home: %+v", s)
	}
	if book.session("elsewhere", t0) == nil {
		t.Error("another account's session is gone")
	}
}

// A session does not go home to an account that left the pool, also not when it
// comes back: its guest is its home since.
func TestNoHomeOutOfService(t *testing.T) {
	ready := func(ids ...string) (list []Account) {
		for _, id := range ids {
			list = append(list, Account{ID: id, Enabled: true, Refresh: logging.NewSecret("rt " + id)})
		}
		return list
	}
	for name, away := range map[string]func([]Account) []Account{
		"flagged":    func(l []Account) []Account { l[0].Flag = &Flag{Kind: FlagSuspended}; return l },
		"disabled":   func(l []Account) []Account { l[0].Enabled = false; return l },
		"logged out": func(l []Account) []Account { l[0].Refresh = logging.Secret{}; return l },
		"removed":    func(l []Account) []Account { return l[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			b := OpenBook(BookOptions{Path: filepath.Join(t.TempDir(), "q.json"), LockPath: filepath.Join(t.TempDir(), "q.lock"), Now: func() time.Time { return t0 }})
			defer b.Close(t.Context())
			b.Bind(NewRoster(ready("a", "b")), "s", "a", t0)
			b.Bind(NewRoster(away(ready("a", "b"))), "s", "b", in(time.Minute))
			if c := b.Take(NewRoster(ready("a", "b")), Query{Session: "s"}, in(2*time.Minute)); c.Account != "b" {
				t.Errorf("the session went to %q (%s)", c.Account, c.Reason)
			}
		})
	}
	t.Run("only tried by the call", func(t *testing.T) {
		b := OpenBook(BookOptions{Path: filepath.Join(t.TempDir(), "q.json"), LockPath: filepath.Join(t.TempDir(), "q.lock"), Now: func() time.Time { return t0 }})
		defer b.Close(t.Context())
		b.Bind(NewRoster(ready("a", "b")), "s", "a", t0)
		b.Bind(NewRoster(ready("a", "b")), "s", "b", in(time.Minute))
		if c := b.Take(NewRoster(ready("a", "b")), Query{Session: "s"}, in(2*time.Minute)); c.Account != "a" {
			t.Errorf("the session stayed with %q (%s)", c.Account, c.Reason)
		}
	})
}
