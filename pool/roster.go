package pool

// Roster is the accounts as one look at the files found them: those of the
// accounts file first, in the person's order, then the flagged ones. It never
// changes, so one call looks once and asks it everything; what it gives is
// shared with every other reader and must not be changed. Nil is an empty one.
type Roster struct {
	accounts  []Account
	index     map[string]int // public id → position in accounts
	pinned    int            // position, -1 for none
	preferred []int          // positions; the files hold one at most
	from      *snapshot      // the look it came from, nil for a list made by hand
}

// NewRoster gives a list of accounts as a roster, which takes the list over.
func NewRoster(accounts []Account) *Roster {
	r := &Roster{accounts: accounts, index: make(map[string]int, len(accounts)), pinned: -1}
	for i := range accounts {
		a := &accounts[i]
		if _, taken := r.index[a.ID]; !taken {
			r.index[a.ID] = i
		}
		if a.Pinned && r.pinned < 0 {
			r.pinned = i
		}
		if a.Preferred {
			r.preferred = append(r.preferred, i)
		}
	}
	return r
}

// All lists the accounts.
func (r *Roster) All() []Account {
	if r == nil {
		return nil
	}
	return r.accounts
}

// Position gives an account's place in All by its public id, -1 when it has none.
func (r *Roster) Position(id string) int {
	if r == nil {
		return -1
	}
	if i, ok := r.index[id]; ok {
		return i
	}
	return -1
}

// ByID gives an account by its public id, nil when it is not in the pool.
func (r *Roster) ByID(id string) *Account {
	if i := r.Position(id); i >= 0 {
		return &r.accounts[i]
	}
	return nil
}

// Pinned gives the account that is pinned, nil when none is.
func (r *Roster) Pinned() *Account {
	if r == nil || r.pinned < 0 {
		return nil
	}
	return &r.accounts[r.pinned]
}

// Revision grows with every change of either file; 0 of a list made by hand.
func (r *Roster) Revision() int64 {
	if r == nil || r.from == nil {
		return 0
	}
	return r.from.active.revision + r.from.flagged.revision
}

func (r *Roster) snapshot() *snapshot {
	if r == nil {
		return nil
	}
	return r.from
}

// Look gives the accounts as the files hold them now. The error is an
// *UnreadableError. Nothing changed on disk costs two stats.
func (s *Store) Look() (*Roster, error) {
	p := s.current()
	return p.roster, p.err
}
