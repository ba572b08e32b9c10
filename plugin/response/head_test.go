package response

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func event(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

var (
	created = event("response.created", `{"type":"response.created","response":{"id":"r","status":"in_progress","error":null}}`)
	delta   = event("response.output_text.delta", `{"type":"response.output_text.delta","delta":"é"}`)
	limited = event("response.failed", `{"type":"response.failed","response":{"status":"failed","error":{"code":"usage_limit_reached","message":"m","resets_in_seconds":90}}}`)
	rates   = event("codex.rate_limits", `{"type":"codex.rate_limits","plan_type":"pro","rate_limits":{"allowed":true,"primary":{"used_percent":100,"window_minutes":300,"reset_at":1800000060},"secondary":{"used_percent":5,"window_minutes":10080,"resets_in_seconds":3600}},"credits":null}`)
)

func TestHead(t *testing.T) {
	tests := []struct {
		name   string
		stream string
		want   Class
	}{
		{"nothing", "", ClassMore},
		{"preambles and notices", created + event("response.in_progress", `{"type":"response.in_progress"}`) + event("response.queued", `{"type":"response.queued"}`) +
			event("ping", `{"type":"ping"}`) + event("keepalive", `{"type":"keepalive","sequence_number":3}`) + event("ping", `{}`) + event("ping", "") +
			event("codex.response.metadata", `{"type":"codex.response.metadata"}`) + event("responsesapi.websocket_timing", `{"type":"responsesapi.websocket_timing"}`) + rates, ClassMore},
		{"comments and other fields", ": ping\n\nid: 1\nretry: 3\n\n:\n\n", ClassMore},
		{"delta", created + delta, ClassOutput},
		{"output item", event("response.output_item.added", `{"type":"response.output_item.added","item":{}}`), ClassOutput},
		{"content part", event("response.content_part.added", `{"type":"response.content_part.added"}`), ClassOutput},
		{"reasoning", event("response.reasoning_summary_text.delta", `{"type":"response.reasoning_summary_text.delta","delta":"x"}`), ClassOutput},
		{"completed without output", created + event("response.completed", `{"type":"response.completed","response":{"output":[]}}`), ClassOutput},
		{"incomplete", created + event("response.incomplete", `{"type":"response.incomplete","response":{"status":"incomplete"}}`), ClassOutput},
		{"an unknown event of the response", created + event("response.dream", `{"type":"response.dream"}`), ClassOutput},
		{"an unknown event", created + event("dream", `{"a":1}`), ClassOutput},
		{"another API's chunk", `data: {"choices":[{"delta":{"content":"x"}}]}` + "\n\n", ClassOutput},
		{"done mark", "data: [DONE]\n\n", ClassOutput},
		{"data that is no JSON", "data: hello\n\n", ClassOutput},
		{"output, then a failure", created + delta + limited, ClassOutput},

		{"limit", created + limited, ClassQuota},
		{"the first failure counts", limited + event("error", `{"code":"slow_down"}`), ClassQuota},
		{"limit after rate limits", created + rates + limited, ClassQuota},
		{"type in the JSON only", strings.ReplaceAll(created+limited, "event: response", "id: response"), ClassQuota},
		{"type in the name only", event("response.failed", `{"response":{"error":{"code":"usage_limit_reached"}}}`), ClassQuota},
		{"name message", event("message", `{"type":"error","error":{"code":"slow_down"}}`), ClassOverload},
		{"the error's type in the place of the event's", event("error", `{"type":"usage_limit_reached","message":"m"}`), ClassQuota},
		{"an error object without any type", `data: {"error":{"code":"slow_down"}}` + "\n\n", ClassOverload},
		{"no space after the colon", "event:error\ndata:{\"code\":\"slow_down\"}\n\n", ClassOverload},
		{"data on several lines", "data: {\"type\":\"error\",\ndata: \"code\":\ndata\ndata: \"slow_down\"}\n\n", ClassOverload},
		{"CRLF", strings.ReplaceAll(created+limited, "\n", "\r\n"), ClassQuota},
		{"CRLF, type in the name only", "event: error\r\ndata: {\r\ndata: \"code\":\"slow_down\"}\r\n\r\n", ClassOverload},
		{"CR", strings.ReplaceAll(created+limited, "\n", "\r"), ClassQuota},
		{"byte order mark", "\xef\xbb\xbf" + limited, ClassQuota},
		{"blank lines first", "\n\r\n" + limited, ClassQuota},
		{"a failure without an error", event("response.failed", `{"type":"response.failed","response":{"error":null}}`), ClassOther},
		{"a failure with an unknown code", event("response.failed", `{"response":{"error":{"code":"odd"}}}`), ClassOther},
		{"a failure not ended yet", created + strings.TrimSuffix(limited, "\n"), ClassMore},
		{"server_error, where the shape has no type", event("response.failed", `{"response":{"error":{"code":"server_error","message":"m"}}}`), ClassOverload},
		{"server_error of another type", event("error", `{"type":"error","error":{"type":"odd","code":"server_error"}}`), ClassOther},
		{"a failure that names its status", event("error", `{"type":"error","status":429,"error":{"message":"m"}}`), ClassRateLimit},
		{"revoked", event("error", `{"type":"error","message":"Your token has been invalidated"}`), ClassAuthRevoked},
		{"context", event("response.failed", `{"response":{"error":{"code":"context_length_exceeded"}}}`), ClassOther},

		{"JSON error", `{"error":{"code":"usage_limit_reached"}}`, ClassQuota},
		{"JSON error, spaces and text after", " \n{\"detail\":{\"code\":\"slow_down\"}} x", ClassOverload},
		{"JSON error with braces in its text", `{"error":{"message":"}}\"}","code":"slow_down"}}`, ClassOverload},
		{"JSON error not whole yet", `{"error":{"code":"slow_down"}`, ClassMore},
		{"JSON error of no known code", `{"detail":"odd thing"}`, ClassOther},
		{"JSON of a failed response", `{"id":"r","object":"response","error":{"code":"rate_limit_exceeded"}}`, ClassRateLimit},
		{"JSON answer", `{"id":"r","object":"response","error":null,"output":[]}`, ClassOutput},
		{"JSON of another kind", `{"models":[]}`, ClassOutput},
		{"HTML", "<html>", ClassOutput},
		{"compressed", "\x1f\x8b\x08", ClassOutput},
		{"half a byte order mark", "\xef\xbbevent", ClassOutput},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var whole, bytewise Head
			whole.Feed([]byte(tt.stream))
			for i := range len(tt.stream) {
				bytewise.Feed([]byte{tt.stream[i]})
			}
			out := whole.Outcome(now, 200, nil)
			if out.Class != tt.want {
				t.Errorf("class %q, want %q", out.Class, tt.want)
			}
			if failed := tt.want != ClassMore && tt.want != ClassOutput; out.InStream != failed {
				t.Errorf("in stream %v, want %v", out.InStream, failed)
			}
			if diff := cmp.Diff(out, bytewise.Outcome(now, 200, nil)); diff != "" {
				t.Errorf("byte by byte it is another: %s", diff)
			}
		})
	}
}

