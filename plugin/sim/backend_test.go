package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

func TestStreamOfAnAnswer(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.model(r.AddSeat(sim.Seat{Name: "ann"}), goodBody)
	types, data := got.events()
	want := []string{
		"response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
		"response.output_text.delta", "response.output_text.delta", "response.output_text.delta",
		"response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
	}
	if !slices.Equal(types, want) {
		t.Errorf("events %q", types)
	}
	text := ""
	for i, d := range data {
		e := decode[struct {
			Sequence int `json:"sequence_number"`
			Delta    string
		}](t, d)
		if e.Sequence != i {
			t.Errorf("event %d has sequence number %d", i, e.Sequence)
		}
		text += e.Delta
	}
	if text != "Hello from ann" {
		t.Errorf("text %q", text)
	}
	if begun := data[slices.Index(types, "response.output_item.added")]; !strings.Contains(begun, `"content":[]`) {
		t.Errorf("a message begins without content, which Codex does not take for one: %s", begun)
	}
	for h, want := range map[string]string{"Content-Type": "text/event-stream; charset=utf-8", "Openai-Model": "gpt-5.5", "X-Models-Etag": `"sim-models-1"`} {
		if got := got.header.Get(h); got != want {
			t.Errorf("%s: %q", h, got)
		}
	}
	if c := r.last(); c.Status != 200 || c.End != sim.EndAnswered || c.Seat != "ann" {
		t.Errorf("call %+v", c)
	}
}

func TestReplies(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	r.SetReply(func(c sim.Call) sim.Reply { return sim.Reply{Text: c.Seat + " says so"} })
	if got := r.model(seat, goodBody); !strings.Contains(got.body, "seat-1 says so") {
		t.Errorf("text: %s", got.body)
	}
	r.SetReply(func(sim.Call) sim.Reply {
		return sim.Reply{Tool: &sim.ToolCall{ID: "call_1", Name: "read", Arguments: `{"path":"x"}`}}
	})
	types, data := r.model(seat, goodBody).events()
	if !slices.Contains(types, "response.function_call_arguments.done") || !strings.Contains(strings.Join(data, ""), `"call_id":"call_1","name":"read","arguments":"{\"path\":\"x\"}"`) {
		t.Errorf("tool call: %s", data)
	}
	r.SetReply(nil)
	if got := r.model(seat, goodBody); !strings.Contains(got.body, "Hello from seat-1") {
		t.Errorf("default: %s", got.body)
	}
}

func TestStepPacesDeltas(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	step := make(chan struct{})
	r.SetReply(func(sim.Call) sim.Reply { return sim.Reply{Text: "one two", Step: step} })
	done := make(chan reply)
	go func() { done <- r.model(seat, goodBody) }()
	step <- struct{}{}
	if c := r.last(); c.End != "" {
		t.Errorf("the answer ended after one step: %s", c.End)
	}
	step <- struct{}{}
	if got := <-done; !strings.Contains(got.body, "response.completed") {
		t.Errorf("body %s", got.body)
	}
}

func TestPromptCachePerAccount(t *testing.T) {
	r := start(t, sim.Options{})
	ann, bob := r.AddSeat(sim.Seat{}), r.AddSeat(sim.Seat{})
	body := func(key string) string {
		return strings.Replace(goodBody, `"store":false`, `"prompt_cache_key":"`+key+`","store":false`, 1)
	}
	tokens := len(body("k")) / 4
	for i, c := range []struct {
		seat   *sim.Seat
		body   string
		cached int
	}{
		{ann, body("k"), 0},
		{ann, body("k"), tokens},
		{bob, body("k"), 0},
		{ann, body("l"), 0},
		{ann, strings.Replace(body("k"), `"stream"`, `"x":1,"stream"`, 1), strings.Index(body("k"), `stream"`) / 4},
	} {
		got := r.model(c.seat, c.body)
		if got.status != 200 || r.last().Cached != c.cached || !strings.Contains(got.body, fmt.Sprintf(`"cached_tokens":%d}`, c.cached)) {
			t.Errorf("call %d: %d cached, want %d", i, r.last().Cached, c.cached)
		}
	}
}

func TestTurnStateBelongsToAnAccount(t *testing.T) {
	r := start(t, sim.Options{})
	ann, bob := r.AddSeat(sim.Seat{}), r.AddSeat(sim.Seat{})
	state := r.model(ann, goodBody).header.Get("X-Codex-Turn-State")
	if got := r.model(ann, goodBody, "X-Codex-Turn-State", state); got.header.Get("X-Codex-Turn-State") != state || r.last().Notes != nil {
		t.Errorf("own state: %q, notes %q", got.header.Get("X-Codex-Turn-State"), r.last().Notes)
	}
	r.model(bob, goodBody, "X-Codex-Turn-State", state)
	if notes := r.last().Notes; !slices.Equal(notes, []string{"turn state of another account"}) {
		t.Errorf("notes %q", notes)
	}
}

