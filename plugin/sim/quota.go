package sim

import (
	"fmt"
	"strconv"
	"time"
)

// The account-wide windows; any other name is a named limit (FACTS-upstream 5).
const (
	Primary   = "primary"
	Secondary = "secondary"
)

// Window is a seat's quota window. At 100 % and over, calls are refused until
// ResetAt; then it starts anew. 0 minutes: disabled on the plan.
type Window struct {
	Name        string
	Model       string // of a named limit: the model it concerns
	UsedPercent float64
	Minutes     int
	ResetAt     time.Time // zero: a whole window from now

	told bool // a call was refused for it
}

// NoteLimited is the note of a call to a seat that was told of its limit before.
const NoteLimited = "sent although this limit was answered before"

func (w Window) length() time.Duration { return time.Duration(w.Minutes) * time.Minute }

func (w Window) covers(model string) bool {
	return w.Name == Primary || w.Name == Secondary || w.Model == model
}

// SetWindow puts a window in the place of the one of its name, or adds it: a
// limit that is spent, or an early reset.
func (seat *Seat) SetWindow(w Window) {
	seat.s.mu.Lock()
	defer seat.s.mu.Unlock()
	seat.setWindow(w)
}

func (seat *Seat) setWindow(w Window) {
	if w.ResetAt.IsZero() {
		w.ResetAt = seat.s.opts.Now().Add(w.length())
	}
	for i := range seat.Windows {
		if seat.Windows[i].Name == w.Name {
			seat.Windows[i] = w
			return
		}
	}
	seat.Windows = append(seat.Windows, w)
}

// Used is how much of a window is used now, in percent.
func (seat *Seat) Used(window string) float64 {
	seat.s.mu.Lock()
	defer seat.s.mu.Unlock()
	seat.renew()
	for _, w := range seat.Windows {
		if w.Name == window {
			return w.UsedPercent
		}
	}
	return 0
}

// renew starts the windows anew whose reset has passed. The lock is held.
func (seat *Seat) renew() {
	now := seat.s.opts.Now()
	for i := range seat.Windows {
		if w := &seat.Windows[i]; w.Minutes > 0 && !now.Before(w.ResetAt) {
			w.UsedPercent, w.told, w.ResetAt = 0, false, now.Add(w.length())
		}
	}
}

// exhausted gives the spent window that binds a call longest, nil when none does.
// The lock is held.
func (seat *Seat) exhausted(model string) *Window {
	seat.renew()
	var binding *Window
	for i := range seat.Windows {
		w := &seat.Windows[i]
		if w.Minutes > 0 && w.UsedPercent >= 100 && w.covers(model) && (binding == nil || w.ResetAt.After(binding.ResetAt)) {
			binding = w
		}
	}
	return binding
}

// charge books one answered call. The lock is held.
func (seat *Seat) charge(model string) {
	for i := range seat.Windows {
		if w := &seat.Windows[i]; w.covers(model) {
			w.UsedPercent = min(100, w.UsedPercent+seat.Cost)
		}
	}
}

