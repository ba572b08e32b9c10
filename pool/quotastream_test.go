package pool

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Answers come to three accounts in any order, from a clock that jumps both
// ways; windows of 0 minutes, of 30 days, of a length nobody knows and with an
// unknown reset, percentages of 99.6, resets that come early: how often each came
// is counted, and each must have come. Whatever came, a blocked account gets no
// call for a model its limit covers, no block outlives the latest end that any
// answer told, and the wait told is the minimum over the accounts of the
// maximum over each one's blocks.
func TestQuotaAlgebraOverStreams(t *testing.T) {
	answers, questions, refusals := 0, 0, 0
	var met streamCount
	rapid.Check(t, func(t *rapid.T) {
		book := NewBook()
		list := accounts("a", "b", "c")
		histories := map[string][]received{}
		clock := t0
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for i := range list {
				id := list[i].ID
				for _, e := range drawEvents(t, id) {
					met.add(histories[id], e, clock)
					clock = e.at
					book.Learn(e.Event, e.at)
					histories[id] = append(histories[id], e)
					answers++
				}
			}
			now := minutes(t, 0, 110, "now") // before or after what was learned
			if rapid.IntRange(0, 4).Draw(t, "weeks later") == 0 {
				now = now.Add(29 * 24 * time.Hour)
			}
			for _, model := range testModels {
				var soonest time.Time
				free := map[string]bool{}
				for i := range list {
					id := list[i].ID
					until := blockedUntil(histories[id], model)
					free[id] = !until.After(now)
					if last := lastEnd(histories[id]); until.After(last) {
						t.Fatalf("%s is blocked until %s, and no answer told more than %s", id, until, last)
					}
					s := StateOf(&list[i], book.facts(id), model, now)
					if (s.Name == StateReady) != free[id] || !free[id] && !s.Until.Equal(until) {
						t.Fatalf("%s at %s: %+v, want until %s", id, now, s, until)
					}
					if !notServed(histories[id], model, now) && (soonest.IsZero() || until.Before(soonest)) {
						soonest = until
					}
				}
				questions++
				switch c := Choose(NewRoster(list), book, Query{Model: model}, now); {
				case c.Account != "" && !free[c.Account]:
					t.Fatalf("a call went to %s, which is blocked", c.Account)
				case c.Account == "" && (free["a"] || free["b"] || free["c"]):
					t.Fatalf("no account was chosen of %v", free)
				case c.Account == "":
					refusals++
					if !c.Soonest.Equal(soonest) {
						t.Fatalf("the wait ends %s, want %s", c.Soonest, soonest)
					}
				}
			}
		}
	})
	t.Logf("figures: %d answers, %d questions, %d of them with every account blocked: 0 calls to a blocked account, each wait the true minimum", answers, questions, refusals)
	t.Logf("figures: %+v", met)
	for kind, n := range map[string]int{
		"disabled window": met.disabled, "unknown reset": met.noReset, "unknown length": met.oddLength, "30 days": met.monthly,
		"99.6 %": met.nearlySpent, "clock ahead": met.ahead, "clock back": met.back, "early reset": met.early, "block lifted": met.lifted,
	} {
		if n == 0 {
			t.Errorf("%s: it never came", kind)
		}
	}
}

// streamCount says how often a stream held what is easily got wrong.
type streamCount struct {
	disabled, noReset, oddLength, monthly, nearlySpent int // windows
	ahead, back                                        int // jumps of the clock by more than 10 minutes
	early                                              int // a spent window seen with quota left before its reset
	lifted                                             int // such a one ended a block
}

// add counts an answer that follows the others, which came at clock.
func (c *streamCount) add(before []received, e received, clock time.Time) {
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	count(&c.ahead, e.at.Sub(clock) > clockSkew)
	count(&c.back, clock.Sub(e.at) > clockSkew)
	for _, w := range e.Windows {
		count(&c.disabled, w.WindowMinutes == 0)
		count(&c.noReset, w.ResetAt.IsZero())
		count(&c.oddLength, w.WindowMinutes == 77)
		count(&c.monthly, w.WindowMinutes == monthly)
		count(&c.nearlySpent, w.UsedPercent == 99.6)
		early, lifted := false, false
		for _, old := range before {
			for _, o := range old.Windows {
				early = early || o.Name == w.Name && o.Exhausted() && o.ResetAt.After(e.At) && e.At.After(old.At) && !w.Exhausted()
			}
			if b := old.Block; b != nil && b.Kind == BlockQuota && b.Window == w.Name {
				lifted = lifted || e.At.After(old.at) && b.Until.After(e.At) && !w.Exhausted()
			}
		}
		count(&c.early, early)
		count(&c.lifted, lifted)
	}
}

// lastEnd is the latest end of anything that the answers told.
func lastEnd(events []received) (end time.Time) {
	for _, e := range events {
		for _, w := range e.Windows {
			end = latest(end, w.ResetAt)
		}
		if e.Block != nil {
			end = latest(end, e.Block.Until)
		}
	}
	return end
}

// notServed reports whether the account's plan leaves the model out.
func notServed(events []received, model string, now time.Time) bool {
	for _, e := range events {
		if b := e.Block; b != nil && b.Kind == BlockEntitlement && b.Model == model && b.Until.After(now) {
			return true
		}
	}
	return false
}
