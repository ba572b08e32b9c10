package sim_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

func (r *rig) postJSON(path, body string) reply {
	r.t.Helper()
	return r.do("POST", r.Issuer()+path, body, "Content-Type", "application/json")
}

type deviceStart struct {
	ID       string    `json:"device_auth_id"`
	UserCode string    `json:"user_code"`
	Interval string    `json:"interval"`
	Expires  time.Time `json:"expires_at"`
}

const (
	deviceCodePath = "/api/accounts/deviceauth/usercode"
	devicePollPath = "/api/accounts/deviceauth/token"
)

func (r *rig) deviceStart() deviceStart {
	r.t.Helper()
	got := r.postJSON(deviceCodePath, `{"client_id":"`+sim.DefaultClientID+`"}`)
	if got.status != 200 {
		r.t.Fatalf("%d %s", got.status, got.body)
	}
	return decode[deviceStart](r.t, got.body)
}

func (r *rig) poll(d deviceStart) reply {
	r.t.Helper()
	return r.postJSON(devicePollPath, `{"device_auth_id":"`+d.ID+`","user_code":"`+d.UserCode+`"}`)
}

func TestDeviceLogin(t *testing.T) {
	r := start(t, sim.Options{})
	r.AddSeat(sim.Seat{Name: "ann"})
	bob := r.AddSeat(sim.Seat{Name: "bob"})
	d := r.deviceStart()
	if d.Interval != "5" || !d.Expires.Equal(r.clock.Now().Add(15*time.Minute)) {
		t.Errorf("start %+v", d)
	}
	if got := r.poll(d); got.status != 403 {
		t.Errorf("pending: %d", got.status)
	}
	if err := r.ApproveDevice(d.UserCode, bob); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(5 * time.Second)
	got := r.poll(d)
	code := decode[struct {
		Code      string `json:"authorization_code"`
		Verifier  string `json:"code_verifier"`
		Challenge string `json:"code_challenge"`
	}](t, got.body)
	if got.status != 200 || challengeOf(code.Verifier) != code.Challenge || r.last().Seat != "bob" || r.last().Notes != nil {
		t.Fatalf("approved: %d %s %+v", got.status, got.body, r.last())
	}
	if again := r.poll(d); again.status != 400 {
		t.Errorf("the code was given twice: %d", again.status)
	}
	f := exchangeForm(code.Code)
	f.Set("code_verifier", code.Verifier)
	f.Set("redirect_uri", r.Issuer()+"/deviceauth/callback")
	if got := r.token(f); got.status != 200 || decode[tokens](t, got.body).Access != bob.Tokens().Access {
		t.Errorf("exchange: %d %s", got.status, got.body)
	}
}

func TestDeviceChecks(t *testing.T) {
	cases := []struct {
		name   string
		do     func(r *rig, d deviceStart) reply
		status int
		says   string
	}{
		{"another client", func(r *rig, _ deviceStart) reply { return r.postJSON(deviceCodePath, `{"client_id":"x"}`) }, 400, "client_id"},
		{"no JSON", func(r *rig, _ deviceStart) reply { return r.postJSON(deviceCodePath, `client_id=x`) }, 400, "JSON object"},
		{"a form", func(r *rig, _ deviceStart) reply {
			return r.do("POST", r.Issuer()+deviceCodePath, "client_id="+sim.DefaultClientID, "Content-Type", "application/x-www-form-urlencoded")
		}, 400, "JSON only"},
		{"a get", func(r *rig, _ deviceStart) reply { return r.do("GET", r.Issuer()+devicePollPath, "") }, 400, "POST only"},
		{"another user code", func(r *rig, d deviceStart) reply { d.UserCode = "x"; return r.poll(d) }, 400, "no device login"},
		{"expired", func(r *rig, d deviceStart) reply { r.clock.advance(16 * time.Minute); return r.poll(d) }, 400, "no device login"},
		{"polled too soon", func(r *rig, d deviceStart) reply { r.poll(d); r.clock.advance(2 * time.Second); return r.poll(d) }, 403, "the interval is 5s"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, sim.Options{})
			got := c.do(r, r.deviceStart())
			said := r.last().Refused + strings.Join(r.last().Notes, "")
			if got.status != c.status || !strings.Contains(said, c.says) {
				t.Errorf("%d %s: %s", got.status, got.body, said)
			}
		})
	}
	r := start(t, sim.Options{})
	if r.ApproveDevice("nope", r.AddSeat(sim.Seat{})) == nil {
		t.Error("an unknown user code was approved")
	}
}

func TestDevicePage(t *testing.T) {
	r := start(t, sim.Options{})
	r.AddSeat(sim.Seat{Name: "ann"})
	d := r.deviceStart()
	if got := r.do("GET", r.Issuer()+"/codex/device", ""); !strings.Contains(got.body, "<form") {
		t.Errorf("no form: %s", got.body)
	}
	for _, c := range []struct {
		code   string
		status int
	}{{"nope", 400}, {d.UserCode, 200}} {
		form := url.Values{"user_code": {c.code}}.Encode()
		if got := r.do("POST", r.Issuer()+"/codex/device", form, "Content-Type", "application/x-www-form-urlencoded"); got.status != c.status {
			t.Errorf("%s: %d", c.code, got.status)
		}
	}
	if got := r.poll(d); got.status != 200 || r.last().Seat != "ann" {
		t.Errorf("%d for %s", got.status, r.last().Seat)
	}
}
