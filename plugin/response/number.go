package response

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	// maxWait is the longest believable distance of a reset: a month and some
	// days. What lies beyond is absurd and ignored (FACTS-upstream 4).
	maxWait = 35 * 24 * time.Hour
	// secondsBelow separates epoch seconds from epoch milliseconds.
	secondsBelow = 1e10
	// latestEpoch keeps absurd numbers out of time.UnixMilli (the year 5138).
	latestEpoch = 1e14
)

// number reads a finite number; NaN and infinities are no numbers here.
func number(text string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// firstOf is the first of the values that fetch joins with commas when a header
// is repeated: hosts read "60, 60" as 60.
func firstOf(text string) string {
	if end := strings.IndexAny(text, ",;"); end > 0 && text[end-1] >= '0' && text[end-1] <= '9' {
		return text[:end]
	}
	return text
}

// epoch reads a timestamp in seconds or milliseconds, zero when text is none.
// The time may be past.
func epoch(text string) time.Time {
	v, ok := number(text)
	if !ok || v <= 0 || v > latestEpoch {
		return time.Time{}
	}
	if v < secondsBelow {
		v *= 1000
	}
	return time.UnixMilli(int64(v)).UTC()
}

// httpDate reads the three date forms of HTTP.
func httpDate(text string) (time.Time, bool) {
	for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// The functions below read one kind of hint each and give the moment it means,
// zero when it is none, zero, negative, past or absurd.

func atEpoch(text string, now time.Time) time.Time {
	t := epoch(text)
	if t.IsZero() && text != "" {
		if parsed, err := time.Parse(time.RFC3339, strings.TrimSpace(text)); err == nil {
			t = parsed.UTC()
		}
	}
	return believable(t, now)
}

func inSeconds(text string, now time.Time) time.Time {
	if v, ok := number(firstOf(text)); ok {
		return after(v, time.Second, now)
	}
	if t, ok := httpDate(text); ok {
		return believable(t, now)
	}
	return time.Time{}
}

func inMilliseconds(text string, now time.Time) time.Time {
	v, _ := number(firstOf(text))
	return after(v, time.Millisecond, now)
}

// after is now plus v units. The comparison comes before the product, which
// could overflow.
func after(v float64, unit time.Duration, now time.Time) time.Time {
	if v <= 0 || v > float64(maxWait/unit) {
		return time.Time{}
	}
	return believable(now.Add(time.Duration(v*float64(unit))).UTC(), now)
}

func believable(t, now time.Time) time.Time {
	if t.After(now) && t.Sub(now) <= maxWait {
		return t
	}
	return time.Time{}
}