func TestHeadLearnsRateLimits(t *testing.T) {
	var head Head
	head.Feed([]byte(created + rates))
	headers := append(primary("1", "300", "5"), Header{"x-codex-plan-type", "plus"})
	want := Outcome{Class: ClassMore, Status: 200, Plan: "pro", Windows: []Window{
		{Name: "primary", UsedPercent: 100, WindowMinutes: 300, ResetAt: in("1m")},
		{Name: "secondary", UsedPercent: 5, WindowMinutes: 10080, ResetAt: in("1h")},
	}}
	if diff := cmp.Diff(want, head.Outcome(now, 200, headers)); diff != "" {
		t.Error(diff)
	}
	head.Feed([]byte(limited))
	if out := head.Outcome(now, 200, nil); out.Until != in("1m") || out.Limit != "primary" || out.Code != "usage_limit_reached" {
		t.Errorf("the event's exhausted window comes before the error's hint: %+v", out)
	}
}

func TestRateLimitEventNames(t *testing.T) {
	shown := []Header{{"x-codex-fox-limit-name", "Spark"}}
	tests := []struct {
		name    string
		fields  string
		headers []Header
		want    string
	}{
		{"none", ``, nil, "primary"},
		{"the account's", `"metered_limit_name":"codex",`, nil, "primary"},
		{"metered", `"metered_limit_name":"codex_fox",`, nil, "codex_fox"},
		{"named", `"metered_limit_name":"codex_fox","limit_name":"Spark",`, nil, "Spark"},
		{"name only", `"limit_name":"fox",`, nil, "fox"},
		{"as the headers name it", `"metered_limit_name":"codex_fox",`, shown, "Spark"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			windows, _ := readRateLimits([]byte(`{`+tt.fields+`"rate_limits":{"primary":{"used_percent":1}}}`), tt.headers, now)
			if len(windows) != 1 || windows[0].Name != tt.want {
				t.Errorf("windows %v, want %s", windows, tt.want)
			}
		})
	}
}

func TestHeadGivesUpAtOneMiB(t *testing.T) {
	filler := strings.Repeat(": "+strings.Repeat("x", 1021)+"\n", 1<<10)
	for name, stream := range map[string]string{
		"comments": filler + limited,
		"one line": "data: " + filler,
		"JSON":     `{"error":"` + filler,
	} {
		t.Run(name, func(t *testing.T) {
			var head Head
			head.Feed([]byte(stream[:headLimit-1]))
			if out := head.Outcome(now, 200, nil); out.Class != ClassMore {
				t.Errorf("before 1 MiB: class %q", out.Class)
			}
			head.Feed([]byte(stream[headLimit-1:]))
			if out := head.Outcome(now, 200, nil); out.Class != ClassOutput {
				t.Errorf("at 1 MiB: class %q", out.Class)
			}
			if head.scanner.line != nil || head.scanner.data != nil || head.json != nil {
				t.Error("the bytes are still held")
			}
		})
	}
}

func TestHeadForgetsWhatItConsumed(t *testing.T) {
	var head Head
	for range 500 {
		head.Feed([]byte(created))
	}
	if held := cap(head.scanner.line) + cap(head.scanner.data) + cap(head.json); held > 4<<10 {
		t.Errorf("%d bytes held after %d of preambles", held, 500*len(created))
	}
}

// TestHeadAnySplit: however a stream is cut into pieces, it means the same.
func TestHeadAnySplit(t *testing.T) {
	parts := []string{created, delta, limited, rates, ": c\r\n", "\r\n", "\n", "\r", "data:", "data: {\"type\":", "é", "\xef\xbb\xbf", "event: error\n",
		`data: {"code":"slow_down"}`, `{"error":{"code":"slow_down"}}`, "[DONE]", strings.ReplaceAll(limited, "\n", "\r\n")}
	rapid.Check(t, func(t *rapid.T) {
		stream := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 12).Draw(t, "parts"), ""))
		var whole, pieces Head
		whole.Feed(stream)
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pieces.Feed(rest[:n])
			rest = rest[n:]
		}
		if diff := cmp.Diff(whole.Outcome(now, 200, nil), pieces.Outcome(now, 200, nil)); diff != "" {
			t.Fatalf("%q: %s", stream, diff)
		}
	})
}
