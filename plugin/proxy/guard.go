package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"codex-rota/logging"
)

// refusal is an answer that needs nothing but the request's head.
type refusal struct {
	status  int
	message string
}

// What is said at the door, in the statuses that Codex takes as meant
// (FACTS-hosts 2): a 400 is final and its message shown as it is, after a 401 it
// runs the token command again and repeats the request, a 426 to a WebSocket makes
// it fall back to POST for good.
var (
	foreignHost   = refusal{http.StatusBadRequest, "this is the codex-rota front end; it answers to its own loopback address only"}
	foreignOrigin = refusal{http.StatusBadRequest, "this is the codex-rota front end; it does not answer web pages"}
	noBearer      = refusal{http.StatusBadRequest, "Codex sent this request without the key of the codex-rota front end, so its token command failed. Type: codex-rota doctor"}
	wrongBearer   = refusal{http.StatusUnauthorized, "the key is not that of the codex-rota front end that runs now"}
	noUpgrade     = refusal{http.StatusUpgradeRequired, "the codex-rota front end speaks plain HTTP"}
	tooLarge      = refusal{http.StatusBadRequest, "this conversation is over 64 MiB: more than one request can carry. Start a new one, or compact it"}
	notFound      = refusal{http.StatusNotFound, "the codex-rota front end has nothing at this path"}
)

// admit judges a request by its head. The door to the token command needs no
// bearer: it proves itself to the caller, and gives its version and process away at
// most.
func (f *front) admit(r *http.Request) *refusal {
	origin := r.Header.Get("Origin")
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case r.Host != f.host || r.URL.Host != "" && r.URL.Host != f.host:
		return &foreignHost
	case origin != "" && origin != "http://"+f.host:
		return &foreignOrigin
	case r.URL.Path == DoorPath:
		return nil
	case !strings.EqualFold(scheme, "Bearer") || bearer == "":
		return &noBearer
	case !sameSecret(bearer, f.Nonce):
		return &wrongBearer
	case r.Header.Get("Upgrade") != "":
		return &noUpgrade
	case !strings.HasPrefix(r.URL.Path, BasePath+"/"):
		return &notFound
	}
	return nil
}

// sameSecret compares in constant time, lengths included.
func sameSecret(given string, secret logging.Secret) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(secret.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// How much of a refused request's body is thrown away, and how long that may
// take: a client that finds the connection closed while it still writes would
// report a broken connection and never see the answer.
const (
	discardBytes = 2 * maxBody
	discardTime  = 5 * time.Second
)

// refuse answers before any of the body is read, then lets the client finish.
func refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // HTTP/1 is all there is here, and has it
	kind, body := shownBody(why.status, why.message)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body))) // complete for the client before its own body is
	w.Header().Set("Connection", "close")
	if why.status == http.StatusUpgradeRequired {
		w.Header().Set("Upgrade", "HTTP/1.1")
	}
	w.WriteHeader(why.status)
	_, _ = w.Write(body) // a client that is gone needs no answer
	_ = control.Flush()
	_ = control.SetReadDeadline(time.Now().Add(discardTime))
	_, _ = io.CopyN(io.Discard, r.Body, discardBytes)
}

// shownBody carries a message of ours in the shape of which Codex shows the
// message alone: of a 400 it shows the body as it is, of any other status the
// message in OpenAI's shape of an error (FACTS-hosts 2).
func shownBody(status int, message string) (kind string, body []byte) {
	if status == http.StatusBadRequest {
		return "text/plain; charset=utf-8", []byte(message)
	}
	type inner struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    string `json:"code"`
	}
	b, _ := json.Marshal(map[string]inner{"error": {message, "invalid_request_error", "codex_rota_front_end"}})
	return "application/json", b
}
