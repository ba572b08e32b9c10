package sim_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

const encryptedBody = `{"model":"gpt-5.5","instructions":"I","input":[{"type":"reasoning","summary":[],"encrypted_content":"x"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`

// faultCase says what a caller sees of a fault: the first call, struck once, and
// the call after it.
type faultCase struct {
	call   func(r *rig, seat *sim.Seat) reply
	status int    // 0: no answer
	says   string // in body or headers
	cut    bool   // the body ends too soon
	next   int    // status of the same call again
}

func plainCall(r *rig, seat *sim.Seat) reply { return r.model(seat, goodBody) }

func refreshCall(r *rig, seat *sim.Seat) reply { return r.refresh(seat.Tokens().Refresh) }

func usageCall(r *rig, seat *sim.Seat) reply {
	return r.do("GET", r.Backend()+"/wham/usage", "", modelHeaders(seat)...)
}

func releaseCall(r *rig, _ *sim.Seat) reply { return r.do("GET", r.GitHubAPI()+releasePath, "") }

func rawCall(r *rig, _ *sim.Seat) reply { return r.do("GET", r.rawURL(modelsFile), "") }

func pollCall(r *rig, _ *sim.Seat) reply { return r.poll(r.deviceStart()) }

// heldCall releases the call as soon as it is held.
func heldCall(call func(*rig, *sim.Seat) reply) func(*rig, *sim.Seat) reply {
	return func(r *rig, seat *sim.Seat) reply {
		done := make(chan reply)
		go func() { done <- call(r, seat) }()
		calls, err := r.Wait(r.ctx, func(calls []sim.Call) bool {
			return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Held && c.End == "" }) ||
				slices.ContainsFunc(calls, func(c sim.Call) bool { return c.End != "" })
		})
		if err != nil {
			r.t.Fatalf("no call was held: %v in %+v", err, calls)
		}
		r.Release()
		return <-done
	}
}

