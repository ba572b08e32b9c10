package pool

import (
	"fmt"
	"testing"
	"time"
)

// A clock that ran ahead and was set right: what was seen by it neither hides what
// is seen from then on nor lets older evidence end a block, in the process that
// saw it or in another.
func TestClockThatWasSetBack(t *testing.T) {
	const ahead = 3 * time.Hour
	for _, c := range []struct {
		name          string
		before, wrong []Event // by the right clock, then by the one that runs ahead
		after         []Event // by the right one again
		want          StateName
	}{
		{name: "quota that was left does not end a limit met now", wrong: []Event{seen("a", in(ahead), "secondary", 10, weekly, in(90*time.Hour))},
			after: []Event{limitedFor("a", 9*time.Hour)}, want: StateLimited},
		{name: "a limit met then is not ended by what was seen before", before: []Event{seen("a", t0, "secondary", 10, weekly, in(90*time.Hour))},
			wrong: []Event{limitedFor("a", 9*time.Hour)}, want: StateLimited},
		{name: "a limit met then is ended by what is seen now", wrong: []Event{limitedFor("a", 9*time.Hour)},
			after: []Event{seen("a", in(2*time.Minute), "secondary", 10, weekly, in(90*time.Hour))}, want: StateReady},
		{name: "a window that was spent then has quota left now", wrong: []Event{seen("a", in(ahead), "secondary", 100, weekly, in(90*time.Hour))},
			after: []Event{seen("a", in(2*time.Minute), "secondary", 10, weekly, in(90*time.Hour))}, want: StateReady},
		{name: "a window that had quota left then is spent now", wrong: []Event{seen("a", in(ahead), "secondary", 10, weekly, in(90*time.Hour))},
			after: []Event{seen("a", in(2*time.Minute), "secondary", 100, weekly, in(90*time.Hour))}, want: StateLimited},
	} {
		for _, other := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, another process %t", c.name, other), func(t *testing.T) {
				dir, now := t.TempDir(), t0
				b := bookAt(t, dir, still(&now))
				learn(t, b, c.before...)
				now = in(ahead)
				b.Bind(nil, "s", "a", now)
				learn(t, b, c.wrong...)
				now = in(time.Minute)
				if other {
					closeBook(t, b)
					b = bookAt(t, dir, still(&now))
				}
				b.Choose(NewRoster(accounts("a")), Query{}, now)
				for _, e := range c.after {
					now = in(2 * time.Minute)
					learn(t, b, e)
				}
				now = in(3 * time.Minute)
				if s := stateIn(b, "a", now); s.Name != c.want {
					t.Errorf("%+v, want %s", s, c.want)
				}
				if got := b.Choose(NewRoster(accounts("a")), Query{Session: "s"}, now); (got.Account == "a") != (c.want == StateReady) {
					t.Errorf("chose %+v", got)
				}
			})
		}
	}
}
