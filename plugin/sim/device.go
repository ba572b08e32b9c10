package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"strconv"
	"time"
)

// device is one login by device code (FACTS-upstream 1).
type device struct {
	id       string
	userCode string
	expires  time.Time
	polled   time.Time
	seat     *Seat // nil until a person approved
	done     bool  // the authorization code was handed out
}

// ApproveDevice is the person typing the code on the device page, signed in as
// this seat.
func (s *Server) ApproveDevice(userCode string, seat *Seat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.userCode == userCode && d.seat == nil && s.opts.Now().Before(d.expires) {
			d.seat = seat
			return nil
		}
	}
	return fmt.Errorf("no device login waits for the code %q", userCode)
}

// deviceRequest is the body of both device requests.
type deviceRequest struct {
	ClientID string `json:"client_id"`
	ID       string `json:"device_auth_id"`
	UserCode string `json:"user_code"`
}

func (x *exchange) deviceRequest() (deviceRequest, string) {
	var q deviceRequest
	media, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	switch {
	case x.r.Method != "POST":
		return q, "the device endpoints take POST only"
	case media != "application/json":
		return q, "the device endpoints take JSON only"
	case json.Unmarshal(x.body, &q) != nil:
		return q, "the body is no JSON object"
	}
	return q, ""
}

// deviceCode starts a device login.
func (x *exchange) deviceCode() answer {
	q, why := x.deviceRequest()
	if why == "" && q.ClientID != x.s.opts.ClientID {
		why = "unknown client_id"
	}
	if why != "" {
		return x.refuse(why, apiError(400, "invalid_request_error", "invalid_request", why))
	}
	return x.strike(func() answer {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
		id := x.s.id("deviceauth_")
		d := &device{id: id, userCode: fmt.Sprintf("SIM%d-%05d", x.s.serial%10, x.s.serial), expires: x.s.opts.Now().Add(15 * time.Minute)}
		x.s.devices[id] = d
		// The interval is a string there, as the real answer has it.
		return answer{status: 200, body: toJSON(struct {
			ID       string `json:"device_auth_id"`
			UserCode string `json:"user_code"`
			Interval string `json:"interval"`
			Expires  string `json:"expires_at"`
		}{id, d.userCode, strconv.Itoa(x.s.opts.DeviceInterval), d.expires.UTC().Format(time.RFC3339)})}
	})
}

// devicePoll answers 403 until a person approved, then the code, once.
func (x *exchange) devicePoll() answer {
	q, why := x.deviceRequest()
	if why != "" {
		return x.refuse(why, apiError(400, "invalid_request_error", "invalid_request", why))
	}
	return x.strike(func() answer {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
		d, now := x.s.devices[q.ID], x.s.opts.Now()
		if d == nil || d.userCode != q.UserCode || d.done || now.After(d.expires) {
			x.call.Refused = "no device login waits for this id and code"
			return apiError(400, "invalid_request_error", "deviceauth_invalid", "This device login is not valid any more")
		}
		wait := time.Duration(x.s.opts.DeviceInterval) * time.Second
		if gap := now.Sub(d.polled); !d.polled.IsZero() && gap < wait {
			x.call.Notes = append(x.call.Notes, fmt.Sprintf("polled after %v, the interval is %v", gap, wait))
		}
		d.polled = now
		if d.seat == nil {
			return apiError(403, "invalid_request_error", "deviceauth_authorization_unknown", "Device authorization is unknown. Please try again.")
		}
		d.done = true
		x.call.Seat = d.seat.Name
		verifier := x.s.id("verifier-") + x.s.id("-")
		sum := sha256.Sum256([]byte(verifier))
		challenge := base64.RawURLEncoding.EncodeToString(sum[:])
		return answer{status: 200, body: toJSON(struct {
			Code      string `json:"authorization_code"`
			Challenge string `json:"code_challenge"`
			Verifier  string `json:"code_verifier"`
		}{x.s.newCode(d.seat, challenge, x.s.Issuer()+"/deviceauth/callback"), challenge, verifier})}
	})
}

// devicePage is where a person types the code: a form, and its answer.
func (x *exchange) devicePage() answer {
	if x.r.Method != "POST" {
		a := page(200, "Enter the code of your device")
		a.body += `<form method="post"><input name="user_code" autofocus><button>Approve</button></form>`
		return a
	}
	f, err := url.ParseQuery(string(x.body))
	if err != nil {
		return x.refuse("the form is malformed", page(400, "The form is malformed"))
	}
	x.s.mu.Lock()
	seat := x.s.signIn(true)
	x.s.mu.Unlock()
	if seat == nil {
		return page(400, "Nobody can sign in: the simulation has no seat")
	}
	if err := x.s.ApproveDevice(f.Get("user_code"), seat); err != nil {
		return x.refuse(err.Error(), page(400, err.Error()))
	}
	return page(200, "Approved. You may close this page.")
}
