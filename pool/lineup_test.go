package pool

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// plainChoose is Choose without anything that is kept between choices: it goes
// through all accounts and works everything out from their facts.
func plainChoose(list []Account, book *Book, q Query, now time.Time) Choice {
	may := func(a *Account) bool {
		return q.allows(a.ID) && StateOf(a, book.facts(a.ID), q.Model, now).Name == StateReady
	}
	get := func(id string) *Account {
		if i := findID(list, id); i >= 0 && may(&list[i]) {
			return &list[i]
		}
		return nil
	}
	s := book.session(q.Session, now)
	for i := range list {
		if a := &list[i]; a.Pinned {
			if may(a) {
				return Choice{Account: a.ID, Reason: becausePinned, Bound: s != nil && s.Account == a.ID}
			}
			c := plainRefusal(list[i:i+1], book, q, now)
			c.Pinned, c.Reason = true, "" // its reasons have a test of their own
			return c
		}
	}
	if s != nil {
		if a := get(s.Home); a != nil {
			reason := becauseBound
			if s.Account != s.Home {
				reason = becauseHome
			}
			return Choice{Account: a.ID, Reason: reason, Bound: true}
		}
		if a := get(s.Account); a != nil && s.Account != s.Home {
			return Choice{Account: a.ID, Reason: becauseGuest, Bound: true}
		}
	}
	if i, reason := plainPick(list, book, q, now, may); i >= 0 {
		return Choice{Account: list[i].ID, Reason: reason}
	}
	return plainRefusal(list, book, q, now)
}

func plainPick(list []Account, book *Book, q Query, now time.Time, may func(*Account) bool) (int, string) {
	best, least, reason := -1, rank{}, becauseDrain
	last := findID(list, book.turn.Account)
	for i := range list {
		a := &list[i]
		if !may(a) {
			continue
		}
		if a.Preferred {
			return i, becausePreferred
		}
		r := drainRank(book.facts(a.ID), now)
		switch q.Rotation {
		case RotationSpread:
			r, reason = rank{first: -book.accounts[a.ID].score(now)}, becauseSpread
		case RotationRoundRobin:
			r, reason = rank{first: float64((i - last - 1 + len(list)) % len(list))}, becauseTurn
		}
		if best < 0 || r.before(least) {
			best, least = i, r
		}
	}
	if math.IsInf(least.first, 1) {
		reason = becauseUnknown
	}
	return best, reason
}

func plainRefusal(list []Account, book *Book, q Query, now time.Time) Choice {
	c := Choice{Reason: becauseNobody}
	inService, may := false, false
	for i := range list {
		a := &list[i]
		if a.service() != StateReady {
			continue
		}
		inService = true
		var h hold
		if f := book.facts(a.ID); f != nil {
			h.collect(f, q.Model, now)
		}
		if h.notFor || q.Only != nil && !q.Only[a.ID] {
			continue
		}
		may = true
		if !h.until.IsZero() && (c.Soonest.IsZero() || h.until.Before(c.Soonest)) {
			c.Soonest = h.until
		}
	}
	switch {
	case !c.Soonest.IsZero():
		c.Reason = becauseBlocked
	case may:
		c.Reason = becauseTried
	case inService:
		c.Reason, c.NotServed = becauseNotServed, true
	}
	return c
}