func faultCases() map[string]faultCase {
	m, rf := plainCall, refreshCall
	return map[string]faultCase{
		"weekly-limit":              {m, 429, `"resets_in_seconds":604800`, false, 429},
		"five-hour-limit":           {m, 429, `"resets_in_seconds":18000`, false, 429},
		"both-limits":               {m, 429, `X-Codex-Primary-Used-Percent: 100`, false, 429},
		"model-limit":               {m, 429, `X-Codex-Active-Limit: sim_extra`, false, 429},
		"limit-404":                 {m, 404, `usage_limit_reached`, false, 429},
		"limit-in-stream":           {m, 200, `"code":"usage_limit_reached"`, false, 429},
		"limit-after-output":        {m, 200, `"code":"usage_limit_reached"`, false, 429},
		"rate-limit-short":          {m, 429, `Retry-After: 3`, false, 200},
		"rate-limit-long":           {m, 429, `Retry-After: 120`, false, 200},
		"overload-429":              {m, 429, `server_is_overloaded`, false, 200},
		"overload-503":              {m, 503, `server_is_overloaded`, false, 200},
		"error-500":                 {m, 500, `"code":"server_error"`, false, 200},
		"html-502":                  {m, 502, `<html>`, false, 200},
		"unauthorized":              {m, 401, `{"error":{"message":"Unauthorized"}}`, false, 401},
		"token-expired":             {m, 401, `"token_expired"`, false, 401},
		"token-invalidated":         {m, 401, `invalidated oauth token`, false, 401},
		"workspace-deactivated":     {m, 402, `{"detail":{"code":"deactivated_workspace"}}`, false, 200},
		"workspace-disabled":        {m, 403, `workspace_disabled`, false, 200},
		"model-not-supported":       {m, 400, `The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.`, false, 200},
		"not-in-plan":               {m, 429, `usage_not_included`, false, 200},
		"invalid-encrypted-content": {func(r *rig, s *sim.Seat) reply { return r.model(s, encryptedBody) }, 400, `"invalid_encrypted_content"`, false, 200},
		"context-length":            {m, 400, `context_length_exceeded`, false, 200},
		"redirect":                  {m, 307, `/elsewhere`, false, 200},
		"reset-connection":          {m, 0, ``, false, 200},
		"hang-headers":              {heldCall(m), 200, `response.completed`, false, 200},
		"usage-500":                 {usageCall, 500, `Internal Server Error`, false, 200},
		"usage-hang":                {heldCall(usageCall), 200, `plan_type`, false, 200},

		"stream-cut":               {m, 200, `"delta":"Hello "`, true, 200},
		"stream-cut-before-output": {m, 200, `response.in_progress`, true, 200},
		"failed-after-output":      {m, 200, `"code":"server_error"`, false, 200},
		"overload-in-stream":       {m, 200, `"code":"server_is_overloaded"`, false, 200},
		"rate-limit-in-stream":     {m, 200, `"code":"rate_limit_exceeded"`, false, 200},
		"error-in-stream":          {m, 200, `event: error`, false, 200},
		"incomplete":               {m, 200, `event: response.incomplete`, false, 200},
		"slow-stream":              {heldCall(m), 200, `response.completed`, false, 200},
		"slow-start":               {heldCall(m), 200, `response.completed`, false, 200},
		"split-stream":             {m, 200, "event: response.completed\r\n", false, 200},
		"empty-body":               {m, 200, `text/event-stream`, false, 200},

		"refresh-500":           {rf, 500, `server_error`, false, 200},
		"refresh-429":           {rf, 429, `Retry-After: 10`, false, 200},
		"refresh-hang":          {heldCall(rf), 200, `rt_`, false, 200},
		"refresh-lost":          {spentCall, 0, ``, false, 400},
		"refresh-reset":         {rf, 0, ``, false, 200},
		"refresh-invalid-grant": {rf, 400, `{"error":"invalid_grant"}`, false, 200},
		"refresh-reused":        {rf, 400, `{"error":"invalid_grant","code":"refresh_token_reused"}`, false, 200},
		"refresh-expired":       {rf, 400, `refresh_token_expired`, false, 200},
		"refresh-html":          {rf, 403, `<html>`, false, 200},
		"refresh-html-200":      {rf, 200, `<html>`, false, 200},
		"refresh-bad-token":     {rf, 200, `"access_token":"not-a-jwt"`, false, 200},
		"refresh-no-rotation":   {rf, 200, `"token_type"`, false, 200},
		"refresh-redirect":      {rf, 307, `/elsewhere`, false, 200},

		"authorize-denied": {func(r *rig, _ *sim.Seat) reply { got, _ := r.authorize(nil); return got }, 302, `error=access_denied&state=` + state, false, 302},
		"exchange-500": {func(r *rig, _ *sim.Seat) reply {
			_, back := r.authorize(nil)
			return r.token(exchangeForm(back.Get("code")))
		}, 500, `server_error`, false, 200},
		"device-disabled": {func(r *rig, _ *sim.Seat) reply {
			return r.postJSON(deviceCodePath, `{"client_id":"`+sim.DefaultClientID+`"}`)
		}, 404, `Not Found`, false, 200},
		"device-slow-down": {pollCall, 429, `Retry-After: 10`, false, 403},
		"device-500":       {pollCall, 500, ``, false, 403},

		"github-304":        {releaseCall, 304, ``, false, 200},
		"github-500":        {releaseCall, 500, `Server Error`, false, 200},
		"github-html":       {rawCall, 200, `<html>`, false, 200},
		"github-hang":       {heldCall(releaseCall), 200, `tag_name`, false, 200},
		"github-rate-limit": {releaseCall, 403, `X-Ratelimit-Remaining: 0`, false, 200},
		"raw-404":           {rawCall, 404, `Not Found`, false, 200},
		"raw-garbage":       {rawCall, 200, `{"models"`, false, 200},
	}
}

// spentCall presents the seat's first token every time.
func spentCall(r *rig, seat *sim.Seat) reply {
	for _, c := range r.Calls(sim.KindRefresh) {
		_, token, _ := strings.Cut(c.Body, "refresh_token=rt_")
		token, _, _ = strings.Cut(token, "&")
		return r.refresh("rt_" + token)
	}
	return refreshCall(r, seat)
}

