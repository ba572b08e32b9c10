package response

import (
	"strings"
	"testing"
)

func item(index, text string) string {
	return event("response.output_item.done", `{"type":"response.output_item.done",`+index+`"item":{"text": "`+text+`"}}`)
}

func done(response string) string {
	return event("response.completed", `{"type":"response.completed","response":`+response+`}`)
}

func TestCollapse(t *testing.T) {
	const (
		a = `{"text": "a"}`
		b = `{"text": "b"}`
	)
	ab := item(`"output_index":1,`, "b") + item(`"output_index":0,`, "a")
	failed := func(e string) string { return event("response.failed", `{"response":{"error":`+e+`}}`) }
	tests := []struct {
		name   string
		sse    string
		status int
		body   string
	}{
		{"bytes as they are", delta + done(`{ "z": 1.0, "a":"\u00e9<" , "output" : [1] }`), 200, `{ "z": 1.0, "a":"\u00e9<" , "output" : [1] }`},
		{"output there: items ignored", ab + done(`{"output":[1]}`), 200, `{"output":[1]}`},
		{"output empty: items in their order", ab + done(`{"output": [ ],"u":1}`), 200, `{"output": [` + a + `,` + b + `],"u":1}`},
		{"output null", ab + done(`{"id":"r","output":null}`), 200, `{"id":"r","output":[` + a + `,` + b + `]}`},
		{"output absent", ab + done(`{"id":"r" }`), 200, `{"id":"r","output":[` + a + `,` + b + `]}`},
		{"output absent, nothing else", ab + done(`{}`), 200, `{"output":[` + a + `,` + b + `]}`},
		{"items without an index", item("", "a") + item("", "b") + done(`{"output":[]}`), 200, `{"output":[` + a + `,` + b + `]}`},
		{"an item sent twice", item(`"output_index":0,`, "b") + item(`"output_index":0,`, "a") + done(`{"output":[]}`), 200, `{"output":[` + a + `]}`},
		{"no items", done(`{"output":[]}`), 200, `{"output":[]}`},
		{"incomplete is an answer", ab + event("response.incomplete", `{"response":{"status":"incomplete","output":[]}}`), 200, `{"status":"incomplete","output":[` + a + `,` + b + `]}`},
		{"CRLF, BOM, no blank line", "\xef\xbb\xbf" + strings.TrimRight(strings.ReplaceAll(done(`{"a":1}`), "\n", "\r\n"), "\r\n"), 200, `{"a":1}`},
		{"data on two lines", "data: {\"type\":\"response.completed\",\ndata: \"response\":{\"a\":1}}\n\n", 200, `{"a":1}`},
		{"what follows the end is ignored", done(`{"a":1}`) + limited + "data: [DONE]\n\n", 200, `{"a":1}`},
		{"JSON already", " {\"output\": []}\n", 200, `{"output": []}`},

		{"cut in the last event", strings.TrimSuffix(done(`{"a":1}`), "}\n\n"), 502, `{"error":{"message":"the stream ended before the response was complete","type":"server_error","code":"incomplete_stream"}}`},
		{"empty", "", 502, `{"error":{"message":"the stream ended before the response was complete","type":"server_error","code":"incomplete_stream"}}`},
		{"completed without a response", event("response.completed", `{"type":"response.completed"}`), 502, `{"error":{"message":"the stream ended before the response was complete","type":"server_error","code":"incomplete_stream"}}`},

		{"rate limit", failed(`{"code":"rate_limit_exceeded","message":"m"}`), 429, `{"error":{"message":"m","type":"rate_limit_error","code":"rate_limit_exceeded"}}`},
		{"quota", failed(`{"type":"usage_limit_reached","message":"m"}`), 429, `{"error":{"message":"m","type":"usage_limit_reached","code":"usage_limit_reached"}}`},
		{"overload", failed(`{"code":"server_is_overloaded","message":"m"}`), 503, `{"error":{"message":"m","type":"server_error","code":"server_is_overloaded"}}`},
		{"context", failed(`{"code":"context_length_exceeded","message":"m"}`), 400, `{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}`},
		{"model", failed(`{"code":"model_not_found","message":"m"}`), 400, `{"error":{"message":"m","type":"invalid_request_error","code":"model_not_found"}}`},
		{"auth is no 401 of ours", failed(`{"code":"token_expired","message":"m"}`), 400, `{"error":{"message":"m","type":"invalid_request_error","code":"token_expired"}}`},
		{"no error at all", failed(`null`), 400, `{"error":{"message":"the response failed: response_failed","type":"invalid_request_error","code":"response_failed"}}`},
		{"error event", ab + event("error", `{"type":"error","code":"slow_down","message":"m"}`), 503, `{"error":{"message":"m","type":"server_error","code":"slow_down"}}`},
		{"JSON error", `{"error":{"code":"usage_limit_reached","message":"m"}}`, 429, `{"error":{"message":"m","type":"rate_limit_error","code":"usage_limit_reached"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Collapse([]byte(tt.sse), now)
			if got.Status != tt.status || string(got.Body) != tt.body {
				t.Errorf("%d %s\nwant %d %s", got.Status, got.Body, tt.status, tt.body)
			}
		})
	}
}
