package pool

import (
	"math"
	"time"
)

// Rotation is the setting of the same name.
type Rotation string

const (
	RotationDrain      Rotation = "drain"
	RotationSpread     Rotation = "spread"
	RotationRoundRobin Rotation = "round-robin"
)

// Query asks for an account. Only, when not nil, restricts the choice to these
// account ids (accountsForModel). Skip holds ids that this call must not use
// again.
type Query struct {
	Session  string
	Model    string
	Rotation Rotation // "" is drain
	Only     map[string]bool
	Skip     map[string]bool
}

func (q *Query) allows(id string) bool {
	return (q.Only == nil || q.Only[id]) && !q.Skip[id]
}

// Choice is the answer to a Query. Account is "" when none is ready: then
// Soonest is when one will be (zero: no time is known), Pinned says that the
// pinned account is what cannot serve, and NotServed that waiting does not
// help: every account in service lacks the entitlement or is left out by Only.
// Reason is for people.
type Choice struct {
	Account   string
	Reason    string
	Pinned    bool
	NotServed bool
	Soonest   time.Time
	Bound     bool // the session was bound to it already
}

// The reasons of a choice.
const (
	becausePinned    = "it is pinned"
	becauseBound     = "this session is bound to it"
	becauseHome      = "the session is back at its own account"
	becauseGuest     = "the session is its guest while its own account cannot serve"
	becausePreferred = "chosen with switch"
	becauseDrain     = "its quota expires first"
	becauseUnknown   = "no quota is known yet, so the order of the list decides"
	becauseSpread    = "best score of remaining quota, health and idle time"
	becauseTurn      = "its turn"

	becauseNobody    = "no account is enabled and logged in"
	becauseNotServed = "no account may serve this model"
	becauseBlocked   = "every account that may serve is blocked"
	becauseTried     = "every account that is ready was tried in this call"
)

// Choose answers a query from the accounts, in the person's order, and what is
// known of them. It changes nothing; Book.Bind notes that the choice was used.
// For a session that has its account, and with a pin, the number of accounts
// costs nothing, and next to nothing for a new session by drain or in turn. Spread,
// whose score changes with each second, and Only go through those in service.
func Choose(accounts *Roster, book *Book, q Query, now time.Time) Choice {
	if a := accounts.Pinned(); a != nil {
		return choosePinned(accounts, a, book, &q, now)
	}
	if book.line.of != accounts {
		book.line = lineup{} // whether or not this choice needs one: it would keep the old roster in memory
	}
	if s := book.session(q.Session, now); s != nil {
		if c, ok := stay(accounts, book, s, &q, now); ok {
			return c
		}
	}
	if i, reason := pick(accounts, book, &q, now); i >= 0 {
		return Choice{Account: accounts.accounts[i].ID, Reason: reason}
	}
	return refuse(accounts, book.lineUp(accounts), &q, now)
}

// choosePinned: a pin is never bypassed, not by a bound session either.
func choosePinned(accounts *Roster, a *Account, book *Book, q *Query, now time.Time) Choice {
	if ready(a, book, q, now) {
		s := book.session(q.Session, now)
		return Choice{Account: a.ID, Reason: becausePinned, Bound: s != nil && s.Account == a.ID}
	}
	var alone []member
	if a.service() == StateReady {
		alone = []member{{accounts.pinned, book.accounts[a.ID]}}
	}
	c := refuse(accounts, alone, q, now)
	c.Pinned = true
	switch state := a.service(); {
	case state == StateDisabled:
		c.Reason = "the pinned account is disabled"
	case state == StateSuspended:
		c.Reason = "the pinned account is suspended"
	case state != StateReady:
		c.Reason = "the pinned account needs a login"
	case !c.Soonest.IsZero():
		c.Reason = "the pinned account is blocked"
	}
	return c
}

// stay keeps a session at its home, or else at its guest account.
func stay(accounts *Roster, book *Book, s *session, q *Query, now time.Time) (Choice, bool) {
	if a := accounts.ByID(s.Home); a != nil && ready(a, book, q, now) {
		if s.Account != s.Home {
			return Choice{Account: a.ID, Reason: becauseHome, Bound: true}, true
		}
		return Choice{Account: a.ID, Reason: becauseBound, Bound: true}, true
	}
	if s.Account != s.Home {
		if a := accounts.ByID(s.Account); a != nil && ready(a, book, q, now) {
			return Choice{Account: a.ID, Reason: becauseGuest, Bound: true}, true
		}
	}
	return Choice{}, false
}

// ready reports whether an account may take this call now.
func ready(a *Account, book *Book, q *Query, now time.Time) bool {
	return a.service() == StateReady && q.allows(a.ID) && book.accounts[a.ID].free(q.Model, now)
}

