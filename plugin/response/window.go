package response

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Names of the windows that are no named limit (FACTS-upstream 5).
const (
	windowPrimary    = "primary"
	windowSecondary  = "secondary"
	windowCodeReview = "code_review"
)

const (
	minutesPerDay = 24 * 60
	// A month has 28 to 31 days; all of them are shown as "monthly".
	shortestMonth = 28 * minutesPerDay
	longestMonth  = 31 * minutesPerDay
	week          = 7 * minutesPerDay
)

// AccountWide reports whether the window of this name concerns every model of
// the account: primary and secondary alone (FACTS-upstream 5).
func AccountWide(name string) bool {
	return name == windowPrimary || name == windowSecondary
}

// Exhausted reports whether a window's quota is gone: 100 % or more, enabled on
// the plan, and its reset not passed. A window without a known reset counts.
func Exhausted(w Window, now time.Time) bool {
	return w.UsedPercent >= 100 && w.WindowMinutes > 0 && (w.ResetAt.IsZero() || w.ResetAt.After(now))
}

// ExhaustedUntil gives the latest reset among the exhausted account-wide
// windows, and that window's name. The name is "" when none is exhausted; the
// time alone is zero when one is, but no reset is known.
func ExhaustedUntil(windows []Window, now time.Time) (until time.Time, name string) {
	return latestReset(windows, now, AccountWide)
}

// latestReset is ExhaustedUntil for the windows that concern says count.
func latestReset(windows []Window, now time.Time, concern func(name string) bool) (until time.Time, name string) {
	for _, w := range windows {
		if concern(w.Name) && Exhausted(w, now) && (name == "" || w.ResetAt.After(until)) {
			until, name = w.ResetAt, w.Name
		}
	}
	return until, name
}

// Label names a window by its length: "5h", "weekly", "monthly" for about a
// month, else the length in its largest whole unit ("90m", "1h", "3d"). A window
// of 0 minutes is "disabled" (FACTS-upstream 5).
func Label(minutes int) string {
	switch {
	case minutes <= 0:
		return "disabled"
	case minutes == week:
		return "weekly"
	case minutes >= shortestMonth && minutes <= longestMonth:
		return "monthly"
	case minutes%minutesPerDay == 0:
		return strconv.Itoa(minutes/minutesPerDay) + "d"
	case minutes%60 == 0:
		return strconv.Itoa(minutes/60) + "h"
	default:
		return strconv.Itoa(minutes) + "m"
	}
}

// windowName names one of a limit's two windows. The account's own limit is "".
// A named limit's first window has the limit's name, its second one
// "_secondary" behind it, so that neither hides the other.
func windowName(limit string, secondary bool) string {
	switch {
	case limit == "" && secondary:
		return windowSecondary
	case limit == "":
		return windowPrimary
	case secondary:
		return limit + "_" + windowSecondary
	default:
		return limit
	}
}

// limitName makes an upstream name safe to keep and to show: printable, short,
// and never one that would pass for an account-wide window.
func limitName(name string) string {
	const longest = 64
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.TrimSpace(name))
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	switch {
	case AccountWide(name):
		return name + "_limit"
	case sameLimit(name, windowCodeReview):
		return windowCodeReview
	}
	return name
}

// sameLimit compares a limit's id, header and display forms: "codex_fox" in
// x-codex-active-limit is "fox" in the header's name, and headers write "-" for
// "_".
func sameLimit(a, b string) bool {
	return limitKey(a) == limitKey(b)
}

func limitKey(name string) string {
	key := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
	return strings.TrimPrefix(key, "codex-")
}

// compareWindows orders primary, secondary, code review, then by name.
func compareWindows(a, b Window) int {
	if d := windowRank(a.Name) - windowRank(b.Name); d != 0 {
		return d
	}
	return strings.Compare(a.Name, b.Name)
}

func windowRank(name string) int {
	switch name {
	case windowPrimary:
		return 0
	case windowSecondary:
		return 1
	case windowCodeReview:
		return 2
	default:
		return 3
	}
}

// mergeWindows gives base with the windows of newer in place of their
// namesakes. Neither argument is changed.
func mergeWindows(base, newer []Window) []Window {
	if len(newer) == 0 {
		return base
	}
	merged := append([]Window(nil), base...)
next:
	for _, w := range newer {
		for i := range merged {
			if merged[i].Name == w.Name {
				merged[i] = w
				continue next
			}
		}
		merged = append(merged, w)
	}
	return merged
}
