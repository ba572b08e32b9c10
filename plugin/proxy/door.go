package proxy

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"codex-rota/logging"
)

// DoorPath is where the token command and the front end prove to each other that
// they know the nonce, without either sending it: whoever sits on the port
// instead learns nothing (DESIGN 9).
const DoorPath = "/codex-rota/front-end"

// Proof is what the front end answers at its door.
type Proof struct {
	MAC string `json:"mac"`
	Self
	PID int `json:"pid"`
}

// Self is what runs: the binary's version, and a hash of the settings it began
// with.
type Self struct {
	Version  string `json:"version"`
	Settings string `json:"settings"`
}

// Visit is a caller's way to the door of the front end that should listen on
// Port and know Nonce.
type Visit struct {
	Port  int
	Nonce logging.Secret
}

// What a visit may find in place of the front end.
var (
	ErrNobody   = errors.New("nobody listens there")
	ErrStranger = errors.New("another program listens there")
)

// visitTime bounds a visit: the front end is on this machine and does no work for
// it.
const visitTime = time.Second

// What a proof is for; one can never stand in for the other.
const (
	purposeKnock = "I am the front end"
	purposeStop  = "end"
)

// Knock asks who is there. The error is ErrNobody, ErrStranger for whoever cannot
// prove to be the front end, or ctx's.
func (v Visit) Knock(ctx context.Context) (Proof, error) {
	challenge := make([]byte, 32)
	_, _ = rand.Read(challenge) // never fails
	text := hex.EncodeToString(challenge)
	answer, err := v.ask(ctx, http.MethodGet, url.Values{"challenge": {text}})
	if err != nil {
		return Proof{}, err
	}
	if v.Nonce.IsZero() {
		return Proof{}, ErrStranger // no front end is without a key, and to know none proves nothing
	}
	var p Proof
	if json.Unmarshal(answer, &p) != nil || !hmac.Equal([]byte(p.MAC), []byte(prove(v.Nonce, purposeKnock, v.Port, text, p.Self))) {
		return Proof{}, ErrStranger
	}
	return p, nil
}

// Stop tells the front end to make room: it accepts nothing more and ends when
// the answers in flight have ended. It gives the front end's process. The errors
// are those of Knock.
func (v Visit) Stop(ctx context.Context) (pid int, err error) {
	p, err := v.Knock(ctx)
	if err != nil {
		return 0, err
	}
	// Its own process number makes the order good for this front end alone.
	id := strconv.Itoa(p.PID)
	_, err = v.ask(ctx, http.MethodPost, url.Values{"stop": {id}, "mac": {prove(v.Nonce, purposeStop, v.Port, id, Self{})}})
	return p.PID, err
}

// ask sends one request to the door.
func (v Visit) ask(ctx context.Context, method string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(v.Port))
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+DoorPath+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy: it is this machine
	response, err := transport.RoundTrip(request)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" && !dial.Timeout() {
			return nil, ErrNobody
		}
		return nil, fmt.Errorf("%w: %w", ErrStranger, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, ErrStranger
	}
	return answer, nil
}

// prove is HMAC-SHA256 under the nonce over what is said, where, to which
// challenge. The port is part of it: a stranger cannot pass a challenge on to the
// front end that listens elsewhere.
func prove(nonce logging.Secret, purpose string, port int, challenge string, self Self) string {
	mac := hmac.New(sha256.New, []byte(nonce.Reveal()))
	fmt.Fprintf(mac, "codex-rota front end 1\n%s\n%d\n%s\n%s\n%s", purpose, port, challenge, self.Version, self.Settings)
	return hex.EncodeToString(mac.Sum(nil))
}

// answerDoor is the front end's side.
func (f *front) answerDoor(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	challenge, stop := query.Get("challenge"), query.Get("stop")
	switch {
	case r.Method == http.MethodGet && len(challenge) == 64:
		w.Header().Set("Content-Type", "application/json")
		b, _ := json.Marshal(Proof{MAC: prove(f.Nonce, purposeKnock, f.port, challenge, f.Self), Self: f.Self, PID: os.Getpid()})
		_, _ = w.Write(b) // a client that is gone needs no answer
	case r.Method == http.MethodPost && stop == strconv.Itoa(os.Getpid()) &&
		hmac.Equal([]byte(query.Get("mac")), []byte(prove(f.Nonce, purposeStop, f.port, stop, Self{}))):
		w.WriteHeader(http.StatusOK)
		select {
		case f.stop <- struct{}{}:
		default: // it was told already
		}
	default:
		refuse(w, r, &refusal{http.StatusBadRequest, "this is the door of the codex-rota front end; only codex-rota has business here"})
	}
}
