package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// seatJSON is a seat at the control endpoint: what it is and the tokens that its
// holder should have.
type seatJSON struct {
	Name             string    `json:"name"`
	Email            string    `json:"email"`
	AccountID        string    `json:"accountId"`
	AccountUserID    string    `json:"accountUserId"`
	UserID           string    `json:"userId"`
	Plan             string    `json:"plan"`
	Residency        string    `json:"residency,omitempty"`
	ExpiresInSeconds int       `json:"expiresInSeconds,omitempty"`
	Expired          bool      `json:"expired,omitempty"`
	Cost             float64   `json:"cost,omitempty"`
	AccessToken      string    `json:"accessToken"`
	RefreshToken     string    `json:"refreshToken"`
	IDToken          string    `json:"idToken"`
	ExpiresAt        time.Time `json:"expiresAt"`
	Refreshes        int       `json:"refreshes"`
}

func (s *Server) seatJSON(seat *Seat) seatJSON {
	t := seat.Tokens()
	return seatJSON{
		seat.Name, seat.Email, seat.AccountID, seat.AccountUserID, seat.UserID, seat.Plan, seat.Residency,
		int(seat.ExpiresIn / time.Second), seat.Expired, seat.Cost, t.Access, t.Refresh, t.ID, t.ExpiresAt, s.RefreshCount(seat),
	}
}

// Seats gives the seats in the order they were added.
func (s *Server) Seats() []*Seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Seat{}, s.seats...)
}

// control serves /_sim/ to other processes: calls, seats, faults, release, reset.
// It is reachable by every program of this machine, and holds nothing real.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	out, err := s.command(r)
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		out = struct {
			Error string `json:"error"`
		}{err.Error()}
	}
	// A reader that hung up gets no answer, and nothing else depends on it.
	_, _ = io.WriteString(w, toJSON(out)+"\n")
}

func (s *Server) command(r *http.Request) (any, error) {
	switch r.Method + " " + r.URL.Path {
	case "GET /_sim/calls":
		var kinds []Kind
		for _, k := range r.URL.Query()["kind"] {
			kinds = append(kinds, Kind(k))
		}
		return s.Calls(kinds...), nil
	case "GET /_sim/seats":
		out := []seatJSON{}
		for _, seat := range s.Seats() {
			out = append(out, s.seatJSON(seat))
		}
		return out, nil
	case "POST /_sim/seats":
		var c seatJSON
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			return nil, fmt.Errorf("read the seat: %w", err)
		}
		return s.seatJSON(s.AddSeat(Seat{
			Name: c.Name, Email: c.Email, AccountID: c.AccountID, AccountUserID: c.AccountUserID, UserID: c.UserID, Plan: c.Plan,
			Residency: c.Residency, ExpiresIn: time.Duration(c.ExpiresInSeconds) * time.Second, Expired: c.Expired, Cost: c.Cost,
		})), nil
	case "GET /_sim/faults":
		return Faults(), nil
	case "POST /_sim/faults":
		var f Fault
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
			return nil, fmt.Errorf("read the fault: %w", err)
		}
		return f, s.AddFault(f)
	case "DELETE /_sim/faults":
		s.ClearFaults()
	case "POST /_sim/release":
		s.Release()
	case "POST /_sim/reset":
		s.Reset()
	default:
		return nil, fmt.Errorf("no such command: %s %s", r.Method, r.URL.Path)
	}
	return struct{}{}, nil
}
