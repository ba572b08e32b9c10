package pool

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// week is an event that tells what an account's weekly window has used and
// when it resets.
func week(id string, used float64, reset time.Duration) Event {
	return seen(id, t0, "secondary", used, weekly, in(reset))
}

func limitedFor(id string, d time.Duration) Event {
	return blocked(id, t0, Block{Kind: BlockQuota, Window: "secondary", Until: in(d), Reason: "usage limit reached"})
}

func notFor(id, model string) Event {
	return blocked(id, t0, Block{Kind: BlockEntitlement, Model: model, Until: in(24 * time.Hour), Reason: "not in the plan"})
}

func bookOf(events ...Event) *Book {
	b := NewBook()
	for _, e := range events {
		b.Learn(e, t0)
	}
	return b
}

func TestChoose(t *testing.T) {
	const day = 24 * time.Hour
	spread, turns := Query{Rotation: RotationSpread}, Query{Rotation: RotationRoundRobin}
	tests := []struct {
		name   string
		list   []Account // a, b and c unless set
		change func(list []Account)
		events []Event
		bind   []string // session=account, before
		query  Query
		want   Choice // Reason is compared when it is set
	}{
		{name: "nothing known: the first of the list", want: Choice{Account: "a", Reason: becauseUnknown}},
		{name: "an empty pool", list: []Account{}, want: Choice{Reason: becauseNobody}},
		{name: "drain: the soonest reset", events: []Event{week("a", 10, 3*day), week("b", 10, day), week("c", 10, 2*day)}, want: Choice{Account: "b", Reason: becauseDrain}},
		{name: "drain: the same reset, least left", events: []Event{week("a", 10, day), week("b", 60, day), week("c", 30, day)}, want: Choice{Account: "b"}},
		{name: "drain: all the same, list order", events: []Event{week("a", 10, day), week("b", 10, day), week("c", 10, day)}, want: Choice{Account: "a"}},
		{name: "drain: unknown ranks last", events: []Event{week("c", 10, 6*day)}, want: Choice{Account: "c"}},
		{name: "drain: a passed reset is unknown", events: []Event{week("a", 10, -time.Hour), week("c", 10, 6*day)}, want: Choice{Account: "c"}},
		{name: "drain: the longest window binds", events: []Event{
			week("a", 10, 5*day), seen("a", t0, "primary", 10, fiveHours, in(time.Hour)), week("b", 10, 2*day)}, want: Choice{Account: "b"}},
		{name: "drain: a disabled window does not bind", events: []Event{
			seen("a", t0, "secondary", 10, 0, in(time.Hour)), week("b", 10, 2*day)}, want: Choice{Account: "b"}},
		{name: "drain: code review and named limits do not bind", events: []Event{
			seen("a", t0, "code_review", 10, weekly, in(time.Hour)), seen("a", t0, "batch", 10, weekly, in(time.Hour)), week("b", 10, 2*day)}, want: Choice{Account: "b"}},
		{name: "drain: nothing left is not chosen", events: []Event{week("a", 100, day), week("b", 99.6, 2*day)}, want: Choice{Account: "b"}},

		{name: "spread: most left", query: spread, events: []Event{week("a", 90, day), week("b", 10, day), week("c", 50, day)}, want: Choice{Account: "b", Reason: becauseSpread}},
		{name: "spread: health counts", query: spread, events: []Event{week("a", 10, day), week("b", 10, day), week("c", 10, day), {Account: "a", Failure: true}, {Account: "b", Failure: true}}, want: Choice{Account: "c"}},
		{name: "spread: idle time counts", query: spread, events: []Event{week("a", 10, day), week("b", 10, day), week("c", 10, day), {Account: "a", Success: true}, {Account: "c", Success: true}}, want: Choice{Account: "b"}},
		{name: "spread: running sessions count", query: spread, events: []Event{week("a", 10, day), week("b", 30, day), week("c", 95, day)}, bind: []string{"1=a"}, want: Choice{Account: "b"}},
		{name: "spread: unknown ranks behind", query: spread, events: []Event{week("b", 50, day)}, want: Choice{Account: "b"}},

		{name: "round-robin begins with the first", query: turns, want: Choice{Account: "a", Reason: becauseTurn}},
		{name: "round-robin: the next in the list", query: turns, bind: []string{"1=a"}, want: Choice{Account: "b"}},
		{name: "round-robin: around the end", query: turns, bind: []string{"1=c"}, want: Choice{Account: "a"}},
		{name: "round-robin: who is not ready loses the turn", query: turns, bind: []string{"1=a"}, events: []Event{limitedFor("b", time.Hour)}, want: Choice{Account: "c"}},
		{name: "round-robin: a call of a known session is no turn", query: turns, bind: []string{"1=a", "1=a", "2=b", "1=a"}, want: Choice{Account: "c"}},
		{name: "round-robin: the last one's account was removed", query: turns, bind: []string{"1=gone"}, want: Choice{Account: "a"}},

		{name: "preferred comes first for a new session", change: func(l []Account) { l[2].Preferred = true }, events: []Event{week("a", 1, time.Hour)}, want: Choice{Account: "c", Reason: becausePreferred}},
		{name: "preferred comes before the turn", change: func(l []Account) { l[2].Preferred = true }, query: turns, want: Choice{Account: "c"}},
		{name: "preferred, but not ready", change: func(l []Account) { l[2].Preferred = true }, events: []Event{limitedFor("c", time.Hour)}, want: Choice{Account: "a"}},
		{name: "preferred does not move a bound session", change: func(l []Account) { l[2].Preferred = true }, bind: []string{"s=b"}, query: Query{Session: "s"}, want: Choice{Account: "b", Bound: true}},

		{name: "a bound session stays", bind: []string{"s=b"}, query: Query{Session: "s"}, events: []Event{week("a", 1, time.Hour)}, want: Choice{Account: "b", Bound: true, Reason: becauseBound}},
		{name: "another session does not", bind: []string{"s=b"}, query: Query{Session: "other"}, want: Choice{Account: "a"}},
		{name: "bound, and limited: another", bind: []string{"s=b"}, query: Query{Session: "s"}, events: []Event{limitedFor("b", time.Hour)}, want: Choice{Account: "a"}},
		{name: "bound, and not entitled to this model: another", bind: []string{"s=b"}, query: Query{Session: "s", Model: "m"}, events: []Event{notFor("b", "m")}, want: Choice{Account: "a"}},
		{name: "bound, and flagged: another", bind: []string{"s=b"}, query: Query{Session: "s"}, change: func(l []Account) { l[1].Flag = &Flag{Kind: FlagNeedsLogin} }, want: Choice{Account: "a"}},
		{name: "bound, and removed: another", bind: []string{"s=gone"}, query: Query{Session: "s"}, want: Choice{Account: "a"}},

		{name: "a pin overrides a bound session", change: func(l []Account) { l[2].Pinned = true }, bind: []string{"s=b"}, query: Query{Session: "s"}, want: Choice{Account: "c", Reason: becausePinned}},
		{name: "a pin overrides the preference", change: func(l []Account) { l[2].Pinned = true; l[0].Preferred = true }, want: Choice{Account: "c"}},
		{name: "pinned and limited: nothing else", change: func(l []Account) { l[2].Pinned = true }, events: []Event{limitedFor("c", time.Hour)}, want: Choice{Pinned: true, Soonest: in(time.Hour), Reason: "the pinned account is blocked"}},
		{name: "pinned and limited: not for a bound session either", change: func(l []Account) { l[2].Pinned = true }, bind: []string{"s=b"}, query: Query{Session: "s"}, events: []Event{limitedFor("c", time.Hour)}, want: Choice{Pinned: true, Soonest: in(time.Hour)}},
		{name: "pinned and logged out", change: func(l []Account) { l[2].Pinned = true; l[2].Flag = &Flag{Kind: FlagNeedsLogin} }, want: Choice{Pinned: true, Reason: "the pinned account needs a login"}},
		{name: "pinned and left out for this model", change: func(l []Account) { l[2].Pinned = true }, query: Query{Only: map[string]bool{"a": true}}, want: Choice{Pinned: true, NotServed: true}},
		{name: "pinned and tried", change: func(l []Account) { l[2].Pinned = true }, query: Query{Skip: map[string]bool{"c": true}}, want: Choice{Pinned: true, Reason: becauseTried}},

		{name: "only these", query: Query{Only: map[string]bool{"c": true}}, want: Choice{Account: "c"}},
		{name: "only these, none left", query: Query{Only: map[string]bool{}}, want: Choice{NotServed: true, Reason: becauseNotServed}},
		{name: "not those tried", query: Query{Skip: map[string]bool{"a": true, "b": true}}, want: Choice{Account: "c"}},
		{name: "all were tried", query: Query{Skip: map[string]bool{"a": true, "b": true, "c": true}}, want: Choice{Reason: becauseTried}},

		{name: "all limited: the soonest of the last ends", events: []Event{limitedFor("a", 3*time.Hour), limitedFor("b", time.Hour),
			blocked("b", t0, Block{Kind: BlockRateLimit, Until: in(2 * time.Hour)}), limitedFor("c", 5*time.Hour)}, want: Choice{Soonest: in(2 * time.Hour), Reason: becauseBlocked}},
		{name: "all limited: one that was tried counts, disabled ones do not", change: func(l []Account) { l[1].Enabled = false }, query: Query{Skip: map[string]bool{"a": true}},
			events: []Event{limitedFor("a", 3*time.Hour), limitedFor("b", time.Hour), limitedFor("c", 5*time.Hour)}, want: Choice{Soonest: in(3 * time.Hour)}},
		{name: "not entitled, and limited: waiting helps for the limited one only", query: Query{Model: "m"},
			events: []Event{notFor("a", "m"), limitedFor("b", 30*time.Hour), notFor("c", "m"), limitedFor("c", time.Hour)}, want: Choice{Soonest: in(30 * time.Hour)}},
		{name: "none is entitled", query: Query{Model: "m"}, events: []Event{notFor("a", "m"), notFor("b", "m"), notFor("c", "m")}, want: Choice{NotServed: true, Reason: becauseNotServed}},
		{name: "none is in service", change: func(l []Account) {
			l[0].Enabled, l[1].Flag, l[2].Flag = false, &Flag{Kind: FlagSuspended}, &Flag{Kind: FlagNeedsLogin}
		}, want: Choice{Reason: becauseNobody}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list := tt.list
			if list == nil {
				list = accounts("a", "b", "c")
			}
			if tt.change != nil {
				tt.change(list)
			}
			book := NewBook()
			for i, b := range tt.bind {
				book.Bind(b[:1], b[2:], t0.Add(time.Duration(i)*time.Microsecond))
			}
			for _, e := range tt.events {
				book.Learn(e, t0)
			}
			got := Choose(NewRoster(list), book, tt.query, in(time.Second))
			if tt.want.Reason == "" {
				tt.want.Reason = got.Reason
			}
			if !got.Soonest.Equal(tt.want.Soonest) {
				t.Errorf("soonest %s, want %s", got.Soonest, tt.want.Soonest)
			}
			got.Soonest, tt.want.Soonest = time.Time{}, time.Time{}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got.Reason == "" {
				t.Error("no reason")
			}
		})
	}
}