// pick gives the position of the account for a session that has none, and why;
// −1 when no account is ready.
func pick(accounts *Roster, book *Book, q *Query, now time.Time) (int, string) {
	if accounts == nil {
		return -1, ""
	}
	for _, i := range accounts.preferred {
		if ready(&accounts.accounts[i], book, q, now) {
			return i, becausePreferred
		}
	}
	members := book.lineUp(accounts)
	if q.Rotation == RotationRoundRobin {
		return nextTurn(accounts, members, accounts.Position(book.turn.Account), q, now), becauseTurn
	}
	if q.Rotation != RotationSpread && q.Only == nil {
		i := book.line.drain.first(members, func(m *member) bool { return m.ready(accounts, q, now) }, now)
		if i < 0 {
			return -1, ""
		}
		return members[i].position, whyDrain(members[i].known.rank(now))
	}
	best, least := -1, rank{}
	for i := range members {
		m := &members[i]
		if !m.ready(accounts, q, now) {
			continue
		}
		var r rank
		if q.Rotation == RotationSpread {
			r.first = -m.known.score(now)
		} else {
			r = m.known.rank(now)
		}
		if best < 0 || r.before(least) {
			best, least = m.position, r
		}
	}
	if q.Rotation == RotationSpread {
		return best, becauseSpread
	}
	return best, whyDrain(least)
}

func whyDrain(first rank) string {
	if math.IsInf(first.first, 1) {
		return becauseUnknown
	}
	return becauseDrain
}

// nextTurn is the first ready account after position last, or else the first.
func nextTurn(accounts *Roster, members []member, last int, q *Query, now time.Time) int {
	first := -1
	for i := range members {
		m := &members[i]
		if m.position <= last && first >= 0 || !m.ready(accounts, q, now) {
			continue
		}
		if m.position > last {
			return m.position
		}
		first = m.position
	}
	return first
}

// rank orders ready accounts: lower comes first, equal ones in list order.
type rank struct{ first, second float64 }

func (r rank) before(s rank) bool {
	return r.first < s.first || r.first == s.first && r.second < s.second
}

// drainRank: the binding window that resets soonest, to the second, then the
// one with least left; unknown is last.
func drainRank(f *Facts, now time.Time) rank {
	if f != nil {
		if w := f.Binding(now); w != nil {
			return rank{float64(w.ResetAt.Unix()), 100 - w.UsedPercent}
		}
	}
	return rank{first: math.Inf(1)}
}

// The shares of spread's score, and what a session that runs on an account now
// takes from it: enough that equal accounts get one each before any gets two.
const (
	shareQuota     = 0.5
	shareHealth    = 0.25
	shareIdle      = 0.25
	costPerSession = 25
	fullyIdle      = time.Hour
)

// score is spread's number for an account: 100 at most, less with every
// session that runs on it.
func (r *entry) score(now time.Time) float64 {
	if r == nil {
		return 100 * (shareHealth + shareIdle)
	}
	idle := 1.0
	if !r.LastUsed.IsZero() {
		idle = min(float64(max(now.Sub(r.LastUsed), 0))/float64(fullyIdle), 1)
	}
	return shareQuota*r.remaining(now) + shareHealth*r.HealthAt(now) + shareIdle*100*idle -
		costPerSession*float64(r.running.at(now))
}

// remaining is the percentage left in the binding window; after a passed reset
// all of it, and 0 when nothing is known, since unknown ranks last.
func (f *Facts) remaining(now time.Time) float64 {
	if w := f.Binding(now); w != nil {
		return min(max(100-w.UsedPercent, 0), 100)
	}
	for i := range f.Windows {
		if w := &f.Windows[i]; accountWide(w.Name) && w.WindowMinutes > 0 && !w.ResetAt.IsZero() {
			return 100
		}
	}
	return 0
}

// refuse says why there is no account, and when there will be one: the soonest
// over the accounts that could serve of the latest end over each one's blocks.
func refuse(accounts *Roster, members []member, q *Query, now time.Time) Choice {
	c := Choice{Reason: becauseNobody}
	may := false
	for i := range members {
		m := &members[i]
		until, notFor := m.known.held(q.Model, now)
		if notFor || q.Only != nil && !q.Only[accounts.accounts[m.position].ID] {
			continue
		}
		may = true
		if !until.IsZero() && (c.Soonest.IsZero() || until.Before(c.Soonest)) {
			c.Soonest = until
		}
	}
	switch {
	case !c.Soonest.IsZero():
		c.Reason = becauseBlocked
	case may:
		c.Reason = becauseTried
	case len(members) > 0:
		c.Reason, c.NotServed = becauseNotServed, true
	}
	return c
}
