package plugin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"codex-rota/pool"
)

// aTail is the end of a stream: what it used, and what it says of the quota.
const aTail = `event: codex.rate_limits
data: {"type":"codex.rate_limits","plan_type":"plus","rate_limits":{"primary":{"used_percent":42,"window_minutes":300,"reset_at":1800050000}}}

event: response.completed
data: {"type":"response.completed","response":{"usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":80},"output_tokens":7}}}

`

const lateLimit = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"usage_limit_reached\",\"resets_in_seconds\":3600}}}\n\n"

func wantSame(t *testing.T, before, after pool.Facts) {
	t.Helper()
	if !reflect.DeepEqual(before, after) {
		t.Errorf("learned something:\n%+v\n%+v", before, after)
	}
}

func (r *serviceRig) done(call, end, tail string) {
	r.Done(r.t.Context(), DoneParams{Call: callID(call), End: end, DurationMs: 1500}, []byte(tail))
}

// entries reads the ledger's files by name.
func (r *serviceRig) entries() map[string][]LedgerEntry {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "usage", "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string][]LedgerEntry{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var e LedgerEntry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				r.t.Fatalf("%s: %v in %q", file, err, line)
			}
			out[filepath.Base(file)] = append(out[filepath.Base(file)], e)
		}
	}
	return out
}

// TestDoneWritesTheLedger: one line in the month's file, by UTC, with what the
// call cost and went through, and no content. The quota is learned too.
func TestDoneWritesTheLedger(t *testing.T) {
	start := time.Date(2027, 2, 1, 1, 30, 0, 0, time.FixedZone("", 2*3600))
	r := newServiceRig(t, 2, rigOptions{start: start})
	r.prepare("1", "s")
	r.wantRetry(r.respond("1", 429, limited(time.Hour)), 1)
	r.wantDeliver(r.respond("1", 200, aDelta))
	r.done("1", "completed", aTail)
	want := map[string][]LedgerEntry{"2027-01.jsonl": {{
		Time: start.UTC(), Account: r.ids[1], Model: "gpt-5.5", Session: "s", InputTokens: 100, CachedTokens: 80, OutputTokens: 7,
		DurationMs: 1500, Verdicts: []string{VerdictRetry, VerdictDeliver}, End: "completed",
	}}}
	if got := r.entries(); !reflect.DeepEqual(got, want) {
		t.Errorf("the ledger holds\n%+v, want\n%+v", got, want)
	}
	facts := r.book.Facts(r.ids[1])
	if len(facts.Windows) != 1 || facts.Windows[0].Name != pool.WindowPrimary || facts.Windows[0].UsedPercent != 42 || facts.Plan != "plus" {
		t.Errorf("of the quota it learned %+v", facts)
	}
	r.done("1", "completed", aTail) // told twice
	if got := r.entries(); !reflect.DeepEqual(got, want) {
		t.Errorf("told twice, the ledger holds %+v", got)
	}
}

// TestLateLimit: a limit after output began is not replayed; it is learned when
// the call is done, and the next call goes elsewhere.
func TestLateLimit(t *testing.T) {
	r := newServiceRig(t, 2, rigOptions{})
	r.prepare("1", "s")
	r.wantDeliver(r.respond("1", 200, aDelta))
	r.wantStates("ready", "ready")
	r.done("1", "failed", lateLimit)
	r.wantStates("limited", "ready")
	if got := r.prepare("2", "s").Account.ID; got != r.ids[1] {
		t.Errorf("the next call goes to %s", got)
	}
}

// TestAbortedTailLearnsNothing: what the user broke off says nothing of the
// account, and is in no ledger.
func TestAbortedTailLearnsNothing(t *testing.T) {
	for name, tail := range map[string]string{"a quota": aTail, "a limit": lateLimit} {
		t.Run(name, func(t *testing.T) {
			r := newServiceRig(t, 1, rigOptions{})
			r.prepare("1", "s")
			r.wantDeliver(r.respond("1", 200, aDelta))
			before := r.book.Facts(r.ids[0])
			r.done("1", "aborted", tail)
			wantSame(t, before, r.book.Facts(r.ids[0]))
			if got := r.entries(); len(got) != 0 {
				t.Errorf("the ledger holds %+v", got)
			}
		})
	}
}

// TestDeliveredErrorIsLearnedOnce: when it came. Its body comes again as the tail.
func TestDeliveredErrorIsLearnedOnce(t *testing.T) {
	const refusal = `{"detail":"The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account."}`
	r := newServiceRig(t, 1, rigOptions{})
	r.prepare("1", "s")
	r.wantDeliver(r.respond("1", 400, refusal))
	learned := r.book.Facts(r.ids[0])
	if len(learned.Blocks) != 1 {
		t.Fatalf("learned %+v", learned)
	}
	r.clock.add(time.Minute)
	r.done("1", "failed", refusal)
	wantSame(t, learned, r.book.Facts(r.ids[0]))
}

// TestStreamWithoutOutput: a stream that ends before it says anything still tells
// the quota in its headers.
func TestStreamWithoutOutput(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{})
	r.prepare("1", "s")
	v := r.respond("1", 200, "", Header{"x-codex-primary-used-percent", "12"}, Header{"x-codex-primary-window-minutes", "300"})
	if v.Verdict != VerdictMore {
		t.Fatal(show(v))
	}
	r.done("1", "completed", "")
	if facts := r.book.Facts(r.ids[0]); len(facts.Windows) != 1 || facts.Windows[0].UsedPercent != 12 {
		t.Errorf("learned %+v", facts)
	}
}
