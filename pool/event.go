package pool

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Event is one thing learned about one account. Exactly the fields that were
// learned are set; At is when the call it came from was sent.
type Event struct {
	Account string
	At      time.Time
	Windows []Window
	Block   *Block
	Success bool // an answer was delivered: health up, last used
	Failure bool // the account itself refused: health down
	Plan    string
	Reason  string // of Failure, our words, for `status`
}

const (
	// blocksKept is how long a block is kept after its end, so that a clock
	// that jumped ahead and back does not lose it.
	blocksKept = 24 * time.Hour
	// longestLimit is the longest time a limit was seen to last (FACTS-upstream
	// 4); what is further away is absurd.
	longestLimit = 35 * 24 * time.Hour
	// clockSkew is how far ahead of now a recorded time may lie before it is
	// taken for the trace of a clock that was wrong.
	clockSkew = 10 * time.Minute
)

// Apply gives the facts after e, which was received at now. A block counts as
// learned at now, whatever the event says: only evidence from a call that was
// sent after that may shorten it (DESIGN 5). A primary or secondary window's
// block concerns every model; a code review limit never concerns model calls.
func (f Facts) Apply(e Event, now time.Time) Facts {
	now = wall(now)
	at := wall(e.At)
	if at.IsZero() || at.After(now) {
		at = now
	}
	var learned Facts
	for _, w := range e.Windows {
		if math.IsNaN(w.UsedPercent) || math.IsInf(w.UsedPercent, 0) {
			continue
		}
		w.ObservedAt, w.ResetAt = at, wall(w.ResetAt)
		if w.ResetAt.Sub(now).Abs() > longestLimit {
			w.ResetAt = time.Time{}
		}
		learned.Windows = mergeWindows(learned.Windows, []Window{w})
	}
	if e.Block != nil && e.Block.Window != WindowCodeReview {
		learned.Blocks = []Block{e.Block.learned(now)}
	}
	if e.Plan != "" {
		learned.Plan, learned.PlanAt = e.Plan, at
	}
	if e.Success {
		learned.LastUsed = at
	}
	if e.Failure || e.Block != nil {
		learned.LastFailure, learned.LastReason = now, e.Reason
		if e.Reason == "" && e.Block != nil {
			learned.LastReason = e.Block.Reason
		}
	}
	f = f.Merge(learned).strained(e, now)
	f.Blocks = recentBlocks(f.Blocks, now)
	return f
}

func (b Block) learned(now time.Time) Block {
	b.LearnedAt, b.Until = now, wall(b.Until)
	if b.Until.Sub(now) > longestLimit {
		b.Until = now.Add(longestLimit)
	}
	if b.Kind != BlockQuota {
		b.Window = ""
	} else if b.Window == "" || accountWide(b.Window) {
		b.Model = ""
	}
	return b
}

// recentBlocks leaves out what ended long ago.
func recentBlocks(blocks []Block, now time.Time) []Block {
	old := func(b Block) bool { return b.Until.Before(now.Add(-blocksKept)) }
	if !slices.ContainsFunc(blocks, old) {
		return blocks
	}
	return slices.DeleteFunc(slices.Clone(blocks), old)
}

// asOf prepares facts for Merge that were learned by a clock which may have been
// wrong: those of the file, and ours when the clock was set back. Times that lie
// ahead of now count as unknown, so that whatever is seen from now on replaces
// them. A block counts as learned now: what was seen before it must not end it.
// Its end is kept: the backend gave it.
func (f Facts) asOf(now time.Time) Facts {
	limit := now.Add(clockSkew)
	past := func(t time.Time) time.Time {
		if t.After(limit) {
			return time.Time{}
		}
		return t
	}
	// Merging into nothing also puts a file in order that another program wrote.
	windows, blocks := slices.Clone(f.Windows), slices.Clone(f.Blocks)
	for i := range windows {
		windows[i].ObservedAt = past(windows[i].ObservedAt)
	}
	for i := range blocks {
		if blocks[i].LearnedAt.After(limit) {
			blocks[i].LearnedAt = now
		}
	}
	f.Windows, f.Blocks = mergeWindows(nil, windows), mergeBlocks(nil, blocks)
	f.PlanAt, f.StrainAt = past(f.PlanAt), past(f.StrainAt)
	f.LastUsed, f.LastProbe, f.LastFailure = past(f.LastUsed), past(f.LastProbe), past(f.LastFailure)
	return f
}

// wall drops the monotonic reading: facts are compared across processes and
// restarts.
func wall(t time.Time) time.Time { return t.Round(0) }

// compareBlocks gives the order of the file.
func compareBlocks(a, b Block) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Window, b.Window), cmp.Compare(a.Model, b.Model),
		a.Until.Compare(b.Until), a.LearnedAt.Compare(b.LearnedAt), cmp.Compare(a.Reason, b.Reason))
}
