package response

import "testing"

// BenchmarkClassifySuccess is the path of every good answer: its quota headers
// and the first events.
func BenchmarkClassifySuccess(b *testing.B) {
	headers := []Header{
		{"date", "Fri, 15 Jan 2027 08:00:00 GMT"}, {"content-type", "text/event-stream"}, {"cf-ray", "x"},
		{"x-codex-plan-type", "plus"}, {"x-codex-active-limit", "premium"},
		{"x-codex-primary-used-percent", "12.5"}, {"x-codex-primary-window-minutes", "300"},
		{"x-codex-primary-reset-at", "1800009000"}, {"x-codex-primary-reset-after-seconds", "9000"},
		{"x-codex-secondary-used-percent", "40"}, {"x-codex-secondary-window-minutes", "10080"},
		{"x-codex-secondary-reset-at", "1800604800"}, {"x-codex-secondary-reset-after-seconds", "604800"},
		{"x-codex-credits-has-credits", "False"}, {"openai-model", "gpt-5.5"}, {"x-request-id", "r"},
	}
	body := []byte(created + event("response.output_text.delta", `{"type":"response.output_text.delta","delta":"x"}`))
	b.ReportAllocs()
	for b.Loop() {
		if out := Classify(200, headers, body, now); len(out.Windows) != 2 || out.Class != ClassOutput {
			b.Fatal(out)
		}
	}
}
