package pool

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestExplain(t *testing.T) {
	list := accounts("a", "b", "c", "d", "e")
	list[3].Enabled = false
	book := bookOf(week("a", 30, 24*time.Hour), week("b", 40, 48*time.Hour), limitedFor("c", time.Hour),
		Event{Account: "b", Failure: true, Success: true, At: in(-time.Minute)})
	book.Bind("s", "b", in(-30*time.Second))
	choice, lines := Explain(NewRoster(list), book, Query{Skip: map[string]bool{"e": true}}, t0)
	if choice.Account != "a" || len(lines) != 5 || !lines[0].Chosen || lines[0].WhyNot != "" {
		t.Fatalf("chose %+v: %+v", choice, lines)
	}
	if w := lines[0].Binding; w == nil || w.UsedPercent != 30 {
		t.Errorf("binding window %+v", w)
	}
	if b := lines[1]; b.Running != 1 || b.Health != 80 || b.IdleFor != 30*time.Second || b.WhyNot != "another account comes first: "+becauseDrain {
		t.Errorf("b: %+v", b)
	}
	for i, want := range []string{2: "usage limit reached", 3: "disabled by hand", 4: "already tried in this call"} {
		if i >= 2 && lines[i].WhyNot != want {
			t.Errorf("%s: %q, want %q", lines[i].Account, lines[i].WhyNot, want)
		}
	}
	if choice, lines := Explain(NewRoster(list), book, Query{Session: "s"}, t0); !lines[1].Chosen || lines[0].WhyNot != "the session is bound to another account" {
		t.Errorf("bound: %+v %+v", choice, lines)
	}
	list[2].Pinned = true
	if choice, lines := Explain(NewRoster(list), book, Query{}, t0); choice.Account != "" || lines[0].WhyNot != "another account is pinned" || lines[2].WhyNot != "usage limit reached" {
		t.Errorf("pinned: %+v %+v", choice, lines)
	}
}

// An explanation is the choice: exactly the chosen one is marked, and each
// other one is told why not.
func TestExplainAgreesWithChoose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, book := accounts("a", "b", "c", "d"), NewBook()
		for i := range list {
			for _, e := range drawEvents(t, list[i].ID) {
				book.Learn(e.Event, e.at)
			}
			list[i].Enabled = rapid.Bool().Draw(t, "enabled")
			list[i].Preferred = rapid.IntRange(0, 5).Draw(t, "preferred") == 0
			list[i].Pinned = rapid.IntRange(0, 9).Draw(t, "pinned") == 0
		}
		book.Bind("s", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "bound"), t0)
		q := Query{Model: "m", Session: rapid.SampledFrom([]string{"", "s", "new"}).Draw(t, "session"),
			Rotation: rapid.SampledFrom([]Rotation{RotationDrain, RotationSpread, RotationRoundRobin}).Draw(t, "rotation")}
		now := minutes(t, 0, 110, "now")
		choice, lines := Explain(NewRoster(list), book, q, now)
		if again := Choose(NewRoster(list), book, q, now); fmt.Sprint(again) != fmt.Sprint(choice) {
			t.Fatalf("explained %+v, chose %+v", choice, again)
		}
		for _, l := range lines {
			if l.Chosen != (l.Account == choice.Account) || l.Chosen == (l.WhyNot != "") {
				t.Fatalf("%+v, but the choice is %+v", l, choice)
			}
		}
	})
}
