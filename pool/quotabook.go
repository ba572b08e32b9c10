package pool

import (
	"slices"
	"time"
)

// Book is what is known of all accounts, in memory: facts, sessions and whose
// turn it is. It is not safe for concurrent use; BookFile is. The zero value is
// not ready: use NewBook.
type Book struct {
	accounts map[string]*entry
	sessions map[string]*session
	turn     turn
	line     lineup // of the roster that was chosen from last
	// Changes are counted, and what changed remembers its number, so that what
	// the file does not hold yet is told from what another process removed.
	changes uint64
	saved   uint64
}

// entry is an account's facts, with what a choice among very many accounts
// must not work out anew each time. Facts change through Book.set.
type entry struct {
	heldUntil time.Time // the latest end of what holds every model; may have passed
	perModel  bool      // some blocks hold one model only
	notFor    bool      // some blocks are of an entitlement
	drain     rank      // drainRank until drainEnd
	drainEnd  time.Time
	running   activity
	change    uint64
	Facts
}

func (r *entry) set(f Facts) {
	var all hold
	all.collect(&f, "", time.Time{}) // as of the beginning of time, so that nothing has ended yet
	r.Facts, r.heldUntil = f, all.until
	r.perModel = slices.ContainsFunc(f.Blocks, func(b Block) bool { return b.Model != "" })
	r.notFor = slices.ContainsFunc(f.Blocks, func(b Block) bool { return b.Kind == BlockEntitlement })
	// The longest window of all stays the longest for as long as it runs.
	r.drain, r.drainEnd = drainRank(&f, time.Time{}), time.Time{}
	if w := f.Binding(time.Time{}); w != nil {
		r.drainEnd = w.ResetAt
	}
}

// rank is drainRank.
func (r *entry) rank(now time.Time) rank {
	if r != nil && r.drainEnd.After(now) {
		return r.drain
	}
	return drainRank(r.known(), now)
}

// rankHolds is the second since 1970 from which on rank may be another one without
// a new fact.
func (r *entry) rankHolds(now time.Time) int64 {
	if r.drainEnd.After(now) {
		return r.drainEnd.Unix()
	}
	if w := r.Binding(now); w != nil {
		return w.ResetAt.Unix()
	}
	return never
}

// held is until when a model is held back, zero when it is not, and whether
// waiting does not help: what collect says, without its reasons.
func (r *entry) held(model string, now time.Time) (until time.Time, notFor bool) {
	switch {
	case r == nil:
		return time.Time{}, false
	case r.perModel || r.notFor:
		var h hold
		h.collect(&r.Facts, model, now)
		return h.until, h.notFor
	case r.heldUntil.After(now):
		return r.heldUntil, false
	}
	return time.Time{}, false
}

// free reports whether nothing holds a model now: StateOf's answer for an
// account in service.
func (r *entry) free(model string, now time.Time) bool {
	switch {
	case r == nil:
		return true
	case r.heldUntil.After(now):
		return false
	case !r.perModel:
		return true
	}
	var h hold
	h.collect(&r.Facts, model, now)
	return h.until.IsZero()
}

// turn is round-robin's cursor: the account that the last new session got.
type turn struct {
	Account string    `json:"account,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// NewBook knows nothing.
func NewBook() *Book {
	return &Book{accounts: map[string]*entry{}, sessions: map[string]*session{}}
}

// facts gives an account's facts for reading, nil when there are none.
func (b *Book) facts(id string) *Facts {
	return b.accounts[id].known()
}

func (r *entry) known() *Facts {
	if r == nil {
		return nil
	}
	return &r.Facts
}

func (b *Book) entry(id string) *entry {
	r := b.accounts[id]
	if r == nil {
		r = &entry{}
		b.accounts[id] = r
		b.line.replace(id, r)
	}
	return r
}

// set gives an account's entry other facts.
func (b *Book) set(id string, r *entry, f Facts) {
	r.set(f)
	b.line.touch(id)
}

// drop forgets an account's entry.
func (b *Book) drop(id string) {
	delete(b.accounts, id)
	b.line.replace(id, nil)
}

func (b *Book) changed() uint64 {
	b.changes++
	return b.changes
}

// Learn applies an event that was received at now.
func (b *Book) Learn(e Event, now time.Time) {
	r := b.entry(e.Account)
	b.set(e.Account, r, r.Apply(e, now))
	r.change = b.changed()
}

// forget drops an account's facts and the sessions that live there; a guest's
// home is where it is now.
func (b *Book) forget(account string) {
	b.drop(account)
	for id, s := range b.sessions {
		switch account {
		case s.Account:
			delete(b.sessions, id)
		case s.Home:
			s.Home, s.change = s.Account, b.changed()
		}
	}
	b.changed()
}

// snapshot copies the book for the file. The copy shares the facts' slices,
// which are never changed in place.
func (b *Book) snapshot() bookFormat {
	file := bookFormat{
		Version:  bookVersion,
		Accounts: make(map[string]Facts, len(b.accounts)),
		Sessions: make(map[string]session, len(b.sessions)),
		Turn:     b.turn,
	}
	for id, r := range b.accounts {
		file.Accounts[id] = r.Facts
	}
	for id, s := range b.sessions {
		file.Sessions[id] = *s
	}
	return file
}

// absorb merges what the file holds. What it no longer holds, and the book has
// not changed since it was saved, was removed by another process: it goes.
func (b *Book) absorb(file bookFormat, now time.Time) {
	for id, f := range file.Accounts {
		r := b.entry(id)
		b.set(id, r, r.Merge(f.asOf(now)))
	}
	for id, r := range b.accounts {
		if _, kept := file.Accounts[id]; !kept && r.change <= b.saved {
			b.drop(id)
		}
		r.running = activity{}
	}
	for id, s := range file.Sessions {
		if s.UsedAt.After(now.Add(clockSkew)) {
			s.UsedAt = now // written by a clock that was wrong
		}
		mine := b.sessions[id]
		switch {
		case s.Account == "":
			continue
		case mine == nil:
			s.drop(nil, nil) // another program may have written more than fits
		case newer(s.UsedAt, mine.UsedAt, s.Account > mine.Account):
			s.drop(mine.Dropped, nil)
		default:
			mine.drop(s.Dropped, nil)
			continue
		}
		s.change = 0
		b.sessions[id] = &s
	}
	for id, s := range b.sessions {
		if _, kept := file.Sessions[id]; !kept && s.change <= b.saved {
			delete(b.sessions, id)
			continue
		}
		b.entry(s.Account).running.move(s.UsedAt, 1)
	}
	if newer(file.Turn.At, b.turn.At, file.Turn.Account > b.turn.Account) && !file.Turn.At.After(now.Add(clockSkew)) {
		b.turn = file.Turn
	}
}

// doubt takes back what a clock told that was set back since: the times in the
// book that lie ahead of now.
func (b *Book) doubt(now time.Time) {
	for id, r := range b.accounts {
		b.set(id, r, r.Facts.asOf(now))
		r.running = activity{}
	}
	for _, s := range b.sessions {
		if s.UsedAt.After(now.Add(clockSkew)) {
			s.UsedAt = now
		}
		b.entry(s.Account).running.move(s.UsedAt, 1)
	}
	if b.turn.At.After(now.Add(clockSkew)) {
		b.turn.At = now
	}
}

// unsaved marks everything as missing in the file, which is gone.
func (b *Book) unsaved() {
	for _, r := range b.accounts {
		r.change = b.changed()
	}
	for _, s := range b.sessions {
		s.change = b.changed()
	}
}
