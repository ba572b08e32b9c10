package sim

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// The official client shortens a long thread in one of two ways: by a model call
// whose input ends in a compaction_trigger, or by POST codex/responses/compact.
// Either gives one encrypted item, which only its account can read.

// wantsCompaction tells a model call that asks for a compaction.
func (q *modelRequest) wantsCompaction() bool {
	return len(q.Input) > 0 && q.Input[len(q.Input)-1].Type == "compaction_trigger"
}

func compacted(id, encrypted string) outputItem {
	return outputItem{Type: "compaction", ID: id, Encrypted: encrypted}
}

func (sc *script) compaction(id, encrypted string) {
	item := compacted(id, encrypted)
	sc.item(item, item, nil)
}

// compact is POST codex/responses/compact: the history in, one JSON answer out. It
// is charged as a model call is.
func (x *exchange) compact() answer {
	if r := x.judgeCompact(); r != nil {
		return x.refuse(r.why, r.answer)
	}
	if a, spent := x.limited(429); spent {
		return x.quotaHeaders(a)
	}
	x.s.mu.Lock()
	x.seat.charge(x.call.Model)
	item := compacted(x.s.id("cmp_"), x.s.id(encryptedFor(x.seat)))
	x.s.mu.Unlock()
	return x.quotaHeaders(answer{status: 200, body: toJSON(struct {
		Output []outputItem `json:"output"`
	}{[]outputItem{item}})})
}

func (x *exchange) judgeCompact() *refusal {
	if r := x.asked(http.MethodPost); r != nil {
		return r
	}
	if r := judgeMedia(x.r.Header); r != nil {
		return r
	}
	if x.encoded != nil {
		return x.encoded
	}
	q := &modelRequest{}
	if json.Unmarshal(x.body, q) != nil || !bytes.HasPrefix(bytes.TrimSpace(x.body), []byte("{")) {
		return refused("the body is no JSON object", "Input must be a valid dictionary")
	}
	x.update(func(c *Call) { c.Model = q.Model })
	switch {
	case q.Model == "":
		return refused("no model", "Model is required")
	case len(q.Input) == 0:
		return refused("no input", "Input must be a list")
	}
	notes := append(x.foreign(q.Input), strayHeaders(x.r.Header)...)
	x.update(func(c *Call) { c.Notes = append(c.Notes, notes...) })
	return nil
}
