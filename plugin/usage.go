package plugin

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// The ways to group the ledger.
const (
	ByAccount = "account"
	ByModel   = "model"
	ByDay     = "day"
	BySession = "session"
)

// UsageKinds are the ways to group the ledger, for help and completion.
func UsageKinds() []string { return []string{ByAccount, ByModel, ByDay, BySession} }

// Usage is what `codex-rota usage --json` prints: the ledger's entries from Since
// to Until, summed.
type Usage struct {
	Schema int          `json:"schema"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until"`
	By     string       `json:"by"`
	Total  UsageSum     `json:"total"`
	Groups []UsageGroup `json:"groups"`
	// Unreadable lines of the ledger were left out.
	Unreadable int `json:"unreadable"`
}

// UsageGroup is one account (its id), model, day (of the person's calendar,
// 2026-01-31) or session. A call of no known session has the key "".
type UsageGroup struct {
	Key   string `json:"key"`
	Label string `json:"label,omitempty"` // of an account
	UsageSum
}

// UsageSum is what a number of calls cost. CacheHitRate is the share of the input
// tokens that came from the prompt cache, 0–1. A switch is a call that its
// session made on another account than the one before: its cache was lost.
type UsageSum struct {
	Calls        int     `json:"calls"`
	InputTokens  int64   `json:"inputTokens"`
	CachedTokens int64   `json:"cachedTokens"`
	OutputTokens int64   `json:"outputTokens"`
	CacheHitRate float64 `json:"cacheHitRate"`
	Switches     int     `json:"switches"`
}

func (u *UsageSum) add(e *LedgerEntry, switched bool) {
	u.Calls++
	u.InputTokens += e.InputTokens
	u.CachedTokens += e.CachedTokens
	u.OutputTokens += e.OutputTokens
	if u.InputTokens > 0 {
		u.CacheHitRate = float64(u.CachedTokens) / float64(u.InputTokens)
	}
	if switched {
		u.Switches++
	}
}

// Usage sums the ledger since a time. It asks nobody.
func (s *Service) Usage(ctx context.Context, since time.Time, by string) (*Usage, error) {
	if !slices.Contains(UsageKinds(), by) {
		return nil, badParams("usage is grouped by account, model, day or session, not by %q", by)
	}
	now := s.now()
	out := &Usage{Schema: 1, Since: since.UTC().Truncate(time.Second), Until: now.UTC().Truncate(time.Second), By: by, Groups: []UsageGroup{}}
	groups := map[string]*UsageGroup{}
	lastAccount := map[string]string{} // by session
	// A session is remembered for a day, so a day earlier tells where it was.
	unreadable, err := s.ledger.read(ctx, since.Add(-sessionMemory), func(e *LedgerEntry) {
		before := lastAccount[e.Session]
		switched := e.Session != "" && before != "" && before != e.Account
		lastAccount[e.Session] = e.Account
		if e.Time.Before(since) {
			return
		}
		key := e.key(by, now.Location())
		g := groups[key]
		if g == nil {
			g = &UsageGroup{Key: key}
			if by == ByAccount {
				g.Label = s.label(key)
			}
			groups[key] = g
		}
		g.add(e, switched)
		out.Total.add(e, switched)
	})
	if err != nil {
		return nil, &Error{Code: CodeInternal, Message: "the usage ledger cannot be read: " + err.Error(), cause: err}
	}
	out.Unreadable = unreadable
	for _, g := range groups {
		out.Groups = append(out.Groups, *g)
	}
	slices.SortFunc(out.Groups, func(a, b UsageGroup) int {
		if by == ByDay {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.InputTokens+b.OutputTokens, a.InputTokens+a.OutputTokens), cmp.Compare(a.Key, b.Key))
	})
	return out, nil
}

func (e *LedgerEntry) key(by string, zone *time.Location) string {
	switch by {
	case ByModel:
		return e.Model
	case ByDay:
		return e.Time.In(zone).Format(time.DateOnly)
	case BySession:
		return e.Session
	}
	return e.Account
}
