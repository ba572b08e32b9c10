package response

import (
	"slices"
	"testing"
	"time"
)

func window(name, used, minutes, after string) []Header {
	prefix := "x-codex-" + name
	return []Header{{prefix + "-used-percent", used}, {prefix + "-window-minutes", minutes}, {prefix + "-reset-after-seconds", after}}
}

func primary(used, minutes, after string) []Header { return window("primary", used, minutes, after) }

func TestWait(t *testing.T) {
	day := time.Hour * 24
	tests := []struct {
		name    string
		headers []Header
		fields  string // inside the error object, after the code
		outer   string // beside it
		want    time.Duration
		guess   bool
		limit   string
	}{
		{name: "nothing", want: time.Minute, guess: true},
		{name: "window before body", headers: primary("100", "300", "18000"), fields: `,"resets_in_seconds":90`, want: 5 * time.Hour, limit: "primary"},
		{name: "35 days is not capped", headers: primary("100", "43200", "3024000"), want: 35 * day, limit: "primary"},
		{name: "a window beyond 35 days yields to the body", headers: primary("100", "43200", "3024001"), fields: `,"resets_in_seconds":90`, want: 90 * time.Second, limit: "primary"},
		{name: "a window not exhausted says nothing", headers: primary("99.99", "300", "18000"), fields: `,"resets_in_seconds":90`, want: 90 * time.Second},
		{name: "code review says nothing", headers: window("code-review-primary", "100", "300", "18000"), want: time.Minute, guess: true},
		{name: "a named limit that is not active says nothing", headers: window("fox-primary", "100", "300", "18000"), want: time.Minute, guess: true},

		{name: "resets_at s", fields: `,"resets_at":1800000090`, want: 90 * time.Second},
		{name: "resets_at ms", fields: `,"resets_at":1800000090500`, want: 90500 * time.Millisecond},
		{name: "resets_at text", fields: `,"resets_at":"1800000090"`, want: 90 * time.Second},
		{name: "resets_at RFC 3339", fields: `,"resets_at":"2027-01-15T08:01:30Z"`, want: 90 * time.Second},
		{name: "reset_at", fields: `,"reset_at":1800000090`, want: 90 * time.Second},
		{name: "resets_in_seconds", fields: `,"resets_in_seconds":90`, want: 90 * time.Second},
		{name: "resets_in_seconds, fraction", fields: `,"resets_in_seconds":1.5`, want: 1500 * time.Millisecond},
		{name: "retry_after_ms", fields: `,"retry_after_ms":90`, want: 90 * time.Millisecond},
		{name: "retry_after", fields: `,"retry_after":90`, want: 90 * time.Second},
		{name: "retry_after date", fields: `,"retry_after":"Fri, 15 Jan 2027 08:00:20 GMT"`, want: 20 * time.Second},
		{name: "beside the error object", outer: `,"resets_in_seconds":90`, want: 90 * time.Second},
		{name: "inner before outer", fields: `,"retry_after":90`, outer: `,"retry_after":80`, want: 90 * time.Second},
		{name: "the earlier field, wherever it is", fields: `,"retry_after":90`, outer: `,"resets_at":1800000080`, want: 80 * time.Second},
		{name: "order in the body", fields: `,"retry_after":1,"retry_after_ms":2,"resets_in_seconds":3,"reset_at":1800000004,"resets_at":1800000005`, want: 5 * time.Second},
		{name: "order in the body, less one", fields: `,"retry_after":1,"retry_after_ms":2,"resets_in_seconds":3,"reset_at":1800000004`, want: 4 * time.Second},
		{name: "order in the body, less two", fields: `,"retry_after":1,"retry_after_ms":2,"resets_in_seconds":3`, want: 3 * time.Second},
		{name: "order in the body, less three", fields: `,"retry_after":1,"retry_after_ms":2`, want: 2 * time.Millisecond},

		{name: "zero is ignored", fields: `,"resets_in_seconds":0,"retry_after":7`, want: 7 * time.Second},
		{name: "negative is ignored", fields: `,"retry_after_ms":-5`, headers: []Header{{"retry-after", "7"}}, want: 7 * time.Second},
		{name: "NaN is ignored", fields: `,"resets_in_seconds":"NaN"`, headers: []Header{{"retry-after-ms", "NaN"}, {"retry-after", "7"}}, want: 7 * time.Second},
		{name: "infinity is ignored", fields: `,"resets_in_seconds":1e999`, headers: []Header{{"retry-after", "Infinity"}}, want: time.Minute, guess: true},
		{name: "past is ignored", fields: `,"resets_at":1799999999`, headers: []Header{{"retry-after", "7"}}, want: 7 * time.Second},
		{name: "now is past", fields: `,"resets_at":1800000000`, want: time.Minute, guess: true},
		{name: "absurd seconds are ignored", fields: `,"resets_in_seconds":99999999999`, want: time.Minute, guess: true},
		{name: "36 days are ignored", fields: `,"resets_in_seconds":3110400`, want: time.Minute, guess: true},
		{name: "an absurd timestamp is ignored", fields: `,"resets_at":9999999999999999`, want: time.Minute, guess: true},
		{name: "10^10 is milliseconds, so past", fields: `,"resets_at":10000000000`, want: time.Minute, guess: true},
		{name: "null and objects are ignored", fields: `,"resets_at":null,"retry_after":{"a":1}`, want: time.Minute, guess: true},

		{name: "header ms before header s", headers: []Header{{"Retry-After", "9"}, {"Retry-After-Ms", "250"}}, want: 250 * time.Millisecond},
		{name: "header repeated", headers: []Header{{"retry-after", "9, 9"}}, want: 9 * time.Second},
		{name: "header date", headers: []Header{{"retry-after", "Fri, 15 Jan 2027 08:00:20 GMT"}}, want: 20 * time.Second},
		{name: "header date, old form", headers: []Header{{"retry-after", "Friday, 15-Jan-27 08:00:20 GMT"}}, want: 20 * time.Second},
		{name: "header date past", headers: []Header{{"retry-after", "Fri, 15 Jan 2027 07:59:20 GMT"}}, want: time.Minute, guess: true},
		{name: "x-ratelimit-reset", headers: []Header{{"x-ratelimit-reset", "1800000030"}}, want: 30 * time.Second},
		{name: "x-ratelimit-reset ms", headers: []Header{{"x-ratelimit-reset", "1800000030000"}}, want: 30 * time.Second},
		{name: "x-ratelimit-reset is a time, not a distance", headers: []Header{{"x-ratelimit-reset", "30"}}, want: time.Minute, guess: true},
		{name: "retry-after before x-ratelimit-reset", headers: []Header{{"x-ratelimit-reset", "1800000030"}, {"retry-after", "9"}}, want: 9 * time.Second},

		{name: "the active limit's window", headers: slices.Concat([]Header{{"x-codex-active-limit", "codex_fox"}}, primary("40", "300", "60"), window("fox-primary", "100", "300", "600")), want: 10 * time.Minute, limit: "fox"},
		{name: "the active limit's second window", headers: slices.Concat([]Header{{"x-codex-active-limit", "fox"}}, window("fox-primary", "100", "300", "600"), window("fox-secondary", "100", "10080", "1200")), want: 20 * time.Minute, limit: "fox_secondary"},
		{name: "the later of account and active limit", headers: slices.Concat([]Header{{"x-codex-active-limit", "fox"}}, primary("100", "300", "900"), window("fox-primary", "100", "300", "600")), want: 15 * time.Minute, limit: "primary"},
		{name: "the active limit without its windows", headers: []Header{{"x-codex-active-limit", "fox"}}, fields: `,"resets_in_seconds":90`, want: 90 * time.Second, limit: "fox"},
		{name: "premium is no named limit", headers: slices.Concat([]Header{{"x-codex-active-limit", "premium"}}, primary("100", "300", "60")), want: time.Minute, limit: "primary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := `{"error":{"code":"usage_limit_reached"` + tt.fields + `}` + tt.outer + `}`
			out := Classify(429, tt.headers, []byte(body), now)
			if got := out.Until.Sub(now); out.Class != ClassQuota || got != tt.want || out.Told == tt.guess || out.Limit != tt.limit {
				t.Errorf("class %s until %v told %v limit %q; want %v, %v, %q", out.Class, got, out.Told, out.Limit, tt.want, !tt.guess, tt.limit)
			}
		})
	}
}