// Parallel agents must not herd: equal accounts get one session each before
// any gets two.
func TestSpreadDoesNotHerd(t *testing.T) {
	list := accounts("a", "b", "c", "d")
	book := NewBook()
	for i := range list {
		book.Learn(week(list[i].ID, 20, 24*time.Hour), t0)
	}
	got := map[string]int{}
	for i := range 8 {
		q := Query{Session: fmt.Sprint(i), Rotation: RotationSpread}
		c := Choose(NewRoster(list), book, q, t0)
		book.Bind(q.Session, c.Account, t0)
		got[c.Account]++
	}
	for _, a := range list {
		if got[a.ID] != 2 {
			t.Fatalf("sessions per account: %v", got)
		}
	}
}

// Round-robin is a strict turn: over any number of new sessions and ready
// accounts, no account gets two more than another.
func TestRoundRobinIsStrict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "accounts")
		var list []Account
		for i := range n {
			list = append(list, account(fmt.Sprint(i)))
		}
		book, got := NewBook(), make([]int, n)
		for s := range rapid.IntRange(0, 40).Draw(t, "sessions") {
			q := Query{Session: fmt.Sprint(s), Rotation: RotationRoundRobin}
			c := Choose(NewRoster(list), book, q, t0)
			book.Bind(q.Session, c.Account, t0)
			if want := list[s%n].ID; c.Account != want {
				t.Fatalf("session %d got %s, want %s", s, c.Account, want)
			}
			got[s%n]++
		}
	})
}

