package response

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const usageJSON = `{"input_tokens":100,"input_tokens_details":{"cached_tokens":80},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":120}`

var (
	usage     = &Usage{InputTokens: 100, CachedTokens: 80, OutputTokens: 20, ReasoningTokens: 5}
	completed = event("response.completed", `{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","content":"\"usage\":{\"input_tokens\":9}"}],"usage":`+usageJSON+`,"metadata":{}},"sequence_number":7}`)
)

func TestParseTail(t *testing.T) {
	quota := func(windows []Window, plan string) *Outcome {
		return &Outcome{Class: ClassQuota, Status: 200, Code: "usage_limit_reached", Message: "m", Until: in("90s"), Told: true, InStream: true, Windows: windows, Plan: plan}
	}
	rateWindows := []Window{
		{Name: "primary", UsedPercent: 100, WindowMinutes: 300, ResetAt: in("1m")},
		{Name: "secondary", UsedPercent: 5, WindowMinutes: 10080, ResetAt: in("1h")},
	}
	late := quota(rateWindows, "pro")
	late.Until, late.Limit = in("1m"), "primary"
	cut := completed[strings.Index(completed, `"output"`):]
	tests := []struct {
		name string
		data string
		want Tail
	}{
		{"nothing", "", Tail{}},
		{"completed", completed, Tail{Terminal: "response.completed", Usage: usage}},
		{"completed, CRLF", strings.ReplaceAll(completed, "\n", "\r\n"), Tail{Terminal: "response.completed", Usage: usage}},
		{"completed, no blank line", strings.TrimRight(completed, "\n"), Tail{Terminal: "response.completed", Usage: usage}},
		{"deltas before, done mark after", delta + completed + "data: [DONE]\n\n", Tail{Terminal: "response.completed", Usage: usage}},
		{"done under its other name", event("response.done", `{"type":"response.done","response":{"usage":`+usageJSON+`}}`), Tail{Terminal: "response.completed", Usage: usage}},
		{"incomplete", event("response.incomplete", `{"response":{"usage":`+usageJSON+`}}`), Tail{Terminal: "response.incomplete", Usage: usage}},
		{"without usage", event("response.completed", `{"response":{"usage":null}}`), Tail{Terminal: "response.completed"}},
		{"usage without details", event("response.completed", `{"response":{"usage":{"input_tokens":3,"output_tokens":4}}}`), Tail{Terminal: "response.completed", Usage: &Usage{InputTokens: 3, OutputTokens: 4}}},
		{"cut after a delta", delta + delta, Tail{}},
		{"cut in the terminal event", completed[:len(completed)-30], Tail{}},
		{"late failure", delta + limited, Tail{Terminal: "response.failed", Failure: quota(nil, "")}},
		{"error, then a failure that says less", event("error", `{"type":"error","error":{"code":"usage_limit_reached","message":"m","resets_in_seconds":90}}`) + event("response.failed", `{"response":{"error":null}}`),
			Tail{Terminal: "response.failed", Failure: quota(nil, "")}},
		{"error that says less, then a failure", event("error", `{"type":"error"}`) + limited, Tail{Terminal: "response.failed", Failure: quota(nil, "")}},
		{"error", event("error", `{"type":"error","code":"usage_limit_reached","message":"m","resets_in_seconds":90}`), Tail{Terminal: "error", Failure: quota(nil, "")}},
		{"late rate limits", rates + limited, Tail{Terminal: "response.failed", Windows: rateWindows, Plan: "pro", Failure: late}},

		{"ring begins in the event before", `lta":"x"}` + "\n\n" + completed, Tail{Terminal: "response.completed", Usage: usage}},
		{"ring begins in a CRLF event", "x\"}\r\n\r\n" + strings.ReplaceAll(completed, "\n", "\r\n"), Tail{Terminal: "response.completed", Usage: usage}},
		{"ring begins in the terminal event", cut, Tail{Terminal: "response.completed", Usage: usage}},
		{"ring begins in the terminal event, done mark after", cut + "data: [DONE]\n\n", Tail{Terminal: "response.completed", Usage: usage}},
		{"ring begins in an event that ends as the terminal one does", cut + limited, Tail{Terminal: "response.failed", Failure: quota(nil, "")}},
		{"ring begins and ends in the terminal event", cut[:len(cut)-20], Tail{}},
		{"ring begins behind the usage", `"metadata":{}}}` + "\n\n", Tail{}},
		{"usage that the model wrote", `text":"\"usage\":{\"input_tokens\":9,\"output_tokens\":9}"}]}}` + "\n\n", Tail{}},

		{"JSON answer", `{"status":"completed","output":[],"usage":` + usageJSON + `}`, Tail{Terminal: "response.completed", Usage: usage}},
		{"JSON answer, incomplete", `{"status":"incomplete","output":[]}`, Tail{Terminal: "response.incomplete"}},
		{"JSON error", `{"error":{"code":"usage_limit_reached","message":"m","resets_in_seconds":90}}`, Tail{Terminal: "error", Failure: quota(nil, "")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ParseTail([]byte(tt.data), 200, nil, now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseTailReadsTheLastMiB(t *testing.T) {
	huge := fmt.Sprintf(`{"type":"response.completed","response":{"output":[{"text":%q}],"usage":%s}}`, strings.Repeat("x", 2<<20), usageJSON)
	filler := strings.Repeat(": "+strings.Repeat("x", 1021)+"\n", 1<<10)
	if tail := ParseTail([]byte(completed+filler), 200, nil, now); tail.Terminal != "" {
		t.Errorf("an event before the last MiB was read: %+v", tail)
	}
	want := Tail{Terminal: "response.completed", Usage: usage}
	if diff := cmp.Diff(want, ParseTail([]byte(delta+event("response.completed", huge)), 200, nil, now)); diff != "" {
		t.Error(diff)
	}
}
