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