// What is kept between choices never changes one: whatever is learned, bound,
// forgotten, merged from a file or changed in the list, at whatever time.
func TestChoiceIsThatOfThePlainLoop(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}
	rapid.Check(t, func(t *rapid.T) {
		id, model := rapid.SampledFrom(ids), rapid.SampledFrom([]string{"", "m", "n"})
		minutes := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(-90, 600).Draw(t, "minutes")) * time.Minute
		})
		book, now := NewBook(), t0
		roster := NewRoster(accounts(ids...))
		windows := func(t *rapid.T) Event {
			return Event{Account: id.Draw(t, "of"), At: now, Windows: []Window{{
				Name:          rapid.SampledFrom([]string{WindowPrimary, WindowSecondary, "codex_other"}).Draw(t, "window"),
				UsedPercent:   float64(10 * rapid.IntRange(0, 10).Draw(t, "tenths")),
				WindowMinutes: rapid.SampledFrom([]int{0, fiveHours, weekly}).Draw(t, "length"),
				ResetAt:       rapid.SampledFrom([]time.Time{{}, now.Add(minutes.Draw(t, "reset"))}).Draw(t, "known"),
			}}}
		}
		steps := map[string]func(*rapid.T){
			"learn windows": func(t *rapid.T) { book.Learn(windows(t), now) },
			"learn a block": func(t *rapid.T) {
				book.Learn(blocked(id.Draw(t, "of"), now, Block{
					Kind:   rapid.SampledFrom([]BlockKind{BlockQuota, BlockRateLimit, BlockEntitlement, BlockRefresh}).Draw(t, "kind"),
					Window: rapid.SampledFrom([]string{"", WindowPrimary, "codex_other"}).Draw(t, "window"),
					Model:  model.Draw(t, "model"), Until: now.Add(minutes.Draw(t, "until")), Reason: "r",
				}), now)
			},
			"bind": func(t *rapid.T) {
				book.Bind(rapid.SampledFrom([]string{"", "s", "t"}).Draw(t, "session"), id.Draw(t, "to"), now)
			},
			"forget": func(t *rapid.T) { book.forget(id.Draw(t, "whom")) },
			"merge": func(t *rapid.T) {
				other := NewBook() // of another process, which has read ours and learned more
				other.absorb(book.snapshot(), now)
				other.Learn(windows(t), now)
				file := other.snapshot()
				delete(file.Accounts, id.Draw(t, "gone"))
				book.saved = uint64(rapid.IntRange(0, int(book.changes)).Draw(t, "saved"))
				book.absorb(file, now)
			},
			"set the clock back": func(t *rapid.T) {
				now = now.Add(-max(minutes.Draw(t, "by"), 0))
				book.doubt(now)
			},
			"wait": func(t *rapid.T) { now = now.Add(max(minutes.Draw(t, "for"), 0)) },
			"change the list": func(t *rapid.T) {
				list := accounts(rapid.Permutation(ids).Draw(t, "order")[:rapid.IntRange(0, len(ids)).Draw(t, "many")]...)
				for i := range list {
					a := &list[i]
					a.Enabled = rapid.IntRange(0, 5).Draw(t, "enabled") > 0
					a.Pinned = rapid.IntRange(0, 15).Draw(t, "pinned") == 0
					a.Preferred = rapid.IntRange(0, 9).Draw(t, "preferred") == 0
					if rapid.IntRange(0, 9).Draw(t, "flagged") == 0 {
						a.Flag = &Flag{Kind: FlagSuspended}
					}
				}
				roster = NewRoster(list)
			},
			"": func(t *rapid.T) {
				q := Query{Session: rapid.SampledFrom([]string{"", "s", "t", "u"}).Draw(t, "session"), Model: model.Draw(t, "asked"),
					Rotation: rapid.SampledFrom([]Rotation{"", RotationSpread, RotationRoundRobin}).Draw(t, "rotation")}
				if rapid.Bool().Draw(t, "skips") {
					q.Skip = map[string]bool{id.Draw(t, "skipped"): true}
				}
				if rapid.IntRange(0, 4).Draw(t, "only") == 0 {
					q.Only = map[string]bool{id.Draw(t, "one"): true, id.Draw(t, "another"): true}
				}
				at := rapid.SampledFrom([]time.Time{now, now, now.Add(minutes.Draw(t, "ahead"))}).Draw(t, "at") // a retry looks ahead
				want := plainChoose(roster.All(), book, q, at)
				got := Choose(roster, book, q, at)
				if got.Pinned && got.Account == "" {
					got.Reason = ""
				}
				if got.Soonest.Equal(want.Soonest) {
					got.Soonest = want.Soonest
				}
				if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
					t.Fatalf("%+v\nchose %+v\nwant  %+v", q, got, want)
				}
			},
		}
		t.Repeat(steps)
	})
}

// What is learned of one account concerns the few rounds on its way to the final.
func TestLearningConcernsFewRounds(t *testing.T) {
	const many = 1000
	list, book, q := manyAccounts(many)
	roster := NewRoster(list)
	stale := func() (n int) {
		for _, r := range book.line.drain.rounds[min(1, len(book.line.drain.rounds)):] {
			if r.until == always {
				n++
			}
		}
		return n
	}
	c := Choose(roster, book, q, t0)
	if rounds := len(book.line.drain.rounds); rounds < many || stale() > 0 {
		t.Fatalf("chosen from %d accounts with %d rounds, %d of them not held", many, rounds, stale())
	}
	book.Learn(limitedFor(c.Account, time.Hour), t0)
	if n := stale(); n != 11 { // 1,024 enter
		t.Errorf("an answer concerns %d rounds, want 11", n)
	}
	if next := Choose(roster, book, q, t0); next.Account == c.Account || next.Account == "" || stale() > 0 {
		t.Errorf("chosen next: %+v; %d rounds not held", next, stale())
	}
}
