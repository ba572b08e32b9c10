package sim

import (
	"fmt"
	"net/http"
	"strings"
)

// detail and apiError are the two body shapes of the backend's refusals
// (FACTS-upstream 4).
func detail(status int, text string) answer {
	return answer{status: status, body: toJSON(struct {
		Detail string `json:"detail"`
	}{text})}
}

func apiError(status int, typ, code, message string) answer {
	type body struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	b := body{Message: message, Type: typ}
	if code != "" {
		b.Code = &code
	}
	return answer{status: status, body: toJSON(struct {
		Error body `json:"error"`
	}{b})}
}

// authorized checks who asks: a token that is known, in time and not revoked, and
// the account and residency that it names.
func (x *exchange) authorized() *refusal {
	x.s.mu.Lock()
	t := x.s.access[bearer(x.r.Header)]
	now := x.s.opts.Now()
	var revoked, refusedToken bool
	if t != nil {
		revoked, refusedToken = t.grant.revoked, t.refused
	}
	x.s.mu.Unlock()
	switch {
	case x.r.Header.Get("Authorization") == "":
		return &refusal{"no authorization", detail(401, "Unauthorized")}
	case t == nil:
		return &refusal{"unknown access token", detail(401, "Could not parse your authentication token. Please try signing in again.")}
	case revoked:
		return &refusal{"the grant was revoked", apiError(401, "invalid_request_error", "token_invalidated",
			"Your authentication token has been invalidated. Please try signing in again.")}
	case refusedToken || !now.Before(t.expires):
		return &refusal{"the access token has expired", apiError(401, "invalid_request_error", "token_expired",
			"Provided authentication token is expired. Please try signing in again.")}
	case x.r.Header.Get(headerAccount) != t.seat.AccountID:
		return &refusal{"chatgpt-account-id is not the token's account", apiError(403, "invalid_request_error", "account_mismatch",
			"The account does not belong to this token.")}
	case x.r.Header.Get(headerResidency) != strings.TrimPrefix(t.seat.Residency, "no_constraint"):
		return &refusal{"the residency header is not the seat's", detail(403, "Workspace is not authorized in this region.")}
	}
	return nil
}

// asked checks method and authorization of a call that has no body.
func (x *exchange) asked(method string) *refusal {
	if x.r.Method != method {
		return &refusal{"method " + x.r.Method, detail(405, "Method Not Allowed")}
	}
	return x.authorized()
}

// responses is the model call: every check, then the quota, then the answer.
func (x *exchange) responses() answer {
	q, r := x.judge()
	if r != nil {
		a := x.refuse(r.why, r.answer)
		if x.seat != nil {
			a = x.quotaHeaders(a)
		}
		return a
	}
	a, spent := x.limited(429)
	if !spent {
		a = x.strike(func() answer { return x.model(q) })
	}
	return x.quotaHeaders(a).with("X-Models-Etag", catalogueETag)
}

func (x *exchange) judge() (*modelRequest, *refusal) {
	if r := x.asked(http.MethodPost); r != nil {
		return nil, r
	}
	h := x.r.Header
	if r := judgeHeaders(h); r != nil {
		return nil, r
	}
	if x.encoded != nil {
		return nil, x.encoded
	}
	fromCodex := strings.HasPrefix(h.Get("Originator"), "codex")
	q, notes, r := judgeBody(x.body, h.Get(headerLite) == "true", fromCodex)
	if q != nil {
		x.update(func(c *Call) { c.Model = q.Model })
	}
	if r != nil {
		return nil, r
	}
	notes = append(notes, strayHeaders(h)...)
	if findModel(q.Model) == nil {
		notes = append(notes, "the model is not in the catalogue")
	}
	if state := h.Get(headerTurnState); state != "" && !strings.HasPrefix(state, turnStateOf(x.seat)) {
		notes = append(notes, "turn state of another account")
	}
	notes = append(notes, x.foreign(q.Input)...)
	x.update(func(c *Call) { c.Notes = append(c.Notes, notes...) })
	x.request = q
	return q, nil
}

// foreign notes what another account encrypted: reasoning, or a compacted history.
func (x *exchange) foreign(items []inputItem) []string {
	var notes []string
	for i, it := range items {
		if it.Encrypted != "" && !strings.HasPrefix(it.Encrypted, encryptedFor(x.seat)) {
			notes = append(notes, fmt.Sprintf("input[%d] holds reasoning of another account", i))
		}
	}
	return notes
}

// Turn state and encrypted reasoning carry the account that they belong to.
func turnStateOf(seat *Seat) string  { return "ts_" + seat.AccountID + "_" }
func encryptedFor(seat *Seat) string { return "gAAAAA_" + seat.AccountID + "_" }

// model answers a model call and charges it.
func (x *exchange) model(q *modelRequest) answer {
	cached := x.cachedTokens(q.CacheKey)
	x.s.mu.Lock()
	reply := x.s.reply
	state := x.r.Header.Get(headerTurnState)
	if state == "" {
		state = x.s.id(turnStateOf(x.seat))
	}
	x.seat.charge(q.Model)
	x.s.mu.Unlock()
	said := reply(x.snapshot())
	return answer{status: 200, events: x.script(q, said, cached), step: said.Step, header: map[string]string{
		"Content-Type":  "text/event-stream; charset=utf-8",
		"Cache-Control": "no-cache",
		headerTurnState: state,
		"Openai-Model":  q.Model,
		"X-Request-Id":  fmt.Sprintf("req_sim%06d", x.call.ID),
	}}
}

// cachedTokens plays the prompt cache: what the body has in common, from its
// start, with the last body of the same account and cache key; four bytes a token.
func (x *exchange) cachedTokens(key string) int {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	where := x.seat.AccountID + " " + key
	last := x.s.prefixes[where]
	n := 0
	for n < len(last) && n < len(x.body) && last[n] == x.body[n] {
		n++
	}
	x.s.prefixes[where] = x.body
	x.call.Cached = n / 4
	return n / 4
}

// usage is GET wham/usage.
func (x *exchange) usage() answer {
	if r := x.asked(http.MethodGet); r != nil {
		return x.refuse(r.why, r.answer)
	}
	return x.strike(func() answer {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
		return answer{status: 200, body: toJSON(x.seat.report())}
	})
}

// models is GET codex/models: the catalogue.
func (x *exchange) models() answer {
	if r := x.asked(http.MethodGet); r != nil {
		return x.refuse(r.why, r.answer)
	}
	return answer{status: 200, body: catalogueJSON("live"), header: map[string]string{"ETag": catalogueETag}}
}

// upgrade is a client that wants a WebSocket in place of a model call. It is told
// to use POST, as the Codex CLI understands it (FACTS-hosts 2).
func (x *exchange) upgrade() answer {
	if r := x.asked(http.MethodGet); r != nil {
		return x.refuse(r.why, r.answer)
	}
	return detail(426, "Upgrade Required").with("Upgrade", "websocket")
}
