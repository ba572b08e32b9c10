package pool

import (
	"slices"
	"time"
)

const (
	// sessionLife is how long a session's account is remembered after its last
	// call (DESIGN 5).
	sessionLife = 24 * time.Hour
	// homeWithin: a session goes home from its guest account when the block at
	// home ends within this time; else the guest is its home at once (DESIGN 5).
	homeWithin = 10 * time.Minute
	// maxSessions bounds memory and file; beyond it the sessions used longest
	// ago are forgotten, which costs each a prompt cache and nothing else.
	maxSessions = 4096
	// runningMinutes is how long after its last call a session still counts as
	// running on its account.
	runningMinutes = 5
)

// session is one conversation's place: Home is the account that holds its
// prompt cache, Account the one in use, another one only while it is a guest.
type session struct {
	Account string    `json:"account"`
	Home    string    `json:"home"`
	UsedAt  time.Time `json:"usedAt"`
	// Dropped are hashes of encrypted items that upstream refused in this
	// session, oldest first, at most maxDropped. The slice is replaced, never
	// changed.
	Dropped []string `json:"dropped,omitempty"`

	index  map[string]bool // of Dropped, made when it is asked for, then never changed
	change uint64
}

// session gives what is remembered of a session, nil when it is new.
func (b *Book) session(id string, now time.Time) *session {
	if id == "" {
		return nil
	}
	s := b.sessions[id]
	if s == nil || now.Sub(s.UsedAt) >= sessionLife {
		return nil
	}
	return s
}

// Bind notes that a call of a session goes to account now; "" is a call
// without a session. A new session moves the turn of round-robin on.
func (b *Book) Bind(id, account string, now time.Time) {
	now = wall(now)
	r := b.entry(account)
	r.LastUsed = latest(r.LastUsed, now)
	r.change = b.changed()
	s := b.session(id, now)
	if s == nil {
		b.turn = turn{Account: account, At: now}
	}
	if id == "" {
		return
	}
	if old := b.sessions[id]; old != nil {
		b.entry(old.Account).running.move(old.UsedAt, -1)
	}
	next := session{Account: account, Home: account, UsedAt: now, change: b.changes}
	if s != nil {
		next.Dropped, next.index = s.Dropped, s.index
		if s.Home != account && b.endsSoon(s.Home, now) {
			next.Home = s.Home
		}
	}
	b.sessions[id] = &next
	r.running.move(now, 1)
}

// stayAway makes a guest account the session's home when the home it had is out
// of service: logged out, suspended, disabled or removed has no end to wait for.
func (b *Book) stayAway(accounts *Roster, id, account string, now time.Time) {
	s := b.session(id, now)
	if s == nil || s.Home == account {
		return
	}
	if a := accounts.ByID(s.Home); a != nil && a.service() == StateReady {
		return
	}
	home := *s
	home.Home = account
	b.sessions[id] = &home
}

// endsSoon reports whether what holds an account back, for any model, ends
// within homeWithin; true too when nothing does.
func (b *Book) endsSoon(account string, now time.Time) bool {
	f := b.facts(account)
	if f == nil {
		return true
	}
	var h hold
	h.collect(f, "", now)
	for i := range f.Blocks {
		h.addBlock(f, &f.Blocks[i], now)
	}
	return !h.until.After(now.Add(homeWithin))
}

// trim forgets sessions that are over, and the oldest of too many.
func (b *Book) trim(now time.Time) {
	for id, s := range b.sessions {
		if now.Sub(s.UsedAt) >= sessionLife {
			delete(b.sessions, id)
		}
	}
	if len(b.sessions) <= maxSessions {
		return
	}
	ids := make([]string, 0, len(b.sessions))
	for id := range b.sessions {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y string) int { return b.sessions[y].UsedAt.Compare(b.sessions[x].UsedAt) })
	for _, id := range ids[maxSessions:] {
		delete(b.sessions, id)
	}
}

// activity counts the sessions that used an account in each of the last
// minutes, each session in the minute of its last call.
type activity [runningMinutes]struct {
	minute   int64 // since 1970
	sessions int
}

func (a *activity) move(at time.Time, by int) {
	minute := at.Unix() / 60
	slot := &a[uint64(minute)%runningMinutes]
	if slot.minute != minute {
		if by < 0 || slot.minute > minute {
			return // that minute is no longer counted
		}
		slot.minute, slot.sessions = minute, 0
	}
	slot.sessions = max(slot.sessions+by, 0)
}

// at is the number of sessions running at now.
func (a *activity) at(now time.Time) int {
	minute, n := now.Unix()/60, 0
	for i := range a {
		if age := minute - a[i].minute; age >= 0 && age < runningMinutes {
			n += a[i].sessions
		}
	}
	return n
}
