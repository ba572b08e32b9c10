package pool

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Answers come to three accounts in any order, from a clock that jumps both
// ways; windows of 0 minutes, of 30 days and with an unknown reset, percentages
// of 99.6, resets that come early. Whatever came, a blocked account gets no
// call for a model its limit covers, no block outlives the latest end that any
// answer told, and the wait told is the minimum over the accounts of the
// maximum over each one's blocks.
func TestQuotaAlgebraOverStreams(t *testing.T) {
	answers, questions, refusals := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		book := NewBook()
		list := accounts("a", "b", "c")
		histories := map[string][]received{}
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for i := range list {
				id := list[i].ID
				for _, e := range drawEvents(t, id) {
					book.Learn(e.Event, e.at)
					histories[id] = append(histories[id], e)
					answers++
				}
			}
			now := minutes(t, 0, 110, "now") // before or after what was learned
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
				switch c := Choose(list, book, Query{Model: model}, now); {
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
