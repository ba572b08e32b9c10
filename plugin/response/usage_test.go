package response

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseUsage(t *testing.T) {
	plan, windows, err := ParseUsage([]byte(`{
		"plan_type": "Pro",
		"rate_limit": {"allowed": true, "limit_reached": false,
			"primary_window": {"used_percent": 100, "limit_window_seconds": 18000, "reset_at": 1800000060},
			"secondary_window": {"used_percent": "36.5", "limit_window_seconds": 604800, "reset_after_seconds": 3600}},
		"code_review_rate_limit": {"primary_window": {"used_percent": 1, "limit_window_seconds": 604800}, "secondary_window": null},
		"additional_rate_limits": [
			{"limit_name": "batch_jobs", "metered_feature": "f", "rate_limit": {
				"primary_window": {"used_percent": 25, "limit_window_seconds": 3599, "reset_at": 1800000060000},
				"secondary_window": {"used_percent": 26, "limit_window_seconds": 86400}}},
			{"limit_name": "batch_jobs", "rate_limit": {"primary_window": {"used_percent": 27}}},
			{"limit_name": "", "metered_feature": "codex_fox", "rate_limit": {"secondary_window": {"used_percent": 28}}},
			{"limit_name": "primary", "rate_limit": {"primary_window": {"used_percent": 100, "limit_window_seconds": 60}}},
			{"limit_name": "a\u001b[31mb", "rate_limit": {"primary_window": {"used_percent": 29}}},
			{"rate_limit": {"primary_window": {"used_percent": 30}}},
			{"limit_name": "empty", "rate_limit": null}, 7],
		"credits": {"has_credits": true, "unlimited": false, "balance": "9"}}`), now)
	if err != nil || plan != "pro" {
		t.Fatalf("plan %q, error %v", plan, err)
	}
	want := []Window{
		{Name: "primary", UsedPercent: 100, WindowMinutes: 300, ResetAt: in("1m")},
		{Name: "secondary", UsedPercent: 36.5, WindowMinutes: 10080, ResetAt: in("1h")},
		{Name: "code_review", UsedPercent: 1, WindowMinutes: 10080},
		{Name: "batch_jobs", UsedPercent: 25, WindowMinutes: 60, ResetAt: in("1m")},
		{Name: "batch_jobs_secondary", UsedPercent: 26, WindowMinutes: 1440},
		{Name: "batch_jobs_2", UsedPercent: 27},
		{Name: "codex_fox_secondary", UsedPercent: 28},
		{Name: "primary_limit", UsedPercent: 100, WindowMinutes: 1},
		{Name: "a[31mb", UsedPercent: 29},
		{Name: "additional", UsedPercent: 30},
	}
	if diff := cmp.Diff(want, windows); diff != "" {
		t.Error(diff)
	}
}

func TestParseUsageRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "HTML": "<html>", "cut": `{"plan_type":"plus","rate_limit":{`, "a list": `[]`,
		"an error": `{"detail":"Unauthorized"}`, "a text": `"plan_type"`,
	} {
		t.Run(name, func(t *testing.T) {
			if plan, windows, err := ParseUsage([]byte(body), now); err == nil || plan != "" || windows != nil {
				t.Errorf("plan %q, windows %v, error %v", plan, windows, err)
			}
		})
	}
	if plan, windows, err := ParseUsage([]byte(`{"plan_type":"free","rate_limit":null}`), now); plan != "free" || windows != nil || err != nil {
		t.Errorf("a plan without limits: %q, %v, %v", plan, windows, err)
	}
}
