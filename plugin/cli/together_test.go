package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// TestTogether: twenty processes tag, label, remove, log out and refresh at once,
// and no change is lost.
func TestTogether(t *testing.T) {
	seats := append(named("shared", "b", "c", "d", "e", "gone1", "gone2", "out1", "out2"), sim.Seat{Name: "stale1", Expired: true}, sim.Seat{Name: "stale2", Expired: true})
	r := newRig(t, seats...)
	var commands [][]string
	var tags []string
	for i := range 8 {
		tags = append(tags, fmt.Sprintf("t%d", i))
		commands = append(commands, []string{"tag", "shared", tags[i]})
	}
	for _, name := range []string{"b", "c", "d", "e"} {
		commands = append(commands, []string{"note", name, "noted " + name})
	}
	commands = append(commands, []string{"remove", "gone1", "--yes"}, []string{"remove", "gone2", "--yes"}, []string{"logout", "out1", "--yes"}, []string{"logout", "out2", "--yes"},
		[]string{"token", "stale1"}, []string{"token", "stale1"}, []string{"token", "stale2"}, []string{"token", "stale2"})
	var all sync.WaitGroup
	for _, command := range commands {
		all.Go(func() {
			if out, err := r.command(t.Context(), command...); err != nil {
				t.Errorf("%v: %v %s", command, err, out)
			}
		})
	}
	// And three people are added meanwhile, each by a device code.
	for _, name := range []string{"new1", "new2", "new3"} {
		seat := r.sim.AddSeat(sim.Seat{Name: name})
		x := r.startAdd(nil, "add", "--device", "--label", name)
		all.Go(func() {
			if err := r.sim.ApproveDevice(x.shows(printedCode), seat); err != nil {
				t.Error(err)
			}
			x.ends(0, "Added "+name)
		})
	}
	all.Wait()
	listed := decode[struct{ Accounts []plugin.Account }](t, r.must("list", "--json")).Accounts
	var got []string
	for _, acc := range listed {
		slices.Sort(acc.Tags)
		got = append(got, fmt.Sprintf("%s %s %s%s", acc.Label, acc.State, strings.Join(acc.Tags, ","), acc.Note))
	}
	want := []string{"shared ready " + strings.Join(tags, ","), "b ready noted b", "c ready noted c", "d ready noted d", "e ready noted e",
		"stale1 ready ", "stale2 ready ", "out1 needs_login ", "out2 needs_login ", "new1 ready ", "new2 ready ", "new3 ready "}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, seat := range r.seats[9:] {
		if n := r.sim.RefreshCount(seat); n != 1 {
			t.Errorf("%s was refreshed %d times", seat.Name, n)
		}
	}
}