func TestWaitByClass(t *testing.T) {
	const hint = `,"retry_after":9}}`
	tests := []struct {
		name string
		body string
		want time.Time
	}{
		{"overload keeps its hint, whatever the windows say", `{"error":{"code":"slow_down"` + hint, in("9s")},
		{"overload has no default", `{"error":{"code":"slow_down"}}`, time.Time{}},
		{"a rate limit obeys an exhausted window", `{"error":{"code":"rate_limit_exceeded"` + hint, in("5h")},
		{"entitlement has none", `{"error":{"code":"usage_not_included"` + hint, time.Time{}},
		{"a model refusal has none", `{"error":{"code":"model_not_found"` + hint, time.Time{}},
		{"auth has none", `{"error":{"code":"token_expired"` + hint, time.Time{}},
		{"other has none", `{"error":{"code":"context_length_exceeded"` + hint, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := Classify(429, primary("100", "300", "18000"), []byte(tt.body), now)
			if !out.Until.Equal(tt.want) || out.Told != !tt.want.IsZero() {
				t.Errorf("until %v told %v, want %v", out.Until, out.Told, tt.want)
			}
		})
	}
}

func TestDropHeaders(t *testing.T) {
	tests := []struct {
		name    string
		headers []Header
		want    []string
	}{
		{"none", []Header{{"x", "1"}}, nil},
		{"a minute stays", []Header{{"retry-after", "60"}, {"retry-after-ms", "60000"}}, nil},
		{"more goes, by its own name", []Header{{"Retry-After", "61"}, {"retry-after-ms", "60001"}}, []string{"Retry-After", "retry-after-ms"}},
		{"days", []Header{{"retry-after", "432000"}}, []string{"retry-after"}},
		{"a date soon", []Header{{"retry-after", "Fri, 15 Jan 2027 08:01:00 GMT"}}, nil},
		{"a date later", []Header{{"retry-after", "Fri, 15 Jan 2027 08:01:01 GMT"}}, []string{"retry-after"}},
		{"too large for anything", []Header{{"retry-after", "1e999"}}, []string{"retry-after"}},
		{"infinite", []Header{{"retry-after", "Infinity"}}, []string{"retry-after"}},
		{"joined", []Header{{"retry-after", "432000, 432000"}}, []string{"retry-after"}},
		{"twice", []Header{{"retry-after", "100"}, {"retry-after", "200"}}, []string{"retry-after"}},
		{"nonsense", []Header{{"retry-after", "soon"}, {"retry-after-ms", ""}}, nil},
		{"negative", []Header{{"retry-after", "-100"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := DropHeaders(tt.headers, now, time.Minute); !slices.Equal(got, tt.want) {
				t.Errorf("drops %q, want %q", got, tt.want)
			}
		})
	}
}
