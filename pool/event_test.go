package pool

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// received is an event with the time its answer came.
type received struct {
	Event
	at time.Time
}

var (
	testModels  = []string{"m", "n"}
	testWindows = []string{WindowPrimary, WindowSecondary, WindowCodeReview, "batch"}
)

// minutes draws a whole number of minutes after t0, few enough that equal and
// crossing times are common.
func minutes(t *rapid.T, from, to int, label string) time.Time {
	return in(time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Minute)
}

func drawWindow(t *rapid.T) Window {
	w := Window{
		Name:          rapid.SampledFrom(testWindows).Draw(t, "window"),
		UsedPercent:   rapid.SampledFrom([]float64{0, 50, 99.6, 100, 120}).Draw(t, "used"),
		WindowMinutes: rapid.SampledFrom([]int{0, 77, fiveHours, weekly, monthly}).Draw(t, "minutes"),
	}
	if rapid.Bool().Draw(t, "reset known") {
		w.ResetAt = drawEnd(t, "reset")
	}
	return w
}

// drawEnd draws when a limit ends: now and then weeks ahead.
func drawEnd(t *rapid.T, label string) time.Time {
	end := minutes(t, 0, 100, label)
	if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
		end = end.Add(29 * 24 * time.Hour)
	}
	return end
}

func drawBlock(t *rapid.T) *Block {
	b := &Block{
		Kind:   rapid.SampledFrom([]BlockKind{BlockQuota, BlockQuota, BlockQuota, BlockRateLimit, BlockEntitlement, BlockRefresh}).Draw(t, "kind"),
		Until:  drawEnd(t, "until"),
		Reason: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "reason"),
	}
	if b.Kind == BlockQuota {
		b.Window = rapid.SampledFrom(append([]string{""}, testWindows...)).Draw(t, "blocked window")
	}
	if b.Window == "batch" || b.Kind == BlockEntitlement {
		b.Model = rapid.SampledFrom(testModels).Draw(t, "model")
	}
	return b
}

// drawEvents draws a stream of answers: each was sent at a time and received
// then or later, and they come in any order, as from a clock that jumps.
func drawEvents(t *rapid.T, id string) []received {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) received {
		sent := minutes(t, 0, 60, "sent")
		if rapid.IntRange(0, 9).Draw(t, "clock ahead") == 0 {
			sent = sent.Add(12 * time.Hour)
		}
		e := received{Event: Event{Account: id, At: sent}, at: sent.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "took")) * time.Minute)}
		for range rapid.IntRange(0, 2).Draw(t, "windows") {
			e.Windows = append(e.Windows, drawWindow(t))
		}
		if rapid.Bool().Draw(t, "refused") {
			e.Block = drawBlock(t)
		}
		e.Success = rapid.Bool().Draw(t, "success")
		if rapid.Bool().Draw(t, "tells plan") {
			e.Plan = rapid.SampledFrom([]string{"plus", "pro"}).Draw(t, "plan")
		}
		return e
	}), 0, 12).Draw(t, "events")
}

func after(events []received) Facts {
	var f Facts
	for _, e := range events {
		f = f.Apply(e.Event, e.at)
	}
	return f
}

// same compares facts, times by the instant.
func same(a, b Facts) string {
	return cmp.Diff(a, b, cmpopts.EquateApproxTime(0), cmpopts.EquateEmpty())
}

func TestMergeIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := after(drawEvents(t, "a")), after(drawEvents(t, "a")), after(drawEvents(t, "a"))
		if d := same(a.Merge(b), b.Merge(a)); d != "" {
			t.Fatalf("the order of two matters: %s", d)
		}
		if d := same(a.Merge(b).Merge(c), a.Merge(b.Merge(c))); d != "" {
			t.Fatalf("the grouping of three matters: %s", d)
		}
		if d := same(a.Merge(b).Merge(b), a.Merge(b)); d != "" {
			t.Fatalf("merging the same again changes something: %s", d)
		}
	})
}

func TestProcessesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t, "a")
		for i := range events {
			events[i].Success = false // health is a running score, and is not compared
		}
		shuffled := rapid.Permutation(events).Draw(t, "shuffled")
		cut := rapid.IntRange(0, len(shuffled)).Draw(t, "cut")
		if d := same(after(events), after(shuffled[:cut]).Merge(after(shuffled[cut:]))); d != "" {
			t.Fatalf("two processes that learned the same disagree: %s", d)
		}
	})
}

func TestApplyKeepsTheFactsItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := after(drawEvents(t, "a"))
		g := f
		g.Windows, g.Blocks = slices.Clone(f.Windows), slices.Clone(f.Blocks)
		for _, e := range drawEvents(t, "a") {
			f.Apply(e.Event, e.at)
		}
		if d := same(f, g); d != "" {
			t.Fatalf("a reader's copy changed: %s", d)
		}
	})
}

// blockedUntil is the rule of DESIGN 5 read from the whole history, not from
// merged facts: when the account may serve the model again.
func blockedUntil(events []received, model string) time.Time {
	last := map[string]Window{} // the best observation of each window
	for _, e := range events {
		for _, w := range e.Windows {
			w.ObservedAt = e.At
			if old, ok := last[w.Name]; !ok || w.replaces(&old) {
				last[w.Name] = w
			}
		}
	}
	var until time.Time
	for _, name := range []string{WindowPrimary, WindowSecondary} {
		if w := last[name]; w.UsedPercent >= 100 && w.WindowMinutes > 0 {
			until = latest(until, w.ResetAt)
		}
	}
	for _, e := range events {
		b := e.Block
		if b == nil || b.Window == WindowCodeReview || b.Model != "" && b.Model != model {
			continue
		}
		end := b.Until
		if b.Kind == BlockQuota {
			end = historicEnd(last, b, e.at)
		}
		until = latest(until, end)
	}
	return until
}

func historicEnd(last map[string]Window, b *Block, learned time.Time) time.Time {
	concerned := []string{b.Window}
	if b.Window == "" {
		concerned = nil
		for _, name := range []string{WindowPrimary, WindowSecondary} {
			if last[name].WindowMinutes > 0 {
				concerned = append(concerned, name)
			}
		}
	}
	var end time.Time
	for _, name := range concerned {
		w, ok := last[name]
		switch {
		case !ok || !w.ObservedAt.After(learned):
			return b.Until
		case w.UsedPercent >= 100 && w.WindowMinutes > 0 && w.ResetAt.IsZero():
			return b.Until
		case w.UsedPercent >= 100 && w.WindowMinutes > 0:
			end = latest(end, w.ResetAt)
		}
	}
	if len(concerned) == 0 || end.After(b.Until) {
		return b.Until
	}
	return end
}

func TestBlocksFollowTheHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t, "a")
		f := after(events)
		a := account("a")
		now := minutes(t, 0, 110, "now")
		for _, model := range append([]string{""}, testModels...) {
			want := blockedUntil(events, model)
			got := StateOf(&a, &f, model, now)
			if want.After(now) != (got.Name != StateReady) || want.After(now) && !got.Until.Equal(want) {
				t.Fatalf("model %q at %s: %+v, want until %s", model, now, got, want)
			}
		}
	})
}

func TestOlderOrWeakerEvidenceNeverShortens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.SampledFrom([]string{"", WindowPrimary, WindowSecondary, "batch"}).Draw(t, "window")
		b := Block{Kind: BlockQuota, Window: window, Until: minutes(t, 50, 100, "until")}
		if window == "batch" {
			b.Model = "m"
		}
		learned := minutes(t, 20, 40, "learned")
		f := after(drawEvents(t, "a")).Apply(blocked("a", in(0), b), learned)
		for _, e := range drawEvents(t, "a") {
			// Weaker: sent before the refusal came, or about another window.
			e.Windows = slices.DeleteFunc(e.Windows, func(w Window) bool {
				return e.At.After(learned) && (w.Name == window || window == "" && accountWide(w.Name))
			})
			f = f.Apply(e.Event, e.at)
		}
		// What the first events said of the window may have been sent later than
		// the block was learned; only that may end it.
		for _, w := range f.Windows {
			if w.ObservedAt.After(learned) && (w.Name == window || window == "" && accountWide(w.Name)) {
				t.Skip("stronger evidence was known already")
			}
		}
		a := account("a")
		now := b.Until.Add(-time.Minute)
		if s := StateOf(&a, &f, "m", now); s.Name == StateReady || s.Until.Before(b.Until) {
			t.Fatalf("blocked until %s, but at %s it is %+v", b.Until, now, s)
		}
	})
}

