package pool

import "time"

// StateName is a word of DESIGN 5.
type StateName string

const (
	StateReady      StateName = "ready"
	StateLimited    StateName = "limited"
	StateCooling    StateName = "cooling"
	StateNeedsLogin StateName = "needs_login"
	StateSuspended  StateName = "suspended"
	StateDisabled   StateName = "disabled"
)

// State is derived from an account's record and facts, never stored. Until is
// zero where no time is known; Window is set with limited.
type State struct {
	Name   StateName
	Until  time.Time
	Window string
	Reason string
}

// ModelBlock is a model that an account may not serve now, though it may be
// ready for others.
type ModelBlock struct {
	Model  string
	Until  time.Time
	Reason string
}

// StateOf derives the state of an account for one model; with model "" only
// what concerns every model counts. f may be nil. Until is when the last of the
// blocks that apply ends.
func StateOf(a *Account, f *Facts, model string, now time.Time) State {
	if name := a.service(); name != StateReady {
		return State{Name: name, Reason: a.outOfService(name)}
	}
	if f == nil {
		return State{Name: StateReady}
	}
	var h hold
	h.collect(f, model, now)
	return h.state()
}

// BlockedModels lists the models that an account with these facts may not
// serve now, each once; models are ordered by name.
func BlockedModels(f *Facts, now time.Time) []ModelBlock {
	var out []ModelBlock
	for i := range f.Blocks { // ordered by kind first, so a model may come twice
		model := f.Blocks[i].Model
		if model == "" {
			continue
		}
		var one hold
		one.addBlock(f, &f.Blocks[i], now)
		if !one.until.IsZero() {
			out = addModel(out, ModelBlock{Model: model, Until: one.until, Reason: f.Blocks[i].Reason})
		}
	}
	return out
}

func addModel(list []ModelBlock, b ModelBlock) []ModelBlock {
	for i := range list {
		switch {
		case list[i].Model == b.Model:
			if b.Until.After(list[i].Until) {
				list[i] = b
			}
			return list
		case list[i].Model > b.Model:
			return append(list[:i], append([]ModelBlock{b}, list[i:]...)...)
		}
	}
	return append(list, b)
}

// service is the part of the state that the account's record decides: ready,
// or why it is out of service.
func (a *Account) service() StateName {
	switch {
	case !a.Enabled:
		return StateDisabled
	case a.Flag != nil && a.Flag.Kind == FlagSuspended:
		return StateSuspended
	case a.Flag != nil || a.Refresh.IsZero():
		return StateNeedsLogin
	}
	return StateReady
}

func (a *Account) outOfService(name StateName) string {
	switch {
	case name == StateDisabled:
		return "disabled by hand"
	case a.Flag != nil:
		return a.Flag.Reason
	}
	return "logged out"
}

// hold is what keeps an account from serving one model, taken together. The
// zero value holds nothing.
type hold struct {
	until   time.Time // the latest end of all
	limited bool      // a quota block is among them
	notFor  bool      // an entitlement block is among them: waiting does not help
	named   time.Time // the end of the block that window and reason are from
	window  string
	reason  string
}

func (h *hold) state() State {
	switch {
	case h.until.IsZero():
		return State{Name: StateReady}
	case h.limited:
		return State{Name: StateLimited, Until: h.until, Window: h.window, Reason: h.reason}
	}
	return State{Name: StateCooling, Until: h.until, Reason: h.reason}
}

// collect adds what holds at now for a model; a named limit or a missing
// entitlement of another model does not. A passed reset never blocks.
func (h *hold) collect(f *Facts, model string, now time.Time) {
	for i := range f.Windows {
		// A spent window blocks by itself: a 200 may be what told it.
		if w := &f.Windows[i]; w.Exhausted() && w.ResetAt.After(now) && accountWide(w.Name) {
			h.add(BlockQuota, w.ResetAt, w.Name, spentReason(w.Name))
		}
	}
	for i := range f.Blocks {
		if b := &f.Blocks[i]; b.Model == "" || b.Model == model {
			h.addBlock(f, b, now)
		}
	}
}

// spentReason is of an account-wide window. It is asked for each account of a
// refused call, so it makes no new text.
func spentReason(window string) string {
	if window == WindowPrimary {
		return "the primary quota window is spent"
	}
	return "the secondary quota window is spent"
}

func (h *hold) addBlock(f *Facts, b *Block, now time.Time) {
	if !b.Until.After(now) {
		return
	}
	if end := f.blockEnd(b); end.After(now) {
		h.add(b.Kind, end, b.Window, b.Reason)
	}
}

func (h *hold) add(kind BlockKind, end time.Time, window, reason string) {
	h.until = latest(h.until, end)
	h.notFor = h.notFor || kind == BlockEntitlement
	quota := kind == BlockQuota
	// A quota block names the state before any other does, then the later end.
	if quota && !h.limited || quota == h.limited && end.After(h.named) {
		h.limited, h.named, h.window, h.reason = quota, end, window, reason
	}
}

// blockEnd is when a block ends by what is known now: at its time, or, for a
// quota block, as its window tells since: by a call that was sent after the
// block was learned.
func (f *Facts) blockEnd(b *Block) time.Time {
	if b.Kind != BlockQuota {
		return b.Until
	}
	if b.Window != "" {
		if w := f.window(b.Window); w != nil {
			return w.shorten(b)
		}
		return b.Until
	}
	// No window was named, so each account-wide one may be the reason: the
	// block ends early only when all that are known say so.
	var end time.Time
	known := false
	for i := range f.Windows {
		if w := &f.Windows[i]; accountWide(w.Name) && w.WindowMinutes > 0 {
			known = true
			end = latest(end, w.shorten(b))
		}
	}
	if !known {
		return b.Until
	}
	return end
}

// shorten is when b ends as far as this window is its reason: never later than
// b says, and the zero time when the window has quota left.
func (w *Window) shorten(b *Block) time.Time {
	switch {
	case !w.ObservedAt.After(b.LearnedAt):
		return b.Until
	case !w.Exhausted():
		return time.Time{}
	case w.ResetAt.IsZero() || w.ResetAt.After(b.Until):
		return b.Until
	}
	return w.ResetAt
}
