package plugin

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/plugin/response"
	"codex-rota/pool"
)

func BenchmarkDecide(b *testing.B) {
	start := progress{startedAt: decideNow.Add(-time.Second), sentAt: decideNow.Add(-time.Second), tries: 1}
	f := facts{account: "a", model: "m", maxWait: time.Minute, jitter: 0.5, repeats: true, editable: true, next: pool.Choice{Account: "b"}}
	out := answer(response.ClassQuota, time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if d, _ := decide(start, out, f, decideNow); d.act != actRetry {
			b.Fatal(d.act)
		}
	}
}

// benchRig is a service over so many accounts, with quota windows known of each,
// or with all of them limited. They are written as a file: logging in ten thousand
// would take long.
func benchRig(b *testing.B, accounts int, limited bool) *serviceRig {
	b.Helper()
	r := newServiceRig(b, 0, rigOptions{})
	type record struct {
		Label        string `json:"label"`
		RefreshToken string `json:"refreshToken"`
		AccessToken  string `json:"accessToken"`
		ExpiresAt    int64  `json:"expiresAt"`
		RefreshedAt  int64  `json:"refreshedAt"`
		AddedAt      int64  `json:"addedAt"`
		Enabled      bool   `json:"enabled"`
	}
	list := make([]record, accounts)
	for i := range list {
		tokens := seatTokens(i, "0", rigStart.Add(rigLife))
		list[i] = record{fmt.Sprint("n", i), tokens.Refresh.Reveal(), tokens.Access.Reveal(), rigStart.Add(rigLife).UnixMilli(), rigStart.UnixMilli(), rigStart.UnixMilli(), true}
	}
	text, err := json.Marshal(map[string]any{"version": 4, "revision": 1, "accounts": list})
	if err == nil {
		err = os.WriteFile(r.store.Path(), text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	known, err := r.store.Accounts()
	if err == nil { // any change has the file written as the product writes it
		err = r.store.Update(b.Context(), known[0].ID, func(a *pool.Account) error { a.Note = "a pool in use"; return nil })
	}
	if err != nil || len(known) != accounts {
		b.Fatalf("%d accounts, %v", len(known), err)
	}
	events := make([]pool.Event, len(known))
	for i, a := range known {
		used := float64(i % 80)
		if limited {
			used = 100
		}
		events[i] = pool.Event{Account: a.ID, At: rigStart, Plan: "plus", Windows: []pool.Window{
			{Name: pool.WindowPrimary, UsedPercent: used, WindowMinutes: 300, ResetAt: rigStart.Add(2 * time.Hour)},
			{Name: pool.WindowSecondary, UsedPercent: float64(i % 80), WindowMinutes: 10080, ResetAt: rigStart.Add(time.Duration(i%100+1) * time.Hour)}}}
	}
	if err := r.book.Learn(b.Context(), events...); err != nil {
		b.Fatal(err)
	}
	return r
}

var benchHeaders = []Header{{"user-agent", "opencode/1.18.33"}, {"session-id", "ses_bench"}, {"accept", "*/*"}, {"content-type", "application/json"}}

// benchBody is a conversation of about 100 KB.
func benchBody() []byte {
	text := strings.Repeat(`\tif err := s.read(ctx); err != nil { return err }\n`, 18)
	items := make([]string, 100)
	for i := range items {
		items[i] = `{"role":"user","content":[{"type":"input_text","text":"` + text + `"}]}`
	}
	return body("gpt-5.5", items...)
}

// BenchmarkPrepare is a whole prepare of a session that has its account, and that
// is all that a call waits for before it is sent.
func BenchmarkPrepare(b *testing.B) {
	for _, n := range []int{1, 20, 1000, 10000} {
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			r, data := benchRig(b, n, false), benchBody()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.try("1", "s", data, benchHeaders...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPrepareSmall is the same with a body of 3 KB: what does not depend on
// the body.
func BenchmarkPrepareSmall(b *testing.B) {
	r, data := benchRig(b, 20, false), body("gpt-5.5", `{"role":"user","content":"`+strings.Repeat("hello ", 500)+`"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.try("1", "s", data, benchHeaders...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPrepareAllLimited is a call that is refused because of every account.
func BenchmarkPrepareAllLimited(b *testing.B) {
	for _, n := range []int{20, 1000} {
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			r, data := benchRig(b, n, true), benchBody()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.try("1", "s", data, benchHeaders...); codeOf(err) != CodeAllLimited {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAnswer is response and done of a call that went well: what runs beside
// the answer's stream. The prepare before it is not counted.
func BenchmarkAnswer(b *testing.B) {
	r, data := benchRig(b, 20, false), body("gpt-5.5")
	headers := []Header{{"content-type", "text/event-stream"}, {"x-codex-primary-used-percent", "12"}, {"x-codex-primary-window-minutes", "300"},
		{"x-codex-primary-reset-after-seconds", "7200"}, {"x-codex-plan-type", "plus"}}
	const begun = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hello\"}\n\n"
	const end = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"usage\":{\"input_tokens\":1000," +
		"\"input_tokens_details\":{\"cached_tokens\":900},\"output_tokens\":20}}}\n\n"
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		if _, err := r.try("1", "s", data, benchHeaders...); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		r.wantDeliver(r.respond("1", 200, begun, headers...))
		r.Done(b.Context(), DoneParams{Call: callID("1"), End: "completed", DurationMs: 1000}, []byte(end))
	}
}

// benchLedger is a ledger of so many calls, a year of them at 300 a day.
func benchLedger(b *testing.B, dir string, lines int) {
	b.Helper()
	months := map[string]*strings.Builder{}
	for i := range lines {
		at := rigStart.Add(-time.Duration(lines-i) * 24 * time.Hour / 300)
		line, err := json.Marshal(LedgerEntry{Time: at, Account: fmt.Sprintf("acct_%012x", i%20), Model: "gpt-5.5", Session: fmt.Sprint("ses_", i/40),
			InputTokens: 60000, CachedTokens: 55000, OutputTokens: 800, DurationMs: 9000, Verdicts: []string{"deliver"}, End: "completed"})
		if err != nil {
			b.Fatal(err)
		}
		month := at.Format(monthLayout)
		if months[month] == nil {
			months[month] = &strings.Builder{}
		}
		months[month].Write(append(line, '\n'))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	for month, text := range months {
		if err := os.WriteFile(filepath.Join(dir, month+ledgerSuffix), []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLedger is the line that done adds.
func BenchmarkLedger(b *testing.B) {
	for _, lines := range []int{0, 9000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			l := ledger{dir: filepath.Join(b.TempDir(), "usage")}
			benchLedger(b, l.dir, lines)
			e := LedgerEntry{Time: rigStart, Account: "acct_0123456789ab", Model: "gpt-5.5", Session: "ses_1", InputTokens: 1, Verdicts: []string{"deliver"}, End: "completed"}
			b.ReportAllocs()
			for b.Loop() {
				l.add(hclog.NewNullLogger(), e)
			}
		})
	}
}

// BenchmarkUsage is what the command usage reads of a long ledger.
func BenchmarkUsage(b *testing.B) {
	for _, lines := range []int{9000, 108000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			r := newServiceRig(b, 1, rigOptions{})
			benchLedger(b, r.ledger.dir, lines)
			since := rigStart.Add(-400 * 24 * time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				if u, err := r.Usage(b.Context(), since, ByModel); err != nil || u.Total.Calls != lines {
					b.Fatal(u, err)
				}
			}
		})
	}
}
