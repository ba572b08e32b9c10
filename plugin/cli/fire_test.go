package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// The size of TestFailoverUnderFire: rounds with a pool of their own, as six
// accounts do not survive many faults.
const (
	fireRounds = 80
	fireCalls  = 25
	fireSeats  = 6
)

// What a fault may do. A fault of a model call or of a refresh that is in none of
// these lists may end a call, but may cost no account anything.
var (
	limitingFaults = []string{"weekly-limit", "five-hour-limit", "both-limits", "model-limit", "limit-404", "limit-in-stream", "limit-after-output",
		"rate-limit-short", "rate-limit-long", "rate-limit-in-stream", "not-in-plan", "model-not-supported"}
	loginFaults = []string{"unauthorized", "token-expired", "token-invalidated", "workspace-deactivated", "workspace-disabled",
		"refresh-invalid-grant", "refresh-reused", "refresh-expired",
		// The next refresh presents a token that the issuer has spent, or there is none.
		"refresh-lost", "refresh-bad-token"}
	quotaFaults  = []string{"weekly-limit", "five-hour-limit", "both-limits", "model-limit", "limit-404", "limit-in-stream"}
	outputFaults = []string{"", "limit-after-output", "stream-cut", "stream-cut-late", "failed-after-output", "incomplete", "slow-stream", "slow-start", "split-stream"}
	wholeFaults  = []string{"", "incomplete", "slow-stream", "slow-start", "split-stream", "hang-headers"}
	netFaults    = []string{"reset-connection", "stream-cut-before-output"}
)

// TestFailoverUnderFire drives seeded scripts of every fault of model calls and
// refreshes through the real wire, and judges each call by what the backend saw.
func TestFailoverUnderFire(t *testing.T) {
	total := newFireFigures()
	results := make(chan *fireFigures, fireRounds)
	started := time.Now()
	t.Run("rounds", func(t *testing.T) {
		for round := range fireRounds {
			t.Run(fmt.Sprint(round), func(t *testing.T) {
				t.Parallel()
				f := newFire(t, uint64(round))
				defer func() { results <- f.figures }()
				f.run()
			})
		}
	})
	close(results)
	for f := range results {
		total.add(f)
	}
	for _, info := range sim.Faults() {
		if (slices.Contains(info.Kinds, sim.KindResponses) || slices.Contains(info.Kinds, sim.KindRefresh)) && total.faults[info.Name] == 0 {
			t.Errorf("fault %s never struck: the script proves nothing about it", info.Name)
		}
	}
	t.Logf("figures: %d calls over %d accounts in %d rounds, %d upstream tries and %d refreshes, %d faults of %d kinds struck; %d answers, %d upstream errors or cut streams delivered, our errors %v; most tries of a call %d; %v",
		total.calls, fireSeats, fireRounds, total.tries, total.refreshes, total.struck(), len(total.faults), total.answers, total.delivered, total.codes, total.most, time.Since(started).Round(time.Second))
}

type fireFigures struct {
	calls, tries, refreshes, answers, delivered, most int
	faults, codes                                     map[string]int
}

func newFireFigures() *fireFigures {
	return &fireFigures{faults: map[string]int{}, codes: map[string]int{}}
}

func (f *fireFigures) struck() (n int) {
	for _, k := range f.faults {
		n += k
	}
	return n
}

func (f *fireFigures) add(o *fireFigures) {
	f.calls, f.tries, f.refreshes, f.answers, f.delivered = f.calls+o.calls, f.tries+o.tries, f.refreshes+o.refreshes, f.answers+o.answers, f.delivered+o.delivered
	f.most = max(f.most, o.most)
	for _, m := range []struct{ to, from map[string]int }{{f.faults, o.faults}, {f.codes, o.codes}} {
		for k, n := range m.from {
			m.to[k] += n
		}
	}
}

// fire is one round: a pool, a simulation and a process.
type fire struct {
	*rig
	random  *rand.Rand
	host    *wireHost
	figures *fireFigures
	struck  map[string][]string // the faults that struck each seat so far
	home    map[string]string   // first account of each session
	last    map[string]string   // latest account of each session
	seen    int                 // calls of the simulation that were judged
}

