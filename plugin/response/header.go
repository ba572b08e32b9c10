package response

import (
	"slices"
	"strings"
	"time"
)

// quotaPrefix begins every quota header: x-codex-primary-used-percent,
// x-codex-<limit>-secondary-reset-at, x-codex-plan-type (FACTS-upstream 5).
const quotaPrefix = "x-codex-"

// limitNameSuffix ends the header with a named limit's display name.
const limitNameSuffix = "-limit-name"

// quotaFields are the values of one window; each is a header's ending.
var quotaFields = [...]string{"-used-percent", "-window-minutes", "-reset-at", "-reset-after-seconds"}

const (
	fieldUsed = iota
	fieldMinutes
	fieldResetAt
	fieldResetAfter
)

// quotaHeader is the headers of one window, unread. limit is the part of the
// header's name that names the limit, "" for the account's own.
type quotaHeader struct {
	limit     string
	secondary bool
	fields    [len(quotaFields)]string
}

// headerLimits is what an answer's headers tell of the account's limits.
type headerLimits struct {
	windows []Window
	plan    string
	active  string // the named limit that metered the call, as its window is named
}

// HeaderWindows reads the quota windows of an answer's headers: primary,
// secondary, then the named limits by name. A window needs a used-percent; its
// minutes are 0 when disabled or not told. ResetAt may be past.
func HeaderWindows(headers []Header, now time.Time) []Window {
	return readLimits(headers, now).windows
}

func readLimits(headers []Header, now time.Time) headerLimits {
	var limits headerLimits
	var room [8]quotaHeader // more than seen so far, so that 200s allocate little
	found := room[:0]
	active := ""
	for i := range headers {
		name, value := headers[i][0], headers[i][1]
		if !hasPrefixFold(name, quotaPrefix) {
			continue
		}
		switch rest := name[len(quotaPrefix):]; {
		case strings.EqualFold(rest, "plan-type"):
			limits.plan = strings.ToLower(strings.TrimSpace(value))
		case strings.EqualFold(rest, "active-limit"):
			active = strings.TrimSpace(value)
		default:
			found = addQuotaField(found, rest, value)
		}
	}
	for _, h := range found {
		if w, ok := h.window(headers, now); ok && !copiesActive(h, found, active) {
			if limits.windows == nil {
				limits.windows = make([]Window, 0, len(found))
			}
			limits.windows = append(limits.windows, w)
		}
	}
	slices.SortStableFunc(limits.windows, compareWindows)
	limits.active = activeLimit(active, headers, found)
	return limits
}

// addQuotaField files one header value under its window. rest is the header's
// name behind the prefix.
func addQuotaField(found []quotaHeader, rest, value string) []quotaHeader {
	for field, suffix := range quotaFields {
		if !hasSuffixFold(rest, suffix) {
			continue
		}
		limit, secondary, ok := splitWindow(rest[:len(rest)-len(suffix)])
		if !ok {
			return found
		}
		for i := range found {
			if found[i].secondary == secondary && strings.EqualFold(found[i].limit, limit) {
				found[i].fields[field] = value
				return found
			}
		}
		h := quotaHeader{limit: limit, secondary: secondary}
		h.fields[field] = value
		return append(found, h)
	}
	return found
}

// splitWindow splits "primary" or "<limit>-secondary".
func splitWindow(name string) (limit string, secondary, ok bool) {
	for _, window := range [...]string{windowPrimary, windowSecondary} {
		if !hasSuffixFold(name, window) {
			continue
		}
		limit = name[:len(name)-len(window)]
		secondary = window == windowSecondary
		if limit == "" {
			return "", secondary, true
		}
		if limit, ok = strings.CutSuffix(limit, "-"); ok && limit != "" {
			return limit, secondary, true
		}
	}
	return "", false, false
}

func (h quotaHeader) window(headers []Header, now time.Time) (Window, bool) {
	used, ok := number(h.fields[fieldUsed])
	if !ok || used < 0 {
		return Window{}, false
	}
	w := Window{
		UsedPercent: used,
		ResetAt:     windowReset(h.fields[fieldResetAt], h.fields[fieldResetAfter], now),
	}
	if minutes, ok := number(h.fields[fieldMinutes]); ok {
		w.WindowMinutes = wholeMinutes(minutes)
	}
	limit := h.limit
	if limit != "" {
		limit = displayName(headers, limit)
	}
	w.Name = windowName(limit, h.secondary)
	return w, true
}

// displayName is a named limit's x-codex-<limit>-limit-name, by which the usage
// endpoint calls it too, else the name in the header itself.
func displayName(headers []Header, limit string) string {
	for i := range headers {
		name := headers[i][0]
		if len(name) == len(quotaPrefix)+len(limit)+len(limitNameSuffix) && hasSuffixFold(name, limitNameSuffix) &&
			hasPrefixFold(name, quotaPrefix) && hasPrefixFold(name[len(quotaPrefix):], limit) {
			if shown := limitName(headers[i][1]); shown != "" {
				return shown
			}
		}
	}
	return limitName(strings.ToLower(limit))
}

// copiesActive reports whether h, an account-wide window, repeats the window of
// the named limit that the answer names active. The backend then fills the plain
// x-codex-primary-* headers with the active limit's numbers: taken for the
// account's own, one model's limit would block every model.
func copiesActive(h quotaHeader, found []quotaHeader, active string) bool {
	if h.limit != "" || active == "" {
		return false
	}
	for _, other := range found {
		if other.limit != "" && other.secondary == h.secondary && other.fields == h.fields && sameLimit(other.limit, active) {
			return true
		}
	}
	return false
}

// activeLimit is the name of the limit that x-codex-active-limit names, "" when
// it is the account's own. "premium" was seen on every paid plan beside plain
// account-wide windows.
func activeLimit(active string, headers []Header, found []quotaHeader) string {
	if active == "" {
		return ""
	}
	for _, h := range found {
		if h.limit == "" {
			continue
		}
		if name := displayName(headers, h.limit); sameLimit(h.limit, active) || sameLimit(name, active) {
			return name
		}
	}
	switch limitKey(active) {
	case "codex", "premium", windowPrimary, windowSecondary:
		return ""
	}
	return limitName(active)
}

// windowReset prefers the absolute time; a past one yields to a distance that
// still lies ahead, which a skewed clock of ours does not touch. A time that
// stays past is kept: it says that the window is over.
func windowReset(at, afterSeconds string, now time.Time) time.Time {
	if t := atEpoch(at, now); !t.IsZero() {
		return t
	}
	if t := inSeconds(afterSeconds, now); !t.IsZero() {
		return t
	}
	if t := epoch(at); !t.After(now) {
		return t
	}
	return time.Time{}
}

// wholeMinutes is a window's length, 0 when it is negative or absurd.
func wholeMinutes(minutes float64) int {
	const tenYears = 10 * 366 * minutesPerDay
	if minutes < 0 || minutes > tenYears {
		return 0
	}
	return int(minutes)
}

// header is the first value of a header, compared without case.
func header(headers []Header, name string) string {
	for i := range headers {
		if len(headers[i][0]) == len(name) && strings.EqualFold(headers[i][0], name) {
			return headers[i][1]
		}
	}
	return ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
