package pool

import (
	"context"
	"fmt"
	"path/filepath"
)

// mergeSeats leaves one record per seat: the first keeps its id and labels,
// and of two logins the better one stays. A seat comes twice when a migrated
// account turns out, at its first refresh, to be one that is already there.
func (s *Store) mergeSeats(accounts []Account) []Account {
	kept := make([]Account, 0, len(accounts))
	place := make(map[seatKey]int, 2*len(accounts))
	var room [3]seatKey
	for i := range accounts {
		a := &accounts[i]
		keys := a.seatKeys(room[:0])
		at := -1
		for _, key := range keys {
			if j, ok := place[key]; ok && at < 0 {
				at = j
			}
		}
		if at < 0 {
			at = len(kept)
			kept = append(kept, *a)
		} else {
			s.mergeInto(&kept[at], a)
		}
		for _, key := range keys {
			if _, ok := place[key]; !ok {
				place[key] = at
			}
		}
	}
	return kept
}

// seatKey is what two records of one seat, or of one login, have in common.
type seatKey struct {
	of       string // which of the fields it is made of
	one, two string
}

// seatKeys appends the account's keys to those in to.
func (a *Account) seatKeys(to []seatKey) []seatKey {
	if a.AccountID != "" && a.AccountUserID != "" {
		to = append(to, seatKey{"seat", a.AccountID, a.AccountUserID})
	}
	if a.AccountID != "" && a.UserID != "" {
		to = append(to, seatKey{"user", a.AccountID, a.UserID})
	}
	if !a.Refresh.IsZero() {
		to = append(to, seatKey{"login", a.Refresh.Reveal(), ""})
	}
	return to
}

func (s *Store) mergeInto(a, b *Account) {
	if s.better(b, a) {
		a.takeTokens(b)
	}
	a.takeLabels(b)
	fill(&a.AccountID, b.AccountID)
	if a.AccountID == b.AccountID {
		fill(&a.AccountUserID, b.AccountUserID)
		fill(&a.UserID, b.UserID)
	}
	a.Pinned = a.Pinned || b.Pinned
	a.Preferred = a.Preferred || b.Preferred
}

// better reports whether b's login is to be kept rather than a's: never one
// that was spent, else the one received later.
func (s *Store) better(b, a *Account) bool {
	if b.Refresh.IsZero() || s.spent(b) {
		return false
	}
	if a.Refresh.IsZero() || s.spent(a) {
		return true
	}
	if !b.RefreshedAt.Equal(a.RefreshedAt) {
		return b.RefreshedAt.After(a.RefreshedAt)
	}
	return b.ExpiresAt.After(a.ExpiresAt)
}

// spent reports whether the account's refresh token is on the consumed list.
// While the list cannot be read nothing counts as spent here; a refresh asks
// again and sends nothing then.
func (s *Store) spent(a *Account) bool {
	spent, err := s.consumed.has(a.Refresh)
	if err != nil {
		s.log.Warn("the list of used refresh tokens cannot be read", "error", err)
	}
	return spent
}

func (a *Account) takeTokens(b *Account) {
	a.Refresh, a.Access = b.Refresh, b.Access
	a.ExpiresAt, a.RefreshedAt, a.Problem = b.ExpiresAt, b.RefreshedAt, b.Problem
	a.Plan, a.Residency = nonEmpty(b.Plan, a.Plan), nonEmpty(b.Residency, a.Residency)
}

func (a *Account) takeLabels(b *Account) {
	fill(&a.Email, b.Email)
	fill(&a.Label, b.Label)
	fill(&a.Note, b.Note)
	fill(&a.Plan, b.Plan)
	if len(a.Tags) == 0 {
		a.Tags = b.Tags
	}
	if a.AddedAt.IsZero() {
		a.AddedAt = b.AddedAt
	}
}

// bringBack undoes what a tool did that wrote its older format over ours: the
// newest backup is what holds, its seats take over logins that are newer, and
// seats that only the other tool knows are added (DESIGN 6). With no backup of
// ours this is a plain migration; while the disk does not give the backups,
// nobody knows what it is.
func (s *Store) bringBack(p *snapshot) {
	backup, path, err := s.newestGood()
	if err != nil {
		p.err = err
		return
	}
	if path == "" {
		return
	}
	theirs := p.active.accounts
	p.active = backup
	for i := range p.active.accounts {
		p.active.accounts[i].Flag = nil
	}
	s.derive(p.active.accounts)
	giveIDs(p.active.accounts, map[string]bool{})
	for i := range theirs {
		s.takeOver(p, &theirs[i])
	}
	p.overwritten = true
	p.notices = append(p.notices, fmt.Sprintf(
		"another tool wrote its own older format over %s; accounts, labels and pins came back from the backup %s",
		s.accountsPath, filepath.Base(path)))
}

// Settle writes back what came out of bringing accounts back, so that the other
// tool's file, with tokens that were used up since, does not stay where ours
// was. It writes nothing, and takes no lock, when there is nothing to bring
// back. A Store does the same by itself at the first Token or change that finds
// such a file.
func (s *Store) Settle(ctx context.Context) error {
	p := s.current()
	if p.err != nil {
		return p.err
	}
	if !p.overwritten {
		return nil
	}
	_, err := s.change(ctx, backupChange, func(*edits) error { return nil })
	return err
}

// settleBehind is Settle for a call, which must not wait for it; Close does. It
// is tried once for each content that another tool wrote.
func (s *Store) settleBehind(p *snapshot) {
	if last := s.settling.Swap(p); last != nil && last.stamps[0].same(p.stamps[0].info) {
		return
	}
	s.flights.begin(func() {
		if err := s.Settle(context.Background()); err != nil {
			s.log.Warn("accounts that another tool overwrote are back in memory only", "error", err)
		}
	})
}

// takeOver merges one seat of the other tool's file. Of two different tokens
// theirs holds, unless it is known: had it been replaced by an exchange or a
// login of ours, it would be on the consumed list, and had it been removed or
// logged out, on the removed one.
func (s *Store) takeOver(p *snapshot, theirs *Account) {
	known := s.spent(theirs) || s.wasRemoved(theirs)
	if i := findSeat(p.active.accounts, theirs); i >= 0 {
		ours := &p.active.accounts[i]
		if !theirs.Refresh.IsZero() && !known && !theirs.Refresh.Equal(ours.Refresh) {
			ours.takeTokens(theirs)
		}
		ours.takeLabels(theirs)
		return
	}
	if i := findSeat(p.flagged.accounts, theirs); i >= 0 {
		flagged := &p.flagged.accounts[i]
		if known || theirs.Refresh.IsZero() || theirs.Refresh.Hash() == flagged.Flag.RefusedHash || theirs.Refresh.Equal(flagged.Refresh) {
			return
		}
		healed := *flagged
		healed.Flag = nil
		healed.takeTokens(theirs)
		p.active.accounts = append(p.active.accounts, healed)
		return
	}
	// A seat we do not know with a login we knew was removed from here.
	if known {
		return
	}
	p.active.accounts = append(p.active.accounts, *theirs)
}

// wasRemoved reports whether the account's login was removed or logged out.
func (s *Store) wasRemoved(a *Account) bool {
	removed, err := s.removed.has(a.Refresh)
	if err != nil {
		s.log.Warn("the list of removed logins cannot be read", "error", err)
	}
	return removed
}