func newFire(t *testing.T, seed uint64) *fire {
	f := &fire{random: rand.New(rand.NewPCG(4, seed)), figures: newFireFigures(), struck: map[string][]string{}, home: map[string]string{}, last: map[string]string{}}
	var seats []sim.Seat
	for i := range fireSeats {
		seats = append(seats, sim.Seat{Name: fmt.Sprintf("seat%d", i), Expired: f.random.IntN(5) == 0})
	}
	// Every fault gets its turn, at the account that the first call goes to.
	var infos []sim.FaultInfo
	for _, kind := range []sim.Kind{sim.KindResponses, sim.KindRefresh} {
		for _, info := range sim.Faults() {
			if slices.Contains(info.Kinds, kind) {
				infos = append(infos, info)
			}
		}
	}
	first := infos[seed%uint64(len(infos))]
	seats[0].Expired = slices.Contains(first.Kinds, sim.KindRefresh)
	f.rig = newRig(t, seats...)
	f.fault(first.Name, onSeat("seat0"), times(1))
	// The wait for the pool is the plugin's own and cannot be skipped, so it is short.
	f.writeSettings(fmt.Sprintf(`{"rotation": %q, "maxWaitSeconds": 1}`, []string{"drain", "spread", "round-robin"}[f.random.IntN(3)]))
	return f
}

// aim adds one fault of a kind of call at a seat, "" for a random one.
func (f *fire) aim(kind sim.Kind, seat string) {
	if seat == "" {
		seat = f.seats[f.random.IntN(fireSeats)].Name
	}
	var names []string
	for _, info := range sim.Faults() {
		if slices.Contains(info.Kinds, kind) {
			names = append(names, info.Name)
		}
	}
	name := names[f.random.IntN(len(names))]
	// What costs an account its place comes half as often: else the pool is soon empty.
	if (slices.Contains(limitingFaults, name) || slices.Contains(loginFaults, name)) && f.random.IntN(2) == 0 {
		name = names[f.random.IntN(len(names))]
	}
	f.fault(name, onSeat(seat), times(1+f.random.IntN(3)))
}

func (f *fire) run() {
	ctx, cancel := context.WithCancel(f.t.Context())
	released := make(chan struct{})
	go f.release(ctx, released)
	defer func() { cancel(); <-released }()
	host := []string{"", "opencode", "codex"}[f.random.IntN(3)]
	f.host = f.wire(host, "ENABLE_PLUGIN_REQUEST_LOGGING=1", "CODEX_PLUGIN_LOG_BODIES=1")
	for _, seat := range f.seats {
		if f.random.IntN(2) == 0 {
			f.aim(sim.KindRefresh, seat.Name)
		}
	}
	if f.random.IntN(10) == 0 { // a pool that is used up
		for _, seat := range f.seats {
			f.fault([]string{"weekly-limit", "both-limits", "rate-limit-long"}[f.random.IntN(3)], onSeat(seat.Name))
		}
	}
	for i := range fireCalls {
		session := fmt.Sprintf("session-%d", f.random.IntN(4))
		if f.random.IntN(2) == 0 {
			f.aim(sim.KindResponses, f.last[session])
		}
		name := fmt.Sprintf("call-%d.", i)
		got, err := f.host.send(f.t.Context(), name, session)
		if err != nil {
			f.t.Fatal(err)
		}
		f.judge(name, session, got)
	}
	f.host.close(f.t)
	f.judgeAccounts()
	f.figures.refreshes = len(f.sim.Calls(sim.KindRefresh))
}

// release lets go on whatever a fault holds.
func (f *fire) release(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	let := map[int]bool{}
	for {
		_, err := f.sim.Wait(ctx, func(calls []sim.Call) bool {
			fresh := false
			for _, c := range calls {
				if c.Held && !let[c.ID] {
					let[c.ID], fresh = true, true
				}
			}
			return fresh
		})
		if err != nil {
			return
		}
		f.sim.Release()
	}
}

// judge holds one call to DESIGN 4 and 5.
func (f *fire) judge(name, session string, got wireResult) {
	f.t.Helper()
	calls := f.sim.Calls()
	limited := 0
	var tries []sim.Call
	for _, c := range calls[f.seen:] {
		if c.Fault != "" {
			f.figures.faults[c.Fault]++
			f.struck[c.Seat] = append(f.struck[c.Seat], c.Fault)
		}
		if slices.Contains(c.Notes, sim.NoteLimited) {
			limited++
		}
		if c.Kind == sim.KindResponses {
			tries = append(tries, c)
		}
	}
	complain := f.complaint(name, session, got, calls[f.seen:])
	f.seen = len(calls)
	if limited > 0 {
		complain("%d calls to a limited account", limited)
	}
	f.judgeTries(got, tries, complain)
	f.judgeAffinity(session, got, complain)
}