func TestQuotaIsUsedUp(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{Cost: 50, Plan: "pro"})
	for i, want := range []struct {
		status int
		used   string
	}{{200, "50"}, {200, "100"}, {429, "100"}} {
		got := r.model(seat, goodBody)
		h := got.header
		if got.status != want.status || h.Get("X-Codex-Primary-Used-Percent") != want.used || h.Get("X-Codex-Primary-Window-Minutes") != "300" ||
			h.Get("X-Codex-Secondary-Window-Minutes") != "10080" || h.Get("X-Codex-Plan-Type") != "pro" {
			t.Errorf("call %d: %d %v", i, got.status, h)
		}
	}
	// The weekly window resets last, so it binds.
	got := r.model(seat, goodBody)
	e := decode[struct {
		Error struct {
			Type            string
			ResetsAt        int64 `json:"resets_at"`
			ResetsInSeconds int64 `json:"resets_in_seconds"`
		}
	}](t, got.body).Error
	if e.Type != "usage_limit_reached" || e.ResetsInSeconds != 10080*60 || e.ResetsAt != r.clock.Now().Unix()+e.ResetsInSeconds {
		t.Errorf("body %s", got.body)
	}
	if notes := r.last().Notes; !slices.Equal(notes, []string{sim.NoteLimited}) {
		t.Errorf("a second call after the refusal must be noted: %q", notes)
	}
	r.clock.advance(5 * time.Hour)
	if got := r.model(seat, goodBody); got.status != 429 || got.header.Get("X-Codex-Primary-Used-Percent") != "0" {
		t.Errorf("after 5 h: %d %v", got.status, got.header)
	}
	r.clock.advance(7 * 24 * time.Hour)
	if got := r.model(seat, goodBody); got.status != 200 || seat.Used(sim.Secondary) != 50 {
		t.Errorf("after a week: %d, used %v", got.status, seat.Used(sim.Secondary))
	}
}

func TestQuotaRules(t *testing.T) {
	cases := []struct {
		name   string
		window sim.Window
		status int
	}{
		{"99.6 is not exhausted", sim.Window{Name: sim.Primary, UsedPercent: 99.6, Minutes: 300}, 200},
		{"100 is", sim.Window{Name: sim.Primary, UsedPercent: 100, Minutes: 300}, 429},
		{"0 minutes is disabled", sim.Window{Name: sim.Primary, UsedPercent: 100, Minutes: 0}, 200},
		{"a named limit of this model", sim.Window{Name: "x", Model: "gpt-5.5", UsedPercent: 100, Minutes: 60}, 429},
		{"a named limit of another model", sim.Window{Name: "x", Model: "gpt-6-sol", UsedPercent: 100, Minutes: 60}, 200},
		{"code review", sim.Window{Name: "code_review", UsedPercent: 100, Minutes: 60}, 200},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, sim.Options{})
			seat := r.AddSeat(sim.Seat{})
			seat.SetWindow(c.window)
			got := r.model(seat, goodBody)
			if got.status != c.status {
				t.Errorf("%d %s", got.status, got.body)
			}
			if active := got.header.Get("X-Codex-Active-Limit"); (active == "x") != (c.window.Model == "gpt-5.5") {
				t.Errorf("active limit %q", active)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{Plan: "team"})
	seat.SetWindow(sim.Window{Name: sim.Primary, UsedPercent: 100, Minutes: 300})
	seat.SetWindow(sim.Window{Name: "batch", Model: "gpt-6-sol", UsedPercent: 25, Minutes: 60})
	seat.SetWindow(sim.Window{Name: "code_review", UsedPercent: 3, Minutes: 10080})
	got := r.do("GET", r.Backend()+"/wham/usage", "", modelHeaders(seat)...)
	type window struct {
		Used    float64 `json:"used_percent"`
		Seconds int     `json:"limit_window_seconds"`
		After   int     `json:"reset_after_seconds"`
		At      int64   `json:"reset_at"`
	}
	type limit struct {
		Reached bool   `json:"limit_reached"`
		Primary window `json:"primary_window"`
		Second  window `json:"secondary_window"`
	}
	u := decode[struct {
		Plan       string `json:"plan_type"`
		Limit      limit  `json:"rate_limit"`
		Review     limit  `json:"code_review_rate_limit"`
		Additional []struct {
			Name  string `json:"limit_name"`
			Limit limit  `json:"rate_limit"`
		} `json:"additional_rate_limits"`
	}](t, got.body)
	if want := (window{100, 18000, 18000, r.clock.Now().Unix() + 18000}); u.Plan != "team" || !u.Limit.Reached || u.Limit.Primary != want || u.Limit.Second.Seconds != 604800 {
		t.Errorf("account-wide: %s", got.body)
	}
	if u.Review.Primary.Used != 3 || len(u.Additional) != 1 || u.Additional[0].Name != "batch" || u.Additional[0].Limit.Primary.Used != 25 {
		t.Errorf("named: %s", got.body)
	}
	for _, c := range []struct {
		method, header string
		status         int
	}{{"POST", "X", 405}, {"GET", "Authorization", 401}, {"GET", "ChatGPT-Account-Id", 403}} {
		if got := r.do(c.method, r.Backend()+"/wham/usage", "", append(modelHeaders(seat), c.header, "")...); got.status != c.status {
			t.Errorf("%s without %s: %d", c.method, c.header, got.status)
		}
	}
}

func TestModels(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	got := r.do("GET", r.Backend()+"/codex/models?client_version=0.169.0", "", modelHeaders(seat)...)
	checkCatalogue(t, got.body)
	if got.header.Get("ETag") != `"sim-models-1"` {
		t.Errorf("ETag %q", got.header.Get("ETag"))
	}
	if got := r.do("GET", r.Backend()+"/codex/models", ""); got.status != 401 {
		t.Errorf("without a token: %d", got.status)
	}
	if got := r.do("GET", r.Backend()+"/codex/responses", "", modelHeaders(seat)...); got.status != 405 {
		t.Errorf("GET responses: %d", got.status)
	}
}
