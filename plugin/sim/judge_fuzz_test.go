package sim

import (
	"encoding/json"
	"testing"
)

// FuzzJudgeBody: whatever comes, the judge decides; what it accepts has the two
// fields without which the backend never answers.
func FuzzJudgeBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"input":null}`, `{"model":"-","input":[null]}`,
		`{"model":"gpt-5.5","instructions":"I","input":[{"role":"user","content":"hi"}],"store":false,"stream":true}`,
		`{"model":"gpt-6-sol","input":[{"type":"additional_tools","role":"developer"},{"role":"developer","content":[null]}],"parallel_tool_calls":false,"reasoning":{"context":"all_turns"},"store":false,"stream":true}`,
		`{"model":"m","instructions":"I","input":[{"type":"_output","call_id":"c"},{"type":"function_call","call_id":"c","arguments":"{}"}],"store":false,"stream":true}`,
	} {
		f.Add([]byte(seed), true, false)
		f.Add([]byte(seed), false, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, lite, fromCodex bool) {
		q, _, r := judgeBody(body, lite, fromCodex)
		if r != nil {
			if r.why == "" || r.answer.status < 400 || !json.Valid([]byte(r.answer.body)) {
				t.Errorf("a refusal without reason or answer: %+v", r)
			}
			return
		}
		if q == nil || *q.Store || !*q.Stream || q.Model == "" {
			t.Errorf("accepted: %s", body)
		}
	})
}