func TestEveryFault(t *testing.T) {
	cases := faultCases()
	for _, info := range sim.Faults() {
		c, ok := cases[info.Name]
		if !ok {
			t.Errorf("the fault %s has no case", info.Name)
			continue
		}
		t.Run(info.Name, func(t *testing.T) {
			r := start(t, sim.Options{})
			seat := r.AddSeat(sim.Seat{})
			if err := r.AddFault(sim.Fault{Name: info.Name, Times: 1}); err != nil {
				t.Fatal(err)
			}
			got := c.call(r, seat)
			checkStruck(t, r, info, c, got)
			// The call after it, held by nothing.
			next := c
			if info.Name == "invalid-encrypted-content" {
				next.call = plainCall
			}
			if again := next.call(r, seat); again.status != c.next {
				t.Errorf("the next call: %d %s", again.status, again.body)
			}
			if r.last().Fault != "" {
				t.Error("the fault struck twice")
			}
		})
		delete(cases, info.Name)
	}
	for name := range cases {
		t.Errorf("there is no fault %s", name)
	}
}

func checkStruck(t *testing.T, r *rig, info sim.FaultInfo, c faultCase, got reply) {
	t.Helper()
	var seen strings.Builder
	if err := got.header.Write(&seen); err != nil {
		t.Fatal(err)
	}
	if got.status != c.status || !strings.Contains(seen.String()+got.body, c.says) {
		t.Errorf("got %d, err %v\n%s%s", got.status, got.err, seen.String(), got.body)
	}
	switch {
	case c.status == 0 && !errors.Is(got.err, syscall.ECONNRESET):
		t.Errorf("err = %v, want a reset connection", got.err)
	case c.cut != errors.Is(got.err, io.ErrUnexpectedEOF):
		t.Errorf("err = %v, cut is %v", got.err, c.cut)
	}
	struck := r.last()
	if struck.Fault != info.Name || !slices.Contains(info.Kinds, struck.Kind) || info.Means == "" {
		t.Errorf("the call does not tell its fault: %+v", struck)
	}
	if struck.Held != strings.Contains(info.Means, "until Release") {
		t.Errorf("held: %v", struck.Held)
	}
	if want := map[bool]sim.End{true: sim.EndCut, false: sim.EndAnswered}[c.cut || c.status == 0]; struck.End != want {
		t.Errorf("end %q, want %q", struck.End, want)
	}
}

