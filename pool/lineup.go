package pool

import (
	"cmp"
	"slices"
	"time"
)

// lineup is the accounts in service of one roster, each beside what is known of
// it, so that a choice among very many asks no map. The zero value is of no
// roster.
type lineup struct {
	of      *Roster
	members []member // in the order of the roster
	drain   tournament
}

// member is one account in service. known is nil while nothing is known of it.
type member struct {
	position int
	known    *entry
}

// lineUp gives the line-up of a roster, made anew when it is another one than
// at the choice before.
func (b *Book) lineUp(r *Roster) []member {
	if b.line.of != r {
		b.line = newLineup(r, b)
	}
	return b.line.members
}

func newLineup(r *Roster, b *Book) lineup {
	l := lineup{of: r, members: make([]member, 0, len(r.All()))}
	for i := range r.All() {
		if a := &r.accounts[i]; a.service() == StateReady {
			l.members = append(l.members, member{i, b.accounts[a.ID]})
		}
	}
	return l
}

// ready reports whether the account may take this call now.
func (m *member) ready(accounts *Roster, q *Query, now time.Time) bool {
	if (q.Only != nil || len(q.Skip) > 0) && !q.allows(accounts.accounts[m.position].ID) {
		return false
	}
	return m.known.free(q.Model, now)
}

// replace tells the line-up which entry an account has from now on; nil for none.
func (l *lineup) replace(id string, known *entry) {
	if i, found := l.find(id); found {
		l.members[i].known = known
		l.drain.touch(i)
	}
}

// touch tells the line-up that an account's entry has changed.
func (l *lineup) touch(id string) {
	if i, found := l.find(id); found {
		l.drain.touch(i)
	}
}

func (l *lineup) find(id string) (int, bool) {
	return slices.BinarySearchFunc(l.members, l.of.Position(id), func(m member, at int) int { return cmp.Compare(m.position, at) })
}
