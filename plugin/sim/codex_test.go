package sim_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"codex-rota/plugin/sim"
)

func zipped(t *testing.T, encoding, text string) string {
	t.Helper()
	var out bytes.Buffer
	switch encoding {
	case "gzip":
		w := gzip.NewWriter(&out)
		w.Write([]byte(text))
		w.Close()
	case "zstd":
		w, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
		w.Close()
	}
	return out.String()
}

// TestCompressedBodies: the checks see what was compressed, and so does a test.
func TestCompressedBodies(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	for _, encoding := range []string{"gzip", "zstd"} {
		if got := r.model(seat, zipped(t, encoding, goodBody), "Content-Encoding", encoding); got.status != 200 || !strings.Contains(got.body, "Hello") {
			t.Errorf("%s: %d %s", encoding, got.status, got.body)
		}
		if c := r.last(); c.Body != goodBody || c.Headers.Get("Content-Encoding") != encoding {
			t.Errorf("%s: recorded %q", encoding, c.Body)
		}
		bad := strings.Replace(goodBody, `"store":false`, `"store":true`, 1)
		if got := r.model(seat, zipped(t, encoding, bad), "Content-Encoding", encoding); got.status != 400 || !strings.Contains(r.last().Refused, "store") {
			t.Errorf("%s: a bad body was answered %d, refused %q", encoding, got.status, r.last().Refused)
		}
		if got := r.model(seat, zipped(t, encoding, goodBody)[:20], "Content-Encoding", encoding); got.status != 400 || !strings.Contains(r.last().Refused, encoding) {
			t.Errorf("%s: a body cut short was answered %d, refused %q", encoding, got.status, r.last().Refused)
		}
	}
}

// TestCompact: a history goes in, one item comes out that its account alone can read.
func TestCompact(t *testing.T) {
	const history = `{"model":"gpt-5.5","instructions":"I","input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}`
	r := start(t, sim.Options{})
	ann, bob := r.AddSeat(sim.Seat{Name: "ann"}), r.AddSeat(sim.Seat{Name: "bob"})
	ask := func(seat *sim.Seat, body string, headers ...string) reply {
		return r.do("POST", r.Backend()+"/codex/responses/compact", body, append(modelHeaders(seat), headers...)...)
	}
	got := ask(ann, history)
	out := decode[struct {
		Output []struct {
			Type      string
			Encrypted string `json:"encrypted_content"`
		}
	}](t, got.body).Output
	if len(out) != 1 || out[0].Type != "compaction" || out[0].Encrypted == "" || got.header.Get("X-Codex-Primary-Used-Percent") == "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if c := r.last(); c.Kind != sim.KindCompact || c.Seat != "ann" || c.Model != "gpt-5.5" || len(c.Notes) > 0 {
		t.Errorf("call %+v", c)
	}
	again := strings.Replace(history, `[{`, `[{"type":"compaction","encrypted_content":"`+out[0].Encrypted+`"},{`, 1)
	for seat, want := range map[*sim.Seat]int{ann: 0, bob: 1} {
		if got := ask(seat, again); got.status != 200 || len(r.last().Notes) != want {
			t.Errorf("%s: %d, notes %q", seat.Name, got.status, r.last().Notes)
		}
	}
	for why, got := range map[string]func() reply{
		"no input":             func() reply { return ask(ann, `{"model":"gpt-5.5","input":[]}`) },
		"no model":             func() reply { return ask(ann, strings.Replace(history, "gpt-5.5", "", 1)) },
		"no JSON object":       func() reply { return ask(ann, "[]") },
		"content-type":         func() reply { return ask(ann, history, "Content-Type", "text/plain") },
		"no authorization":     func() reply { return ask(ann, history, "Authorization", "") },
		"content-encoding br":  func() reply { return ask(ann, history, "Content-Encoding", "br") },
		"method GET":           func() reply { return r.do("GET", r.Backend()+"/codex/responses/compact", "", modelHeaders(ann)...) },
		"chatgpt-account-id":   func() reply { return ask(ann, history, "ChatGPT-Account-Id", bob.AccountID) },
		"unknown access token": func() reply { return ask(ann, history, "Authorization", "Bearer x") },
	} {
		if reply := got(); reply.status < 400 || !strings.Contains(r.last().Refused, why) {
			t.Errorf("%s: answered %d, refused %q", why, reply.status, r.last().Refused)
		}
	}
	ann.SetWindow(sim.Window{Name: sim.Secondary, UsedPercent: 100, Minutes: 10080, ResetAt: r.clock.Now().Add(time.Hour)})
	if got := ask(ann, history); got.status != 429 || !strings.Contains(got.body, "usage_limit_reached") {
		t.Errorf("a spent seat: %d %s", got.status, got.body)
	}
}

// TestCompactionTrigger: the other way to compact, inside a model call.
func TestCompactionTrigger(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.model(r.AddSeat(sim.Seat{}), strings.Replace(goodBody, `}],"include"`, `},{"type":"compaction_trigger"}],"include"`, 1))
	types, data := got.events()
	if want := []string{"response.created", "response.in_progress", "response.output_item.added", "response.output_item.done", "response.completed"}; !slices.Equal(types, want) {
		t.Errorf("events %q", types)
	}
	if len(data) < 4 || !strings.Contains(data[3], `"item":{"type":"compaction","id":"cmp_`) || !strings.Contains(data[3], `"encrypted_content":"gAAAAA_`) {
		t.Errorf("data %q", data)
	}
}

// TestUpgrade: a WebSocket is counted and refused with 426, which only who has a
// token is told.
func TestUpgrade(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{Name: "ann"})
	headers := append(modelHeaders(seat), "Connection", "Upgrade", "Upgrade", "WebSocket")
	if got := r.do("GET", r.Backend()+"/codex/responses", "", headers...); got.status != 426 || got.header.Get("Upgrade") != "websocket" {
		t.Errorf("answered %d, %q", got.status, got.header)
	}
	if calls := r.Calls(sim.KindUpgrade); len(calls) != 1 || calls[0].Seat != "ann" || calls[0].Refused != "" {
		t.Errorf("calls %+v", calls)
	}
	if got := r.do("GET", r.Backend()+"/codex/responses", "", append(headers, "Authorization", "")...); got.status != 401 {
		t.Errorf("without a token: %d", got.status)
	}
}

// TestCatalogueOfCodex: the fields that Codex 0.169.0 takes no catalogue without,
// each found by leaving it out.
func TestCatalogueOfCodex(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.do("GET", r.Backend()+"/codex/models?client_version=0.169.0", "", modelHeaders(r.AddSeat(sim.Seat{}))...)
	for _, m := range decode[struct{ Models []map[string]json.RawMessage }](t, got.body).Models {
		for _, field := range []string{"slug", "display_name", "supported_reasoning_levels", "shell_type", "visibility", "supported_in_api",
			"priority", "support_verbosity", "truncation_policy", "experimental_supported_tools", "base_instructions"} {
			if v := string(m[field]); v == "" || v == "null" {
				t.Errorf("%s has no %s", m["slug"], field)
			}
		}
	}
}
