package plugin

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The file stays open, and yet a line is where it belongs.
func TestLedgerWritesWhereTheNamePoints(t *testing.T) {
	may, june := time.Date(2026, 5, 31, 23, 59, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	lines := func(t *testing.T, path string) int {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(data, []byte("\n"))
	}
	for name, c := range map[string]struct {
		between  func(t *testing.T, l *ledger, dir string)
		at       time.Time
		old, new string // the files that have a line each
	}{
		"the month turns":     {func(*testing.T, *ledger, string) {}, june, "2026-05.jsonl", "2026-06.jsonl"},
		"the clock goes back": {func(*testing.T, *ledger, string) {}, may.AddDate(0, 0, -40), "2026-05.jsonl", "2026-04.jsonl"},
		"it was moved away": {func(t *testing.T, _ *ledger, dir string) {
			if err := os.Rename(filepath.Join(dir, "2026-05.jsonl"), filepath.Join(dir, "kept.jsonl")); err != nil {
				t.Fatal(err)
			}
		}, may, "kept.jsonl", "2026-05.jsonl"},
		"it was purged, its folder too": {func(t *testing.T, _ *ledger, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}, may, "", "2026-05.jsonl"},
		"another one lies there": {func(t *testing.T, _ *ledger, dir string) {
			path := filepath.Join(dir, "2026-05.jsonl")
			if err := os.Rename(path, filepath.Join(dir, "kept.jsonl")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, may, "kept.jsonl", "2026-05.jsonl"},
		"it was closed": {func(t *testing.T, l *ledger, _ string) {
			if err := l.close(); err != nil || l.file != nil {
				t.Fatal(err)
			}
		}, june, "2026-05.jsonl", "2026-06.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger{dir: filepath.Join(t.TempDir(), "usage")}
			if err := l.write(LedgerEntry{Time: may}); err != nil {
				t.Fatal(err)
			}
			c.between(t, &l, l.dir)
			if err := l.write(LedgerEntry{Time: c.at}); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{c.old, c.new} {
				if file != "" && lines(t, filepath.Join(l.dir, file)) != 1 {
					t.Errorf("%s has not one line", file)
				}
			}
			if err := l.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A line that is read without encoding/json is read as it would read it, and
// those that write makes are.
func TestALedgerLineIsReadAsEncodingJSONDoes(t *testing.T) {
	want := func(line []byte) (e LedgerEntry, ok bool) {
		err := json.Unmarshal(line, &e)
		e.Verdicts = nil
		return e, err == nil && !e.Time.IsZero()
	}
	word := rapid.OneOf(rapid.StringMatching(`[a-z0-9_:.-]{1,9}`), rapid.String())
	count := rapid.OneOf(rapid.Int64Range(0, 1e6), rapid.Int64())
	rapid.Check(t, func(t *rapid.T) {
		e := LedgerEntry{Time: rigStart.Add(time.Duration(rapid.Int64Range(-1e17, 1e17).Draw(t, "at"))), Account: word.Draw(t, "account"), Model: word.Draw(t, "model"),
			Session: rapid.OneOf(word, rapid.Just("")).Draw(t, "session"), InputTokens: count.Draw(t, "in"), CachedTokens: count.Draw(t, "cached"),
			OutputTokens: count.Draw(t, "out"), DurationMs: count.Draw(t, "ms"), Verdicts: rapid.SliceOf(word).Draw(t, "verdicts"), End: word.Draw(t, "end")}
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			at := rapid.IntRange(0, len(line)).Draw(t, "at")
			upTo := min(at+rapid.IntRange(0, 9).Draw(t, "cut"), len(line))
			put := rapid.SampledFrom([]string{"", `"`, `\`, "{", "}", "[", "]", ",", ":", "0", "-", ".5", "e1", " ", "\x00", "\xff", "null", `{"time":"2026-01-02T03:04:05Z","acc`, `"Model":"x",`}).Draw(t, "put")
			line = slices.Concat(line[:at], []byte(put), line[upTo:])
		}
		var got LedgerEntry
		ok := got.parse(line, names{})
		got.Verdicts = nil
		if wanted, good := want(line); ok != good || ok && !reflect.DeepEqual(got, wanted) {
			t.Fatalf("%s\nread %+v, %v\nwant %+v, %v", line, got, ok, wanted, good)
		}
	})
	const head, tail = `{"time":"2026-01-02T03:04:05Z","account":"a","model":"m","inputTokens":1,"cachedTokens":2,"outputTokens":3`, `,"durationMs":4,"verdicts":["deliver"],"end":"completed"}`
	for _, bad := range []string{head + tail + "}", head + tail + "x", head + `,"durationMs":4,"verdicts":["del` + head + tail, head + tail[:len(tail)-1], head + "0.5.5" + tail,
		head + `,"durationMs":4,"verdicts":["deliver",],"end":"completed"}`, head + `,"durationMs":4,"verdicts":[deliver],"end":"completed"}`, head + `,"durationMs":4,"verdicts":null,"end:"completed"}`,
		head + `,"durationMs":04,"verdicts":[],"end":"completed"}`, head + `,"durationMs":,"verdicts":[],"end":"completed"}`, strings.Replace(head, "T03", " 03", 1) + tail} {
		if _, good := want([]byte(bad)); good || new(LedgerEntry).parse([]byte(bad), names{}) {
			t.Errorf("read as an entry: %s", bad)
		}
	}
	own := LedgerEntry{Time: rigStart, Account: "acct_1", Model: "gpt-5.5", Session: "ses_1", InputTokens: 10, Verdicts: []string{"retry", "deliver"}, End: "completed"}
	for _, change := range []func(*LedgerEntry){func(*LedgerEntry) {}, func(e *LedgerEntry) { e.Session = "" }, func(e *LedgerEntry) { e.Verdicts = nil }, func(e *LedgerEntry) { e.Verdicts = []string{} }} {
		e := own
		change(&e)
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if !new(LedgerEntry).scan(line, names{}) {
			t.Errorf("left to encoding/json: %s", line)
		}
	}
}

// A line longer than what is read at once is one entry, and so is the next.
func TestALongLedgerLine(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{})
	for _, session := range []string{strings.Repeat("s", 200<<10), "t"} {
		if err := r.ledger.write(LedgerEntry{Time: rigStart, Session: session, InputTokens: 1}); err != nil {
			t.Fatal(err)
		}
	}
	u, err := r.Usage(t.Context(), rigStart.Add(-time.Hour), BySession)
	if err != nil || u.Total.Calls != 2 || len(u.Groups) != 2 || u.Unreadable != 0 {
		t.Errorf("%+v, %v", u, err)
	}
}