type complain func(format string, args ...any)

// complaint fails the test with all that is known of a call.
func (f *fire) complaint(name, session string, got wireResult, calls []sim.Call) complain {
	return func(format string, args ...any) {
		f.t.Helper()
		var story []string
		for _, c := range calls {
			story = append(story, fmt.Sprintf("%s %s %q %d %s", c.Kind, c.Seat, c.Fault, c.Status, c.Refused))
		}
		f.t.Errorf("%s of %s: %s\n accounts %q, verdicts %q, status %d, code %q, text %q\n %s\n struck so far %v", name, session, fmt.Sprintf(format, args...),
			got.accounts, got.verdicts, got.status, got.code, got.text, strings.Join(story, "\n "), f.struck)
	}
}

// judgeTries holds the tries of one call, and what came of them, to DESIGN 4.
func (f *fire) judgeTries(got wireResult, tries []sim.Call, complain complain) {
	f.t.Helper()
	f.figures.calls++
	quota, other, outputs := 0, 0, 0
	last := ""
	for _, c := range tries {
		f.figures.tries++
		last = c.Fault
		switch {
		case c.Refused == "" && slices.Contains(outputFaults, c.Fault) && c.Status == 200:
			outputs, other = outputs+1, other+1
		case slices.Contains(quotaFaults, c.Fault), c.Status == 429 && c.Fault == "":
			quota++
		default:
			other++
		}
	}
	f.figures.most = max(f.figures.most, quota+other)
	if other > 6 || quota > fireSeats {
		complain("%d tries beside %d quota answers", other, quota)
	}
	if outputs > 1 {
		complain("the model's output was made %d times", outputs)
	}
	switch {
	case got.delivered == (got.code != ""):
		complain("neither or both of an answer and an error")
	case got.delivered && got.status == 200 && strings.HasPrefix(got.text, "Hello from "+got.accounts[len(got.accounts)-1]):
		f.figures.answers++
	case got.delivered && slices.Contains(wholeFaults, last) && got.status == 200:
		complain("the answer came from another account, or not whole")
	case got.delivered:
		f.figures.delivered++
	default:
		f.figures.codes[got.code]++
		f.judgeCode(got, last, complain)
	}
}

// judgeCode holds our own error to what happened.
func (f *fire) judgeCode(got wireResult, last string, complain complain) {
	charged, network := 0, slices.Contains(netFaults, last)
	for _, seat := range f.seats {
		faults := f.struck[seat.Name]
		if slices.ContainsFunc(faults, costs) {
			charged++
		}
		network = network || slices.ContainsFunc(faults, func(s string) bool { return strings.HasPrefix(s, "refresh-") })
	}
	switch got.code {
	case "all_limited":
		if charged < fireSeats {
			complain("all_limited with %d of %d accounts struck", charged, fireSeats)
		}
	case "login_required":
		if charged == 0 {
			complain("login_required and no account was refused")
		}
	case "upstream_unreachable":
		if !network {
			complain("upstream_unreachable and the network was well")
		}
	default:
		complain("no such error was to be expected")
	}
}

func costs(fault string) bool {
	return slices.Contains(limitingFaults, fault) || slices.Contains(loginFaults, fault)
}

// judgeAffinity: a session stays where it was, unless that account was struck.
func (f *fire) judgeAffinity(session string, got wireResult, complain complain) {
	if len(got.accounts) == 0 {
		return
	}
	first, before := got.accounts[0], f.last[session]
	if before != "" && first != before && first != f.home[session] && !slices.ContainsFunc(f.struck[before], costs) {
		complain("the session left %s, which was well, for %s", before, first)
	}
	if f.home[session] == "" {
		f.home[session] = first
	}
	f.last[session] = got.accounts[len(got.accounts)-1]
}

// judgeAccounts: what was not the account's fault has cost it nothing.
func (f *fire) judgeAccounts() {
	states := f.accountStates()
	for _, seat := range f.seats {
		a := states[seat.Name]
		if !slices.ContainsFunc(f.struck[seat.Name], costs) && (a.State != "ready" || a.Health != 100) {
			f.t.Errorf("%s is %s (%s) with health %d after %q", seat.Name, a.State, a.Reason, a.Health, f.struck[seat.Name])
		}
	}
}
