package pool

import (
	"math"
	"time"
)

// tournament keeps who of a line-up is first by drain's rank. Two by two the members
// meet, and each round is remembered for as long as it holds: until a fact changes
// (touch), or a time that it hangs on has come. So a choice costs a few rounds
// however many accounts there are. The zero value remembers nothing yet.
type tournament struct {
	// rounds[1] is the final; those that lead to rounds[i] are rounds[2i] and
	// rounds[2i+1]; member i enters at rounds[entries+i].
	rounds  []round
	entries int
	asOf    time.Time // of the latest round
}

// round is the index of the member that won it, -1 when all are held back, and the
// second since 1970 from which on it must be held anew.
type round struct {
	winner int32
	until  int64
}

const (
	never  = math.MaxInt64
	always = math.MinInt64
)

// first gives the index of the first member that may serve the call, -1 when none
// may. Each one that comes before it and may not costs as many rounds again.
func (t *tournament) first(members []member, may func(*member) bool, now time.Time) int {
	if len(members) == 0 {
		return -1
	}
	if t.rounds == nil || now.Before(t.asOf) { // a clock that was set back
		t.begin(len(members))
	}
	t.asOf = now
	t.hold(1, members, now)
	return int(t.search(1, members, may, now))
}

func (t *tournament) begin(members int) {
	t.entries = 1
	for t.entries < members {
		t.entries *= 2
	}
	if len(t.rounds) != 2*t.entries {
		t.rounds = make([]round, 2*t.entries)
	}
	for i := range t.rounds {
		t.rounds[i] = round{-1, always}
	}
	for i := t.entries + members; i < len(t.rounds); i++ {
		t.rounds[i].until = never // nobody enters there
	}
}

// touch says that what is known of member i has changed.
func (t *tournament) touch(i int) {
	if t.rounds == nil {
		return
	}
	for i += t.entries; i > 0; i /= 2 {
		t.rounds[i].until = always
	}
}

// hold sees to it that round i, and what leads to it, holds now.
func (t *tournament) hold(i int, members []member, now time.Time) {
	r := &t.rounds[i]
	if now.Unix() < r.until {
		return
	}
	if i >= t.entries {
		*r = enter(int32(i-t.entries), members, now)
		return
	}
	t.hold(2*i, members, now)
	t.hold(2*i+1, members, now)
	one, other := t.rounds[2*i], t.rounds[2*i+1]
	*r = round{better(one.winner, other.winner, members, now), min(one.until, other.until)}
}

// enter is the round of one member alone.
func enter(i int32, members []member, now time.Time) round {
	switch known := members[i].known; {
	case known == nil:
		return round{i, never}
	case known.heldUntil.After(now):
		return round{-1, known.heldUntil.Unix()}
	default:
		return round{i, known.rankHolds(now)}
	}
}

// better is the one whose quota expires first; of equals the first in the list,
// which is one.
func better(one, other int32, members []member, now time.Time) int32 {
	if one < 0 || other >= 0 && members[other].known.rank(now).before(members[one].known.rank(now)) {
		return other
	}
	return one
}

// search goes past winners that may not serve this call.
func (t *tournament) search(i int, members []member, may func(*member) bool, now time.Time) int32 {
	winner := t.rounds[i].winner
	if winner < 0 || may(&members[winner]) {
		return winner
	}
	if i >= t.entries {
		return -1
	}
	return better(t.search(2*i, members, may, now), t.search(2*i+1, members, may, now), members, now)
}
