package pool

import (
	"context"
	"time"
)

// probeEvery is how old a quota block must be before its account is looked at
// through the usage endpoint, and how far apart two looks are (DESIGN 5).
const probeEvery = 10 * time.Minute

// DueProbes lists the accounts in service whose quota block is old enough that
// an early reset should be looked for. Asking costs nothing; ClaimProbe decides
// which process does it.
func (b *BookFile) DueProbes(accounts *Roster, now time.Time) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
	var due []string
	for i := range accounts.All() {
		a := &accounts.accounts[i]
		if f := b.book.facts(a.ID); f != nil && a.service() == StateReady && f.probeDue(now) {
			due = append(due, a.ID)
		}
	}
	return due
}

// ClaimProbe records, under the file's lock, that the caller probes account
// now. It reports false when another process was first, or when that could not
// be written: then nobody probes.
func (b *BookFile) ClaimProbe(ctx context.Context, account string, now time.Time) bool {
	claimed, err := b.save(ctx, 0, func(book *Book) bool {
		e := book.accounts[account]
		if e == nil || !e.probeDue(now) {
			return false
		}
		e.LastProbe, e.change = wall(now), book.changed()
		return true
	})
	if err != nil {
		b.options.Log.Warn("a blocked account is not probed", "account", account, "reason", err)
	}
	return claimed && err == nil
}

// probeDue reports whether a quota block holds that was learned long enough
// ago, and no probe came since. A rate limit ends by time only: there is
// nothing to look for.
func (f *Facts) probeDue(now time.Time) bool {
	if now.Sub(f.LastProbe) < probeEvery {
		return false
	}
	old := func(learned time.Time) bool { return now.Sub(learned) >= probeEvery }
	for i := range f.Windows {
		if w := &f.Windows[i]; accountWide(w.Name) && w.Exhausted() && w.ResetAt.After(now) && old(w.ObservedAt) {
			return true
		}
	}
	for i := range f.Blocks {
		if b := &f.Blocks[i]; b.Kind == BlockQuota && f.blockEnd(b).After(now) && old(b.LearnedAt) {
			return true
		}
	}
	return false
}