// TestFaultDetails looks closer where one text in the answer is not enough.
func TestFaultDetails(t *testing.T) {
	before := []string{"response.created", "response.in_progress"}
	cases := []struct {
		fault string
		check func(t *testing.T, r *rig, seat *sim.Seat, got reply)
	}{
		{"limit-in-stream", func(t *testing.T, _ *rig, _ *sim.Seat, got reply) {
			if types, _ := got.events(); !slices.Equal(types, append(before, "response.failed")) {
				t.Errorf("events %q", types)
			}
			if used := got.header.Get("X-Codex-Secondary-Used-Percent"); used != "0" {
				t.Errorf("the headers came before the limit, but say %s", used)
			}
		}},
		{"limit-after-output", func(t *testing.T, _ *rig, _ *sim.Seat, got reply) {
			types, _ := got.events()
			if n := len(types); types[n-1] != "response.failed" || types[n-2] != "response.output_text.delta" {
				t.Errorf("events %q", types)
			}
		}},
		{"stream-cut-before-output", func(t *testing.T, _ *rig, _ *sim.Seat, got reply) {
			if types, _ := got.events(); !slices.Equal(types, before) {
				t.Errorf("events %q", types)
			}
		}},
		{"error-in-stream", func(t *testing.T, _ *rig, _ *sim.Seat, got reply) {
			if types, _ := got.events(); !slices.Equal(types, append(before, "error")) {
				t.Errorf("events %q", types)
			}
		}},
		{"empty-body", func(t *testing.T, _ *rig, _ *sim.Seat, got reply) {
			if got.body != "" {
				t.Errorf("body %q", got.body)
			}
		}},
		{"both-limits", func(t *testing.T, _ *rig, seat *sim.Seat, _ reply) {
			if seat.Used(sim.Primary) != 100 || seat.Used(sim.Secondary) != 100 {
				t.Error("a window is not spent")
			}
		}},
		{"model-limit", func(t *testing.T, r *rig, seat *sim.Seat, _ reply) {
			if got := r.model(seat, strings.Replace(goodBody, "gpt-5.5", "gpt-6-sol", 1)); got.status != 200 {
				t.Errorf("another model: %d %s", got.status, got.body)
			}
		}},
		{"token-expired", func(t *testing.T, r *rig, seat *sim.Seat, _ reply) {
			refreshCall(r, seat)
			if got := r.model(seat, goodBody); got.status != 200 {
				t.Errorf("the renewed token: %d %s", got.status, got.body)
			}
		}},
		{"token-invalidated", func(t *testing.T, r *rig, seat *sim.Seat, _ reply) {
			if got := refreshCall(r, seat); !strings.Contains(got.body, "refresh_token_invalidated") {
				t.Errorf("refresh: %d %s", got.status, got.body)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			r := start(t, sim.Options{})
			seat := r.AddSeat(sim.Seat{})
			if err := r.AddFault(sim.Fault{Name: c.fault, Times: 1}); err != nil {
				t.Fatal(err)
			}
			c.check(t, r, seat, r.model(seat, goodBody))
		})
	}
}

func TestNoRotationKeepsTheToken(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	first := seat.Tokens()
	if err := r.AddFault(sim.Fault{Name: "refresh-no-rotation"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got := decode[tokens](t, r.refresh(first.Refresh).body)
		if got.Refresh != "" || got.Access == "" || got.Access != seat.Tokens().Access || seat.Tokens().Refresh != first.Refresh {
			t.Fatalf("answer %+v", got)
		}
	}
}

func TestWhomAFaultStrikes(t *testing.T) {
	r := start(t, sim.Options{})
	ann, bob := r.AddSeat(sim.Seat{Name: "ann"}), r.AddSeat(sim.Seat{Name: "bob"})
	for _, f := range []sim.Fault{
		{Name: "error-500", Seat: "ann", Times: 2},
		{Name: "html-502", Model: "gpt-6-luna"},
		{Name: "refresh-500", Seat: "bob"},
	} {
		if err := r.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
	luna := strings.Replace(goodBody, "gpt-5.5", "gpt-6-luna", 1)
	for i, c := range []struct {
		seat   *sim.Seat
		body   string
		status int
	}{
		{bob, goodBody, 200},
		{ann, `{}`, 400}, // refused: it uses nothing up
		{ann, goodBody, 500},
		{ann, luna, 500}, // the oldest fault that fits
		{ann, goodBody, 200},
		{ann, luna, 502},
		{bob, luna, 502},
	} {
		if got := r.model(c.seat, c.body); got.status != c.status {
			t.Errorf("call %d: %d, want %d", i, got.status, c.status)
		}
	}
	if got := refreshCall(r, bob); got.status != 500 {
		t.Errorf("bob's refresh: %d", got.status)
	}
	if got := refreshCall(r, ann); got.status != 200 {
		t.Errorf("ann's refresh: %d", got.status)
	}
	r.ClearFaults()
	if got := r.model(bob, luna); got.status != 200 {
		t.Errorf("after ClearFaults: %d", got.status)
	}
}

func TestFaultSeconds(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	for _, f := range []sim.Fault{{Name: "rate-limit-long", Seconds: 7, Times: 1}, {Name: "weekly-limit", Seconds: 30, Times: 1}} {
		if err := r.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.model(seat, goodBody); got.header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	if got := r.model(seat, goodBody); !strings.Contains(got.body, `"resets_in_seconds":30`) {
		t.Errorf("body %s", got.body)
	}
	r.clock.advance(30 * time.Second)
	if got := r.model(seat, goodBody); got.status != 200 {
		t.Errorf("after its reset: %d", got.status)
	}
}

func TestBadFaults(t *testing.T) {
	r := start(t, sim.Options{})
	for _, f := range []sim.Fault{{Name: "no-such"}, {Name: "error-500", Times: -1}, {Name: "error-500", Seconds: -1}, {Name: "error-500", Seat: "nobody"}} {
		if r.AddFault(f) == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

// TestClientThatHangsUp ends a held stream from the other side.
func TestClientThatHangsUp(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	if err := r.AddFault(sim.Fault{Name: "slow-stream"}); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.ctx, "POST", r.Backend()+"/codex/responses", strings.NewReader(goodBody))
	if err != nil {
		t.Fatal(err)
	}
	headers := modelHeaders(seat)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Wait(r.ctx, func(calls []sim.Call) bool { return calls[0].End == sim.EndGone }); err != nil {
		t.Errorf("%v: %+v", err, r.Calls())
	}
}
