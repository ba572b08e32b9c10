package response

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHeaderWindows(t *testing.T) {
	tests := []struct {
		name    string
		headers []Header
		want    []Window
	}{
		{"none", []Header{{"content-type", "x"}, {"x-codex-plan-type", "plus"}}, nil},
		{"any case, any order", []Header{
			{"X-Codex-Secondary-Reset-At", "1800000600000"}, {"X-CODEX-SECONDARY-USED-PERCENT", "7"},
			{"x-codex-secondary-window-minutes", "10080"}, {"X-Codex-Primary-Used-Percent", " 12.5 "},
		}, []Window{
			{Name: "primary", UsedPercent: 12.5},
			{Name: "secondary", UsedPercent: 7, WindowMinutes: 10080, ResetAt: in("10m")},
		}},
		{"no percentage, no window", []Header{{"x-codex-primary-window-minutes", "300"}, {"x-codex-primary-reset-at", "1800000060"}}, nil},
		{"a percentage that is no number", []Header{{"x-codex-primary-used-percent", "NaN"}}, nil},
		{"a negative percentage", []Header{{"x-codex-primary-used-percent", "-1"}}, nil},
		{"absurd minutes", primary("1", "1e18", ""), []Window{{Name: "primary", UsedPercent: 1}}},
		{"absolute before relative", append(primary("1", "300", "120"), Header{"x-codex-primary-reset-at", "1800000060"}),
			[]Window{{Name: "primary", UsedPercent: 1, WindowMinutes: 300, ResetAt: in("1m")}}},
		{"empty absolute, relative", append(primary("1", "300", "120"), Header{"x-codex-primary-reset-at", ""}),
			[]Window{{Name: "primary", UsedPercent: 1, WindowMinutes: 300, ResetAt: in("2m")}}},
		{"past absolute, relative ahead", append(primary("1", "300", "120"), Header{"x-codex-primary-reset-at", "1799999999"}),
			[]Window{{Name: "primary", UsedPercent: 1, WindowMinutes: 300, ResetAt: in("2m")}}},
		{"a past reset is kept", append(primary("100", "300", "0"), Header{"x-codex-primary-reset-at", "1799999999"}),
			[]Window{{Name: "primary", UsedPercent: 100, WindowMinutes: 300, ResetAt: in("-1s")}}},
		{"an absurd reset is not", append(primary("100", "300", ""), Header{"x-codex-primary-reset-at", "1900000000"}),
			[]Window{{Name: "primary", UsedPercent: 100, WindowMinutes: 300}}},
		{"10^10 is milliseconds", append(primary("100", "300", ""), Header{"x-codex-primary-reset-at", "10000000000"}),
			[]Window{{Name: "primary", UsedPercent: 100, WindowMinutes: 300, ResetAt: time.UnixMilli(10000000000).UTC()}}},
		{"disabled", primary("0", "0", "0"), []Window{{Name: "primary"}}},
		{"named limits, both windows, after the account's", slices.Concat(
			window("zoo-primary", "3", "60", "60"), window("batch_jobs-secondary", "2", "60", "60"),
			window("batch_jobs-primary", "1", "60", "60"), window("secondary", "4", "60", "60"),
		), []Window{
			{Name: "secondary", UsedPercent: 4, WindowMinutes: 60, ResetAt: in("1m")},
			{Name: "batch_jobs", UsedPercent: 1, WindowMinutes: 60, ResetAt: in("1m")},
			{Name: "batch_jobs_secondary", UsedPercent: 2, WindowMinutes: 60, ResetAt: in("1m")},
			{Name: "zoo", UsedPercent: 3, WindowMinutes: 60, ResetAt: in("1m")},
		}},
		{"a named limit with a display name", append(window("Fox-Primary", "3", "60", "60"), Header{"x-codex-fox-limit-name", "GPT-5.3-Codex-Spark"}),
			[]Window{{Name: "GPT-5.3-Codex-Spark", UsedPercent: 3, WindowMinutes: 60, ResetAt: in("1m")}}},
		{"code review", window("code-review-primary", "3", "60", "60"),
			[]Window{{Name: "code_review", UsedPercent: 3, WindowMinutes: 60, ResetAt: in("1m")}}},
		{"a named limit cannot pass for the account's", window("primary-primary", "100", "60", "60"),
			[]Window{{Name: "primary_limit", UsedPercent: 100, WindowMinutes: 60, ResetAt: in("1m")}}},
		{"the active limit's copy is not the account's", slices.Concat([]Header{{"x-codex-active-limit", "codex_fox"}},
			primary("100", "300", "60"), window("fox-primary", "100", "300", "60"), window("secondary", "5", "10080", "60")),
			[]Window{
				{Name: "secondary", UsedPercent: 5, WindowMinutes: 10080, ResetAt: in("1m")},
				{Name: "fox", UsedPercent: 100, WindowMinutes: 300, ResetAt: in("1m")},
			}},
		{"equal numbers of a limit that is not active", slices.Concat(primary("100", "300", "60"), window("fox-primary", "100", "300", "60")),
			[]Window{
				{Name: "primary", UsedPercent: 100, WindowMinutes: 300, ResetAt: in("1m")},
				{Name: "fox", UsedPercent: 100, WindowMinutes: 300, ResetAt: in("1m")},
			}},
		{"other headers of the family", []Header{{"x-codex-primary-over-secondary-limit-percent", "5"}, {"x-codex-credits-balance", "5"}, {"x-codex-", ""}, {"x-codex--used-percent", "5"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, HeaderWindows(tt.headers, now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSuccessTellsWindowsAndPlan(t *testing.T) {
	out := Classify(200, append(window("fox-primary", "50", "300", "60"), Header{"x-codex-active-limit", "codex_fox"}, Header{"x-codex-plan-type", "pro"}), nil, now)
	want := Outcome{Class: ClassMore, Status: 200, Plan: "pro", ActiveLimit: "fox", Windows: []Window{{Name: "fox", UsedPercent: 50, WindowMinutes: 300, ResetAt: in("1m")}}}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

func TestActiveLimit(t *testing.T) {
	fox := append(window("fox-primary", "50", "300", "60"), Header{"x-codex-fox-limit-name", "Spark"})
	tests := []struct {
		name    string
		active  string
		headers []Header
		want    string
	}{
		{"none", "", fox, ""},
		{"the account's", "codex", fox, ""},
		{"a window's name", "primary", fox, ""},
		{"every paid plan's", "premium", fox, ""},
		{"by its id", "codex_fox", fox, "Spark"},
		{"by its header's name", "Fox", fox, "Spark"},
		{"by its display name", "spark", fox, "Spark"},
		{"one that has no windows", "codex_hen", fox, "codex_hen"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers := append(slices.Clone(tt.headers), Header{"X-Codex-Active-Limit", tt.active})
			if out := Classify(200, headers, nil, now); out.ActiveLimit != tt.want {
				t.Errorf("active limit %q, want %q", out.ActiveLimit, tt.want)
			}
		})
	}
}

func TestExhausted(t *testing.T) {
	tests := []struct {
		name string
		w    Window
		want bool
	}{
		{"100 %", Window{UsedPercent: 100, WindowMinutes: 300, ResetAt: in("1s")}, true},
		{"over 100 %", Window{UsedPercent: 120, WindowMinutes: 300, ResetAt: in("1s")}, true},
		{"99.6 %", Window{UsedPercent: 99.6, WindowMinutes: 300, ResetAt: in("1s")}, false},
		{"disabled", Window{UsedPercent: 100, ResetAt: in("1s")}, false},
		{"reset passed", Window{UsedPercent: 100, WindowMinutes: 300, ResetAt: now}, false},
		{"reset unknown", Window{UsedPercent: 100, WindowMinutes: 300}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Exhausted(tt.w, now); got != tt.want {
				t.Errorf("exhausted %v, want %v", got, tt.want)
			}
		})
	}
}

func TestExhaustedUntil(t *testing.T) {
	full := func(name, reset string) Window {
		return Window{Name: name, UsedPercent: 100, WindowMinutes: 300, ResetAt: in(reset)}
	}
	tests := []struct {
		name    string
		windows []Window
		until   time.Time
		window  string
	}{
		{"none", nil, time.Time{}, ""},
		{"the later binds", []Window{full("primary", "2h"), full("secondary", "1h")}, in("2h"), "primary"},
		{"the later binds, in the other order", []Window{full("primary", "1h"), full("secondary", "2h")}, in("2h"), "secondary"},
		{"named limits and code review do not", []Window{full("fox", "1h"), full("code_review", "1h"), full("fox_secondary", "1h")}, time.Time{}, ""},
		{"a reset that passed does not", []Window{full("primary", "-1s")}, time.Time{}, ""},
		{"no known reset", []Window{{Name: "primary", UsedPercent: 100, WindowMinutes: 300}}, time.Time{}, "primary"},
		{"a known reset before an unknown", []Window{{Name: "primary", UsedPercent: 100, WindowMinutes: 300}, full("secondary", "1h")}, in("1h"), "secondary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if until, name := ExhaustedUntil(tt.windows, now); !until.Equal(tt.until) || name != tt.window {
				t.Errorf("until %v by %q, want %v by %q", until, name, tt.until, tt.window)
			}
		})
	}
}

func TestLabel(t *testing.T) {
	for minutes, want := range map[int]string{
		0: "disabled", -5: "disabled", 1: "1m", 60: "1h", 90: "90m", 299: "299m", 300: "5h", 1440: "1d", 4320: "3d",
		10080: "weekly", 20160: "14d", 40320: "monthly", 43200: "monthly", 43800: "monthly", 44640: "monthly", 46080: "32d",
	} {
		if got := Label(minutes); got != want {
			t.Errorf("%d minutes is %q, want %q", minutes, got, want)
		}
	}
}