func TestFactsFromAWrongClock(t *testing.T) {
	future := in(1000 * time.Hour)
	f := Facts{
		Windows:   []Window{{Name: "secondary", UsedPercent: 100, WindowMinutes: weekly, ResetAt: in(50 * time.Hour), ObservedAt: future}},
		Blocks:    []Block{{Kind: BlockQuota, Window: "secondary", Until: in(50 * time.Hour), LearnedAt: future}},
		LastProbe: future,
	}.asOf(t0)
	a := account("a")
	if s := StateOf(&a, &f, "", t0); s.Name != StateLimited || !s.Until.Equal(in(50*time.Hour)) {
		t.Errorf("the backend's reset was lost: %+v", s)
	}
	if !f.probeDue(t0) {
		t.Error("it is never probed")
	}
	f = f.Apply(seen("a", in(time.Minute), "secondary", 1, weekly, in(60*time.Hour)), in(2*time.Minute))
	if s := StateOf(&a, &f, "", in(2*time.Minute)); s.Name != StateReady {
		t.Errorf("new evidence does not count: %+v", s)
	}
}

func TestEventOfTheFutureCountsAsNow(t *testing.T) {
	f := Facts{}.Apply(seen("a", in(time.Hour), "primary", 100, fiveHours, in(2*time.Hour)), t0)
	if got := f.Windows[0].ObservedAt; !got.Equal(t0) {
		t.Errorf("observed at %s", got)
	}
}

func TestBlocksAreForgottenADayAfterTheirEnd(t *testing.T) {
	var f Facts
	for day := range 60 {
		at := in(time.Duration(day) * 24 * time.Hour)
		f = f.Apply(blocked("a", at, Block{Kind: BlockEntitlement, Model: fmt.Sprint(day), Until: at.Add(time.Hour)}), at)
	}
	if len(f.Blocks) > 3 {
		t.Errorf("%d blocks are kept", len(f.Blocks))
	}
}

func TestAbsurdTimes(t *testing.T) {
	for _, d := range []time.Duration{math.MinInt64, math.MaxInt64, 400 * 24 * time.Hour} {
		far := t0.Add(d).AddDate(int(d>>62)*9000, 0, 0)
		f := Facts{}.Apply(seen("a", t0, "secondary", 100, weekly, far), t0)
		if !f.Windows[0].ResetAt.IsZero() {
			t.Errorf("a reset at %s was believed", far)
		}
		f = f.Apply(blocked("a", t0, Block{Kind: BlockQuota, Until: far}), t0)
		a := account("a")
		if s := StateOf(&a, &f, "", in(36*24*time.Hour)); s.Name != StateReady {
			t.Errorf("blocked until %s it is stuck: %+v", far, s)
		}
		if _, err := encodeBook(bookFormat{Accounts: map[string]Facts{"a": f}}); err != nil {
			t.Errorf("%s: %v", far, err)
		}
	}
}

// The soonest time of a refusal is the minimum over the accounts that may
// serve of the maximum over each one's blocks.
func TestSoonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := minutes(t, 0, 110, "now")
		book := NewBook()
		list := accounts("a", "b", "c")
		var want time.Time
		free, served := false, false
		for i := range list {
			events := drawEvents(t, list[i].ID)
			for _, e := range events {
				book.Learn(e.Event, e.at)
			}
			if !rapid.Bool().Draw(t, "enabled") {
				list[i].Enabled = false
				continue
			}
			until := blockedUntil(events, "m")
			entitled := !slices.ContainsFunc(events, func(e received) bool {
				b := e.Block
				return b != nil && b.Kind == BlockEntitlement && b.Model == "m" && b.Until.After(now)
			})
			served = served || entitled
			free = free || !until.After(now)
			if until.After(now) && entitled && (want.IsZero() || until.Before(want)) {
				want = until
			}
		}
		c := Choose(NewRoster(list), book, Query{Model: "m"}, now)
		switch {
		case free != (c.Account != ""):
			t.Fatalf("chose %+v, an account is free: %v", c, free)
		case free:
			if s := StateOf(&list[findID(list, c.Account)], book.facts(c.Account), "m", now); s.Name != StateReady {
				t.Fatalf("chose an account that is %+v", s)
			}
		case !c.Soonest.Equal(want):
			t.Fatalf("soonest %s, want %s", c.Soonest, want)
		case c.NotServed && served:
			t.Fatalf("an account may serve the model: %+v", c)
		}
	})
}

func TestOddNumbers(t *testing.T) {
	for _, used := range []float64{-5, math.NaN(), math.Inf(1), math.Inf(-1), 1e308} {
		f := Facts{}.Apply(seen("a", t0, "secondary", used, weekly, in(time.Hour)), t0)
		if r := f.remaining(t0); !(r >= 0 && r <= 100) {
			t.Errorf("%v used leaves %v", used, r)
		}
		if _, err := encodeBook(bookFormat{Accounts: map[string]Facts{"a": f}}); err != nil {
			t.Errorf("%v used: %v", used, err)
		}
	}
}
