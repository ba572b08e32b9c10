package sim_test

import (
	"net/http"
	"strings"
	"testing"

	"codex-rota/plugin/sim"
)

// TestControl drives a simulation as another process would.
func TestControl(t *testing.T) {
	r := start(t, sim.Options{})
	added := decode[struct{ Name, AccountID, AccessToken, RefreshToken string }](t,
		r.do("POST", r.Control()+"/seats", `{"name":"ann","accountId":"acc-1","cost":10,"expiresInSeconds":60}`).body)
	seats := r.Seats()
	if len(seats) != 1 || added.Name != "ann" || added.AccountID != "acc-1" || added.AccessToken != seats[0].Tokens().Access || added.RefreshToken != seats[0].Tokens().Refresh {
		t.Fatalf("seat %+v", added)
	}
	if got := r.do("GET", r.Control()+"/seats", ""); !strings.Contains(got.body, `"name":"ann"`) {
		t.Errorf("seats %s", got.body)
	}
	if got := r.do("GET", r.Control()+"/faults", ""); !strings.Contains(got.body, `"weekly-limit"`) {
		t.Errorf("faults %s", got.body)
	}
	if got := r.do("POST", r.Control()+"/faults", `{"name":"error-500","seat":"ann"}`); got.status != 200 {
		t.Errorf("add a fault: %s", got.body)
	}
	if got := r.model(seats[0], goodBody); got.status != 500 {
		t.Errorf("the fault does not strike: %d", got.status)
	}
	r.do("DELETE", r.Control()+"/faults", "")
	if got := r.model(seats[0], goodBody); got.status != 200 {
		t.Errorf("the fault is still there: %d", got.status)
	}
	refreshCall(r, seats[0])
	calls := decode[[]sim.Call](t, r.do("GET", r.Control()+"/calls?kind=responses", "").body)
	if len(calls) != 2 || calls[0].Status != 500 || calls[0].Fault != "error-500" || calls[1].Seat != "ann" {
		t.Errorf("calls %+v", calls)
	}
	r.do("POST", r.Control()+"/reset", "")
	if calls := decode[[]sim.Call](t, r.do("GET", r.Control()+"/calls", "").body); len(calls) != 0 {
		t.Errorf("after reset: %+v", calls)
	}
}

func TestControlRelease(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	if err := r.AddFault(sim.Fault{Name: "hang-headers"}); err != nil {
		t.Fatal(err)
	}
	done := make(chan reply)
	go func() { done <- r.model(seat, goodBody) }()
	if _, err := r.Wait(r.ctx, func(calls []sim.Call) bool { return len(calls) == 1 && calls[0].Held }); err != nil {
		t.Fatal(err)
	}
	r.do("POST", r.Control()+"/release", "")
	if got := <-done; got.status != 200 {
		t.Errorf("%d %v", got.status, got.err)
	}
}

func TestControlRefusesNonsense(t *testing.T) {
	r := start(t, sim.Options{})
	for _, c := range [][3]string{
		{"POST", "/faults", `{"name":"no-such"}`},
		{"POST", "/faults", `{`},
		{"POST", "/seats", `[]`},
		{"GET", "/nothing", ``},
		{"GET", "/reset", ``},
	} {
		if got := r.do(c[0], r.Control()+c[1], c[2]); got.status != http.StatusBadRequest || !strings.Contains(got.body, `"error"`) {
			t.Errorf("%s %s: %d %s", c[0], c[1], got.status, got.body)
		}
	}
	if n := len(r.Calls()) + len(r.Seats()); n != 0 {
		t.Error("control requests are no calls, and nonsense adds no seat")
	}
}
