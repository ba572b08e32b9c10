package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// The size of TestFailoverOfManyAtOnce.
const (
	crowdRounds = 24 // of each kind
	crowdLanes  = 4  // sessions that call at once, in each round
	crowdCalls  = 6  // of a session, one after another
)

// blockingFaults cost an account its place at once and for longer than a round
// lasts: when the verdict on one is out, the block is on disk.
var blockingFaults = []string{"weekly-limit", "five-hour-limit", "both-limits", "model-limit", "limit-404", "limit-in-stream",
	"rate-limit-long", "rate-limit-in-stream", "not-in-plan", "model-not-supported", "token-invalidated", "workspace-deactivated", "workspace-disabled"}

// TestFailoverOfManyAtOnce has several calls in flight at once over the faults of
// TestFailoverUnderFire, in one process and in two on one pool, and judges each
// call by the same rules. What another call learns counts from when it was heard.
func TestFailoverOfManyAtOnce(t *testing.T) {
	for _, processes := range []int{1, 2} {
		total := newFireFigures()
		var most, blocks atomic.Int64
		results := make(chan *fireFigures, crowdRounds)
		started := time.Now()
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			for round := range crowdRounds {
				t.Run(fmt.Sprint(round), func(t *testing.T) {
					t.Parallel()
					c := &crowd{fire: newFire(t, uint64(1000*processes+round))}
					defer func() { results <- c.figures }()
					c.run(processes)
					for old := most.Load(); old < c.most.Load() && !most.CompareAndSwap(old, c.most.Load()); old = most.Load() {
					}
					blocks.Add(int64(c.blocks))
				})
			}
		})
		close(results)
		for f := range results {
			total.add(f)
		}
		if most.Load() < crowdLanes {
			t.Errorf("at most %d calls were in flight at once", most.Load())
		}
		t.Logf("figures: %d process(es) on one pool, up to %d calls in flight at once: %d calls in %d rounds, %d upstream tries and %d refreshes, %d faults of %d kinds struck; %d answers, %d upstream errors or cut streams delivered, our errors %v; %d blocks were told, no call that was prepared later met one; %v",
			processes, most.Load(), total.calls, crowdRounds, total.tries, total.refreshes, total.struck(), len(total.faults), total.answers, total.delivered, total.codes, blocks.Load(), time.Since(started).Round(time.Second))
	}
}

// crowd is a fire whose calls are in flight at once.
type crowd struct {
	*fire
	mu     sync.Mutex // of what the lanes share: random, aiming, ended
	ended  []crowdCall
	flying atomic.Int64
	most   atomic.Int64
	blocks int
}

// crowdCall is one call that ended.
type crowdCall struct {
	name, session string
	process       int
	alone         bool // in its session
	at            time.Time
	got           wireResult
}

func (c *crowd) run(processes int) {
	ctx, cancel := context.WithCancel(c.t.Context())
	released := make(chan struct{})
	go c.release(ctx, released)
	defer func() { cancel(); <-released }()
	var hosts []*wireHost
	for range processes {
		kind := []string{"", "opencode", "codex"}[c.random.IntN(3)]
		hosts = append(hosts, c.wire(kind, "ENABLE_PLUGIN_REQUEST_LOGGING=1", "CODEX_PLUGIN_LOG_BODIES=1"))
	}
	for _, seat := range c.seats {
		if c.random.IntN(2) == 0 {
			c.aim(sim.KindRefresh, seat.Name)
		}
	}
	var lanes sync.WaitGroup
	for lane := range crowdLanes {
		lanes.Go(func() { c.lane(lane, lane%processes, hosts[lane%processes]) })
	}
	lanes.Wait()
	for _, h := range hosts {
		h.close(c.t)
	}
	c.judgeAll()
	c.judgeAccounts()
	c.figures.refreshes = len(c.sim.Calls(sim.KindRefresh))
}

// lane is a session: its calls come one after another, as a person's do, now and
// then with a second one beside, as a host's call for a title.
func (c *crowd) lane(lane, process int, h *wireHost) {
	session := fmt.Sprintf("session-%d", lane)
	for i := range crowdCalls {
		c.mu.Lock()
		if c.random.IntN(2) == 0 {
			c.aim(sim.KindResponses, c.last[session])
		}
		beside := c.random.IntN(4) == 0
		c.mu.Unlock()
		var both sync.WaitGroup
		call := func(name string, alone bool) {
			c.most.Store(max(c.most.Load(), c.flying.Add(1))) // lanes may overwrite a higher one: it comes again
			defer c.flying.Add(-1)
			got, err := h.send(c.t.Context(), name, session)
			if err != nil {
				c.t.Error(err)
				return
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ended = append(c.ended, crowdCall{name, session, process, alone, time.Now(), got})
			if alone && len(got.accounts) > 0 {
				c.last[session] = got.accounts[len(got.accounts)-1]
			}
		}
		if beside {
			both.Go(func() { call(fmt.Sprintf("title-%d-%d.", lane, i), false) })
		}
		call(fmt.Sprintf("call-%d-%d.", lane, i), !beside)
		both.Wait()
	}
}

// told is a block that a host has heard of.
type told struct {
	seat, fault string
	heard       time.Time
	process     int // -1: in every process
}

// judgeAll holds every call to DESIGN 4 and 5, each by what had happened when it
// ended.
func (c *crowd) judgeAll() {
	calls := c.sim.Calls()
	tries := map[string][]sim.Call{} // of each call, in order
	for _, s := range calls {
		for _, e := range c.ended {
			if s.Kind == sim.KindResponses && strings.Contains(s.Body, `"`+e.name+`"`) {
				tries[e.name] = append(tries[e.name], s)
			}
		}
		if s.Fault != "" {
			c.figures.faults[s.Fault]++
		}
	}
	var blocks []told
	for _, e := range c.ended {
		for i, s := range tries[e.name] {
			if i < len(e.got.attempts) && (slices.Contains(blockingFaults, s.Fault) || s.Fault == "" && s.Status == 429) {
				blocks = append(blocks, told{s.Seat, s.Fault, e.got.attempts[i].heard, -1})
			}
			if s.Fault == "limit-after-output" { // learned when the call has ended, before its process prepares another
				blocks = append(blocks, told{s.Seat, s.Fault, e.at, e.process})
			}
		}
	}
	c.blocks = len(blocks)
	c.last = map[string]string{}
	for _, e := range c.ended {
		c.struck = map[string][]string{}
		for _, s := range calls {
			if s.Fault != "" && s.Time.Before(e.at) {
				c.struck[s.Seat] = append(c.struck[s.Seat], s.Fault)
			}
		}
		c.judgeOne(e, tries[e.name], blocks)
	}
	c.struck = map[string][]string{}
	for _, s := range calls {
		c.struck[s.Seat] = append(c.struck[s.Seat], s.Fault)
	}
}

func (c *crowd) judgeOne(e crowdCall, tries []sim.Call, blocks []told) {
	complain := c.complaint(e.name, e.session, e.got, tries)
	if len(tries) != len(e.got.attempts) {
		complain("%d attempts, and the backend saw %d", len(e.got.attempts), len(tries))
		return
	}
	for i, a := range e.got.attempts {
		for _, b := range blocks {
			if b.seat == a.account && b.heard.Before(a.asked) && (b.process < 0 || b.process == e.process) {
				complain("attempt %d went to %s, %v after the verdict on its %q was out", i+1, a.account, a.asked.Sub(b.heard), b.fault)
			}
		}
	}
	c.judgeTries(e.got, tries, complain)
	if e.alone {
		c.judgeAffinity(e.session, e.got, complain)
	}
}
