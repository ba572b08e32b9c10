package response

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addSeeds(f *testing.F) {
	for _, seed := range []string{
		"", created + delta, created + rates + limited, completed, done(`{"output":[]}`), item(`"output_index":0,`, "a") + done(`{}`),
		`{"error":{"code":"usage_limit_reached","resets_at":1800000090}}`, `{"detail":"The 'gpt-9' model is not supported when using Codex with a ChatGPT account."}`,
		`{"plan_type":"team","rate_limit":{"primary_window":{"used_percent":13,"limit_window_seconds":18000,"reset_at":1800000090}},"additional_rate_limits":[{"limit_name":"x","rate_limit":{"primary_window":{"used_percent":1}}}]}`,
		"<html>", "\xef\xbb\xbfevent: error\r\ndata:{", "data: [DONE]\n\n",
	} {
		f.Add([]byte(seed))
	}
}

// checkOutcome holds what no outcome may break.
func checkOutcome(t *testing.T, out Outcome) {
	t.Helper()
	waits := out.Class == ClassQuota || out.Class == ClassRateLimit
	if waits && out.Until.IsZero() || !waits && out.Class != ClassOverload && !out.Until.IsZero() {
		t.Errorf("class %s with until %v", out.Class, out.Until)
	}
	if !out.Until.IsZero() && (!out.Until.After(now) || out.Until.Sub(now) > 35*24*time.Hour) {
		t.Errorf("until %v is past or absurd", out.Until)
	}
	if out.Told && out.Until.IsZero() || !slices.Contains(classes, out.Class) {
		t.Errorf("outcome %+v", out)
	}
}

var classes = []Class{ClassQuota, ClassRateLimit, ClassOverload, ClassEntitlement, ClassWorkspace, ClassModel, ClassAuth,
	ClassAuthRevoked, ClassEncryptedContent, ClassOther, ClassMore, ClassOutput}

func FuzzClassify(f *testing.F) {
	f.Add(429, "x-codex-primary-used-percent", "100", "retry-after", "9", []byte(`{"error":{}}`))
	f.Add(503, "x-codex-fox-secondary-reset-at", "1e300", "x-codex-active-limit", "codex_fox", []byte("data: {}"))
	f.Fuzz(func(t *testing.T, status int, name1, value1, name2, value2 string, body []byte) {
		headers := []Header{{name1, value1}, {name2, value2}}
		checkOutcome(t, Classify(status, headers, body, now))
		DropHeaders(headers, now, time.Minute)
	})
}

func FuzzHead(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, stream []byte) {
		var whole, bytewise Head
		whole.Feed(stream)
		for i := range stream {
			bytewise.Feed(stream[i : i+1])
		}
		out := whole.Outcome(now, 200, nil)
		checkOutcome(t, out)
		if diff := cmp.Diff(out, bytewise.Outcome(now, 200, nil)); diff != "" {
			t.Errorf("byte by byte it is another: %s", diff)
		}
	})
}

func FuzzParseTail(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		tail := ParseTail(data, 200, nil, now)
		if tail.Failure != nil {
			checkOutcome(t, *tail.Failure)
		}
		if tail.Terminal == "" && (tail.Failure != nil || tail.Usage != nil) {
			t.Errorf("a cut stream that tells %+v", tail)
		}
	})
}

func FuzzParseUsage(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		_, windows, err := ParseUsage(body, now)
		if err != nil && windows != nil {
			t.Error("windows beside an error")
		}
		seen := map[string]bool{}
		for _, w := range windows {
			if w.Name == "" || seen[w.Name] || w.WindowMinutes < 0 || !(w.UsedPercent >= 0) {
				t.Errorf("windows %+v", windows)
			}
			seen[w.Name] = true
		}
	})
}

func FuzzCollapse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, sse []byte) {
		got := Collapse(sse, now)
		if !json.Valid(got.Body) {
			t.Errorf("status %d with a body that is not JSON: %q", got.Status, got.Body)
		}
		if !slices.Contains([]int{200, 400, 429, 502, 503}, got.Status) {
			t.Errorf("status %d", got.Status)
		}
	})
}