// quotaHeaders are on every answer of the backend to a known seat. What a fault
// has told already stays.
func (x *exchange) quotaHeaders(a answer) answer {
	if a.header[headerPlan] != "" {
		return a
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.seat.renew()
	now := x.s.opts.Now()
	a = a.with(headerPlan, x.seat.Plan)
	for _, w := range x.seat.Windows {
		prefix := "X-Codex-" + w.Name + "-"
		if w.Name != Primary && w.Name != Secondary {
			prefix += "Primary-"
			if w.covers(x.call.Model) {
				a = a.with("X-Codex-Active-Limit", w.Name)
			}
		}
		a = a.with(prefix+"Used-Percent", strconv.FormatFloat(w.UsedPercent, 'f', -1, 64))
		a = a.with(prefix+"Window-Minutes", strconv.Itoa(w.Minutes))
		a = a.with(prefix+"Reset-At", strconv.FormatInt(w.ResetAt.Unix(), 10))
		a = a.with(prefix+"Reset-After-Seconds", strconv.FormatInt(secondsUntil(now, w.ResetAt), 10))
	}
	return a
}

// secondsUntil rounds up, so that who waits that long is not early.
func secondsUntil(now, t time.Time) int64 {
	return max(0, int64((t.Sub(now)+time.Second-1)/time.Second))
}

// limitError is the backend's body for a spent window.
type limitError struct {
	Type            string `json:"type"`
	Code            string `json:"code,omitempty"`
	Message         string `json:"message"`
	Plan            string `json:"plan_type"`
	ResetsAt        int64  `json:"resets_at"`
	ResetsInSeconds int64  `json:"resets_in_seconds"`
}

// limited is the refusal of a call by the spent window that binds it.
func (x *exchange) limited(status int) (answer, bool) {
	e, ok := x.limit()
	if !ok {
		return answer{}, false
	}
	return answer{status: status, body: fmt.Sprintf(`{"error":%s}`, toJSON(e))}, true
}

func (x *exchange) limit() (limitError, bool) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	w := x.seat.exhausted(x.call.Model)
	if w == nil {
		return limitError{}, false
	}
	if w.told {
		x.call.Notes = append(x.call.Notes, NoteLimited)
	}
	w.told = true
	return limitError{
		Type: "usage_limit_reached", Message: "The usage limit has been reached", Plan: x.seat.Plan,
		ResetsAt: w.ResetAt.Unix(), ResetsInSeconds: secondsUntil(x.s.opts.Now(), w.ResetAt),
	}, true
}

type usageWindow struct {
	UsedPercent   float64 `json:"used_percent"`
	WindowSeconds int     `json:"limit_window_seconds"`
	ResetAfter    int64   `json:"reset_after_seconds"`
	ResetAt       int64   `json:"reset_at"`
}

type usageLimit struct {
	Allowed      bool         `json:"allowed"`
	LimitReached bool         `json:"limit_reached"`
	Primary      *usageWindow `json:"primary_window"`
	Secondary    *usageWindow `json:"secondary_window"`
}

type namedUsage struct {
	Name    string     `json:"limit_name"`
	Feature string     `json:"metered_feature"`
	Limit   usageLimit `json:"rate_limit"`
}

type usageCredits struct {
	Has       bool   `json:"has_credits"`
	Unlimited bool   `json:"unlimited"`
	Balance   string `json:"balance"`
}

type usageReport struct {
	Plan       string       `json:"plan_type"`
	Limit      usageLimit   `json:"rate_limit"`
	CodeReview *usageLimit  `json:"code_review_rate_limit"`
	Additional []namedUsage `json:"additional_rate_limits"`
	Credits    usageCredits `json:"credits"`
}

// report is the answer of wham/usage. The lock is held.
func (seat *Seat) report() usageReport {
	seat.renew()
	now := seat.s.opts.Now()
	out := usageReport{Plan: seat.Plan, Limit: usageLimit{Allowed: true}, Credits: usageCredits{Balance: "0"}}
	for _, w := range seat.Windows {
		u := &usageWindow{w.UsedPercent, w.Minutes * 60, secondsUntil(now, w.ResetAt), w.ResetAt.Unix()}
		spent := w.Minutes > 0 && w.UsedPercent >= 100
		limit := usageLimit{Allowed: !spent, LimitReached: spent, Primary: u}
		switch w.Name {
		case Primary, Secondary:
			if w.Name == Primary {
				out.Limit.Primary = u
			} else {
				out.Limit.Secondary = u
			}
			out.Limit.LimitReached = out.Limit.LimitReached || spent
			out.Limit.Allowed = !out.Limit.LimitReached
		case "code_review":
			out.CodeReview = &limit
		default:
			out.Additional = append(out.Additional, namedUsage{w.Name, w.Model, limit})
		}
	}
	return out
}
