package response

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultWait is for a limit that does not say when it ends (FACTS-upstream 4).
const defaultWait = time.Minute

// bodyHints are the fields of an error that tell its end, first that applies.
var bodyHints = [...]struct {
	key  string
	read func(text string, now time.Time) time.Time
}{
	{"resets_at", atEpoch},
	{"reset_at", atEpoch},
	{"resets_in_seconds", inSeconds},
	{"retry_after_ms", inMilliseconds},
	{"retry_after", inSeconds},
}

// headerHints are the headers that tell it, after the body.
var headerHints = [...]struct {
	name string
	read func(text string, now time.Time) time.Time
}{
	{"retry-after-ms", inMilliseconds},
	{"retry-after", inSeconds},
	{"x-ratelimit-reset", atEpoch},
}

// hint is the end that the body or the headers tell, zero when neither does.
func (a *answer) hint(r *refusal) time.Time {
	for _, hint := range bodyHints {
		for _, object := range r.hints {
			if t := hint.read(object.Get(hint.key).String(), a.now); !t.IsZero() {
				return t
			}
		}
	}
	for _, hint := range headerHints {
		if t := hint.read(header(a.headers, hint.name), a.now); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// setWait sets out's Until, Told and Limit by the order of FACTS-upstream 4:
// exhausted windows, body, headers, a minute. An overload has nothing to do with
// the windows and no default: without a hint its Until stays zero.
func (a *answer) setWait(out *Outcome, r *refusal) {
	switch out.Class {
	case ClassOverload:
		out.Until = a.hint(r)
		out.Told = !out.Until.IsZero()
		return
	case ClassQuota, ClassRateLimit:
	default:
		return
	}
	out.Until, out.Limit = latestReset(a.windows, a.now, a.concerns)
	if out.Limit == "" && out.Class == ClassQuota {
		out.Limit = a.active
	}
	if out.Until.IsZero() {
		out.Until = a.hint(r)
	}
	if out.Told = !out.Until.IsZero(); !out.Told {
		out.Until = a.now.Add(defaultWait).UTC()
	}
}

// concerns reports whether a window can have refused this call: the account-wide
// ones, and the named limit that the answer says is active (FACTS-upstream 5).
func (a *answer) concerns(window string) bool {
	return AccountWide(window) ||
		a.active != "" && (window == a.active || window == windowName(a.active, true))
}

// DropHeaders names the retry headers that ask for a longer delay than longest.
// OpenCode obeys them without bound, and would sleep for days (FACTS-hosts 1).
// Names are given as they came, each once.
func DropHeaders(headers []Header, now time.Time, longest time.Duration) []string {
	var drop []string
	for _, h := range headers {
		var unit time.Duration
		switch {
		case strings.EqualFold(h[0], "retry-after"):
			unit = time.Second
		case strings.EqualFold(h[0], "retry-after-ms"):
			unit = time.Millisecond
		default:
			continue
		}
		if delayExceeds(h[1], unit, now, longest) && !slices.Contains(drop, h[0]) {
			drop = append(drop, h[0])
		}
	}
	return drop
}

// delayExceeds compares numbers of units, because a hint may be too large for a
// Duration, or even for a float: then ParseFloat gives infinity and an error.
func delayExceeds(hint string, unit time.Duration, now time.Time, longest time.Duration) bool {
	units, err := strconv.ParseFloat(strings.TrimSpace(firstOf(hint)), 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return units > float64(longest)/float64(unit)
	}
	t, isDate := httpDate(hint)
	return isDate && t.Sub(now) > longest
}