func TestChooseAllocatesNothing(t *testing.T) {
	list, book, q := manyAccounts(20)
	roster := NewRoster(list)
	for _, q.Rotation = range []Rotation{RotationDrain, RotationSpread, RotationRoundRobin} {
		if n := testing.AllocsPerRun(100, func() { Choose(roster, book, q, t0) }); n != 0 {
			t.Errorf("%s: %v allocations", q.Rotation, n)
		}
	}
}

// manyAccounts is a pool in use: three windows each, and a third of it limited.
func manyAccounts(n int) ([]Account, *Book, Query) {
	book, list := NewBook(), make([]Account, n)
	for i := range list {
		list[i] = account(fmt.Sprintf("acct_%012x", i*7919))
		id := list[i].ID
		book.Learn(Event{Account: id, At: t0, Windows: []Window{
			{Name: WindowPrimary, UsedPercent: float64(i % 100), WindowMinutes: fiveHours, ResetAt: in(time.Hour)},
			{Name: WindowSecondary, UsedPercent: float64(i % 100), WindowMinutes: weekly, ResetAt: in(time.Duration(i%50+1) * time.Hour)},
			{Name: WindowCodeReview, WindowMinutes: weekly},
		}}, t0)
		if i%3 == 0 {
			book.Learn(limitedFor(id, 100*time.Hour), t0)
		}
	}
	return list, book, Query{Session: "new", Model: "m"}
}
