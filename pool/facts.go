package pool

import (
	"slices"
	"time"
)

// Names of the account-wide windows; any other name is a named limit
// (FACTS-upstream 5).
const (
	WindowPrimary    = "primary"
	WindowSecondary  = "secondary"
	WindowCodeReview = "code_review"
)

// Window is one quota window as the backend reported it. UsedPercent is 0–100
// as sent; WindowMinutes 0 means disabled on this plan. ResetAt is zero when
// unknown. ObservedAt is when the call that told it was sent.
type Window struct {
	Name          string    `json:"name"`
	UsedPercent   float64   `json:"usedPercent"`
	WindowMinutes int       `json:"windowMinutes"`
	ResetAt       time.Time `json:"resetAt,omitzero"`
	ObservedAt    time.Time `json:"observedAt"`
}

// Exhausted is at least 100 %, not 99.6 %; a disabled window never is
// (FACTS-upstream 5). Whether it still blocks is a question of ResetAt.
func (w *Window) Exhausted() bool { return w.WindowMinutes > 0 && w.UsedPercent >= 100 }

func accountWide(window string) bool {
	return window == WindowPrimary || window == WindowSecondary
}

// BlockKind says what kind of refusal a block comes from, and so what may end
// it early.
type BlockKind string

const (
	BlockQuota       BlockKind = "quota"       // a window is spent: ends by time or by newer evidence about that window
	BlockRateLimit   BlockKind = "rate_limit"  // ends by time only
	BlockEntitlement BlockKind = "entitlement" // the plan or the model: 24 h
	BlockRefresh     BlockKind = "refresh"     // the token endpoint could not be reached: back-off
)

// Block keeps one account out of service until a time. Model "" means every
// model. Window names the window of a quota block ("" when the answer named
// none: then it concerns every account-wide window).
type Block struct {
	Kind      BlockKind `json:"kind"`
	Window    string    `json:"window,omitempty"`
	Model     string    `json:"model,omitempty"`
	Until     time.Time `json:"until"`
	LearnedAt time.Time `json:"learnedAt"` // when the refusal was received; Apply sets it
	Reason    string    `json:"reason"`    // our words
}

// Facts is what is remembered of one account, as quota-cache.json keeps it. The
// zero value knows nothing and means full health. The slices are never changed
// in place, so a copy may be kept and read without a lock.
//
// Nothing is ever taken out of Blocks because it was lifted: what lifts a block
// is a newer observation of its window, which stays beside it (see blockEnd).
// So two processes that learned different things agree after Merge, in
// whatever order they write.
type Facts struct {
	Windows []Window  `json:"windows,omitempty"` // one per name, by name
	Blocks  []Block   `json:"blocks,omitempty"`
	Plan    string    `json:"plan,omitempty"`
	PlanAt  time.Time `json:"planAt,omitzero"`

	LastUsed    time.Time `json:"lastUsed,omitzero"`
	LastProbe   time.Time `json:"lastProbe,omitzero"`
	LastFailure time.Time `json:"lastFailure,omitzero"`
	LastReason  string    `json:"lastReason,omitempty"` // of LastFailure, our words

	Strain   float64   `json:"strain,omitempty"` // health lost by failures, 0–100, as of StrainAt
	StrainAt time.Time `json:"strainAt,omitzero"`
}

// window gives the last observation of one window, nil when there is none.
func (f *Facts) window(name string) *Window {
	for i := range f.Windows {
		if f.Windows[i].Name == name {
			return &f.Windows[i]
		}
	}
	return nil
}

// Binding is the longest enabled account-wide window with a known reset, the
// one whose quota expires with it; nil when none is known. A passed reset is no
// longer known: that window has begun anew.
func (f *Facts) Binding(now time.Time) *Window {
	var longest *Window
	minutes := 0
	for i := range f.Windows {
		w := &f.Windows[i]
		if w.WindowMinutes > minutes && w.ResetAt.After(now) && accountWide(w.Name) {
			longest, minutes = w, w.WindowMinutes
		}
	}
	return longest
}

// Merge joins two views of one account: per window the later observation, every
// block that none outlasts, the later of each time. The result does not depend
// on the order, and merging the same again changes nothing.
func (f Facts) Merge(g Facts) Facts {
	f.Windows = mergeWindows(f.Windows, g.Windows)
	f.Blocks = mergeBlocks(f.Blocks, g.Blocks)
	if newer(g.PlanAt, f.PlanAt, g.Plan > f.Plan) {
		f.Plan, f.PlanAt = g.Plan, g.PlanAt
	}
	if newer(g.LastFailure, f.LastFailure, g.LastReason > f.LastReason) {
		f.LastFailure, f.LastReason = g.LastFailure, g.LastReason
	}
	if newer(g.StrainAt, f.StrainAt, g.Strain > f.Strain) {
		f.Strain, f.StrainAt = g.Strain, g.StrainAt
	}
	f.LastUsed = latest(f.LastUsed, g.LastUsed)
	f.LastProbe = latest(f.LastProbe, g.LastProbe)
	return f
}

// newer reports whether the fact of time a replaces that of time b; tie decides
// between facts of the same time, so that every process decides alike.
func newer(a, b time.Time, tie bool) bool {
	return a.After(b) || tie && a.Equal(b)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func mergeWindows(a, b []Window) []Window {
	if len(b) == 0 {
		return a
	}
	out := append(make([]Window, 0, len(a)+len(b)), a...)
	for _, w := range b {
		i, found := slices.BinarySearchFunc(out, w.Name, func(x Window, name string) int {
			switch {
			case x.Name < name:
				return -1
			case x.Name > name:
				return 1
			}
			return 0
		})
		switch {
		case !found:
			out = slices.Insert(out, i, w)
		case w.replaces(&out[i]):
			out[i] = w
		}
	}
	return out
}

// replaces reports whether w is the better observation of its window: the later
// one, and of two from one call the one that saw more used.
func (w *Window) replaces(old *Window) bool {
	if !w.ObservedAt.Equal(old.ObservedAt) {
		return w.ObservedAt.After(old.ObservedAt)
	}
	if w.UsedPercent != old.UsedPercent {
		return w.UsedPercent > old.UsedPercent
	}
	if !w.ResetAt.Equal(old.ResetAt) {
		return w.ResetAt.After(old.ResetAt)
	}
	return w.WindowMinutes > old.WindowMinutes
}

// mergeBlocks keeps of each kind, window and model what no other block covers:
// usually the one that ends last. A quota block that ends earlier but was
// learned later stays too, since evidence may lift the one and not the other.
func mergeBlocks(a, b []Block) []Block {
	if len(b) == 0 {
		return a
	}
	out := slices.Clone(a)
	for _, x := range b {
		if slices.ContainsFunc(out, func(o Block) bool { return o.covers(&x) }) {
			continue
		}
		out = slices.DeleteFunc(out, func(o Block) bool { return x.covers(&o) })
		out = append(out, x)
	}
	slices.SortFunc(out, compareBlocks)
	return out
}

// covers reports whether b holds wherever x does, now and after any evidence.
func (b *Block) covers(x *Block) bool {
	if b.Kind != x.Kind || b.Window != x.Window || b.Model != x.Model || b.Until.Before(x.Until) {
		return false
	}
	if b.Kind == BlockQuota && b.LearnedAt.Before(x.LearnedAt) {
		return false
	}
	if !b.Until.Equal(x.Until) {
		return true
	}
	if !b.LearnedAt.Equal(x.LearnedAt) {
		return b.LearnedAt.After(x.LearnedAt)
	}
	return b.Reason >= x.Reason
}
