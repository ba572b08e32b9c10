package response

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// ParseUsage reads the answer of GET /wham/usage: the plan and every window, in
// the order primary, secondary, code review, then the additional limits as they
// come, each by its limit_name (FACTS-upstream 5). Credits are not read. A body
// that is no usage answer is an error.
func ParseUsage(body []byte, now time.Time) (plan string, windows []Window, err error) {
	if !json.Valid(body) {
		return "", nil, errors.New("usage answer is not JSON")
	}
	root := gjson.ParseBytes(body)
	planType, rateLimit := root.Get("plan_type"), root.Get("rate_limit")
	if !root.IsObject() || (!planType.Exists() && !rateLimit.Exists()) {
		return "", nil, errors.New("usage answer has neither plan_type nor rate_limit")
	}
	windows = appendLimit(windows, "", rateLimit, now)
	windows = appendLimit(windows, windowCodeReview, root.Get("code_review_rate_limit"), now)
	if additional := root.Get("additional_rate_limits"); additional.IsArray() {
		additional.ForEach(func(_, limit gjson.Result) bool {
			windows = appendLimit(windows, additionalName(limit, windows), limit.Get("rate_limit"), now)
			return true
		})
	}
	return strings.ToLower(strings.TrimSpace(planType.String())), windows, nil
}

// additionalName is the limit's name, made different from those already taken.
func additionalName(limit gjson.Result, taken []Window) string {
	name := limitName(limit.Get("limit_name").String())
	if name == "" {
		name = limitName(limit.Get("metered_feature").String())
	}
	if name == "" {
		name = "additional"
	}
	unique := name
	for n := 2; slices.ContainsFunc(taken, func(w Window) bool {
		return w.Name == unique || w.Name == windowName(unique, true)
	}); n++ {
		unique = name + "_" + strconv.Itoa(n)
	}
	return unique
}

func appendLimit(windows []Window, limit string, rateLimit gjson.Result, now time.Time) []Window {
	if w, ok := usageWindow(rateLimit.Get("primary_window"), now); ok {
		w.Name = windowName(limit, false)
		windows = append(windows, w)
	}
	if w, ok := usageWindow(rateLimit.Get("secondary_window"), now); ok {
		w.Name = windowName(limit, true)
		windows = append(windows, w)
	}
	return windows
}

func usageWindow(window gjson.Result, now time.Time) (Window, bool) {
	w, ok := jsonWindow(window, now)
	if seconds, isNumber := number(window.Get("limit_window_seconds").String()); isNumber {
		w.WindowMinutes = wholeMinutes(math.Ceil(seconds / 60))
	}
	return w, ok
}

// jsonWindow reads what the usage endpoint and the rate limit events share: all
// but name and length.
func jsonWindow(window gjson.Result, now time.Time) (Window, bool) {
	used, ok := number(window.Get("used_percent").String())
	if !ok || used < 0 {
		return Window{}, false
	}
	after := window.Get("reset_after_seconds").String()
	if after == "" {
		after = window.Get("resets_in_seconds").String()
	}
	return Window{UsedPercent: used, ResetAt: windowReset(window.Get("reset_at").String(), after, now)}, true
}

// readRateLimits reads an event of type codex.rate_limits, as Codex's own client
// does: {plan_type, metered_limit_name, limit_name, rate_limits:{primary,
// secondary}{used_percent, window_minutes, reset_at}}. Without a limit name the
// windows are the account's own.
func readRateLimits(data []byte, headers []Header, now time.Time) (windows []Window, plan string) {
	root := gjson.ParseBytes(data)
	limit := eventLimit(root.Get("metered_limit_name").String(), root.Get("limit_name").String(), headers)
	for _, key := range [...]string{windowPrimary, windowSecondary} {
		value := root.Get("rate_limits." + key)
		w, ok := jsonWindow(value, now)
		if !ok {
			continue
		}
		if minutes, isNumber := number(value.Get("window_minutes").String()); isNumber {
			w.WindowMinutes = wholeMinutes(minutes)
		}
		w.Name = windowName(limit, key == windowSecondary)
		windows = append(windows, w)
	}
	return windows, strings.ToLower(strings.TrimSpace(root.Get("plan_type").String()))
}

// eventLimit names an event's limit as the headers of the same answer name it,
// "" for the account's own.
func eventLimit(id, name string, headers []Header) string {
	if id == "" {
		id = name
	}
	if limitKey(id) == "" || sameLimit(id, "codex") {
		return ""
	}
	if shown := displayName(headers, strings.TrimPrefix(limitKey(id), "codex-")); !sameLimit(shown, id) {
		return shown
	}
	if name != "" {
		return limitName(name)
	}
	return limitName(id)
}

// readUsage reads a response's usage object, nil when it holds no token counts.
func readUsage(usage gjson.Result) *Usage {
	in, out := usage.Get("input_tokens"), usage.Get("output_tokens")
	if !in.Exists() && !out.Exists() {
		return nil
	}
	return &Usage{
		InputTokens:     max(0, in.Int()),
		CachedTokens:    max(0, usage.Get("input_tokens_details.cached_tokens").Int()),
		OutputTokens:    max(0, out.Int()),
		ReasoningTokens: max(0, usage.Get("output_tokens_details.reasoning_tokens").Int()),
	}
}
