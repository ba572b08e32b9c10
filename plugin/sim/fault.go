package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that shall go wrong. It strikes calls that pass every check
// and would have been answered; a refused call does not use it up.
type Fault struct {
	Name    string `json:"name"`              // one of Faults
	Seat    string `json:"seat,omitempty"`    // name of the seat it strikes, "": any
	Model   string `json:"model,omitempty"`   // model it strikes, "": any
	Times   int    `json:"times,omitempty"`   // calls it strikes, 0: all
	Seconds int    `json:"seconds,omitempty"` // the wait it tells, 0: its own

	left int
}

// FaultInfo describes a fault that AddFault knows.
type FaultInfo struct {
	Name  string `json:"name"`
	Kinds []Kind `json:"kinds"` // the calls it strikes
	Means string `json:"means"`
}

// faultSpec is a fault and what it does: next gives the answer as it would be.
type faultSpec struct {
	FaultInfo
	strike striker
}

type striker func(x *exchange, f *Fault, next func() answer) answer

// Faults lists every fault by name.
func Faults() []FaultInfo {
	var out []FaultInfo
	for _, f := range faultSpecs() {
		out = append(out, f.FaultInfo)
	}
	return out
}

// AddFault adds a fault after those there are. Of several that fit a call, the
// oldest strikes.
func (s *Server) AddFault(f Fault) error {
	if !slices.ContainsFunc(Faults(), func(i FaultInfo) bool { return i.Name == f.Name }) {
		return fmt.Errorf("unknown fault %q", f.Name)
	}
	if f.Times < 0 || f.Seconds < 0 {
		return fmt.Errorf("fault %q: times and seconds cannot be negative", f.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Seat != "" && !slices.ContainsFunc(s.seats, func(seat *Seat) bool { return seat.Name == f.Seat }) {
		return fmt.Errorf("fault %q: no seat is named %q", f.Name, f.Seat)
	}
	f.left = f.Times
	s.faults = append(s.faults, &f)
	return nil
}

// ClearFaults takes all faults away. What they did to quotas and tokens stays.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// strike gives the answer through the fault that fits this call, if there is one.
func (x *exchange) strike(next func() answer) answer {
	f, spec := x.takeFault()
	if f == nil {
		return next()
	}
	return spec.strike(x, f, next)
}

// takeFault finds the oldest fault for this call and uses it once.
func (x *exchange) takeFault() (*Fault, faultSpec) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if len(x.s.faults) == 0 {
		return nil, faultSpec{}
	}
	specs := faultSpecs()
	for i, f := range x.s.faults {
		spec := specs[slices.IndexFunc(specs, func(s faultSpec) bool { return s.Name == f.Name })]
		if !slices.Contains(spec.Kinds, x.call.Kind) || f.Seat != "" && f.Seat != x.call.Seat || f.Model != "" && f.Model != x.call.Model {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				x.s.faults = slices.Delete(slices.Clone(x.s.faults), i, i+1)
			}
		}
		x.call.Fault = f.Name
		return f, spec
	}
	return nil, faultSpec{}
}

// seconds is the wait that the fault tells, or its own.
func (f *Fault) seconds(own int) int {
	if f.Seconds > 0 {
		return f.Seconds
	}
	return own
}

// spend uses up a window of the caller's seat, until its reset or for the
// fault's seconds.
func (x *exchange) spend(f *Fault, w Window) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	w.UsedPercent = 100
	for _, old := range x.seat.Windows {
		if old.Name == w.Name {
			w.Minutes, w.ResetAt = old.Minutes, old.ResetAt
		}
	}
	if f.Seconds > 0 {
		w.ResetAt = x.s.opts.Now().Add(time.Duration(f.Seconds) * time.Second)
	}
	x.seat.setWindow(w)
}

var (
	weekly   = Window{Name: Secondary, Minutes: 10080}
	fiveHour = Window{Name: Primary, Minutes: 300}
)

// limitWith spends a window and refuses with this status.
func limitWith(status int, windows ...Window) striker {
	return func(x *exchange, f *Fault, next func() answer) answer {
		for _, w := range windows {
			if w.Name != Primary && w.Name != Secondary {
				w.Model = x.call.Model
			}
			x.spend(f, w)
		}
		if a, spent := x.limited(status); spent {
			return a
		}
		return next() // the windows are disabled on this plan
	}
}

// streamLimit spends the weekly window and lets the stream fail with it, at the
// event that from gives. The headers, sent before, do not know it yet.
func streamLimit(from func([]event) int) striker {
	return func(x *exchange, f *Fault, next func() answer) answer {
		a := x.quotaHeaders(next())
		x.spend(f, weekly)
		e, _ := x.limit()
		a.events = failing(a.events, from(a.events), streamError{
			Code: e.Type, Message: e.Message, Type: e.Type, Plan: e.Plan, ResetsAt: e.ResetsAt, ResetsInSeconds: e.ResetsInSeconds,
		})
		return a
	}
}

// beforeOutput is the number of events that come before any output.
func beforeOutput([]event) int { return 2 }

// say answers this, whatever the call was.
func say(a answer) striker {
	return func(*exchange, *Fault, func() answer) answer {
		return a.with("Content-Type", mimeOf(a.body))
	}
}

func mimeOf(body string) string {
	if strings.HasPrefix(body, "<") {
		return "text/html; charset=utf-8"
	}
	return "application/json"
}

// sayWait answers this with the fault's wait in Retry-After.
func sayWait(own int, a answer) striker {
	return func(_ *exchange, f *Fault, _ func() answer) answer {
		return a.with("Retry-After", strconv.Itoa(f.seconds(own)))
	}
}

// refuseToken answers 401 now and to every later use of the tokens that are out.
func refuseToken(a answer) striker {
	return func(x *exchange, _ *Fault, _ func() answer) answer {
		x.seat.RefuseAccess()
		return a
	}
}

// edit changes the answer as it would be.
func edit(change func(x *exchange, a answer) answer) striker {
	return func(x *exchange, _ *Fault, next func() answer) answer { return change(x, next()) }
}

// held waits for Release, then goes on as if nothing had been.
func held(x *exchange, _ *Fault, next func() answer) answer {
	if !x.hold() {
		return answer{}
	}
	return next()
}

func resetConnection(*exchange, *Fault, func() answer) answer { return answer{reset: true} }
