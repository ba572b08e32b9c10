package plugin

import (
	"testing"
	"time"

	"codex-rota/pool"
)

const aDelta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n"

// TestTurnStateStaysWithItsAccount: the host echoes the turn state for the rest
// of the turn. It goes to the account that gave it and to no other.
func TestTurnStateStaysWithItsAccount(t *testing.T) {
	state := Header{turnStateHeader, "opaque"}
	sent := func(p *Prepared) bool {
		_, ok := header(p.Headers, turnStateHeader)
		return ok
	}
	t.Run("given in this session", func(t *testing.T) {
		r := newServiceRig(t, 2, rigOptions{})
		r.prepare("1", "s")
		r.wantDeliver(r.respond("1", 200, aDelta, state))
		if !sent(r.prepare("2", "s", state)) {
			t.Error("the account that gave it does not get it back")
		}
		v := r.respond("2", 429, limited(time.Hour))
		if r.wantRetry(v, 1); sent(v.Request) {
			t.Error("the retry on another account carries it")
		}
		if sent(r.prepare("3", "s", state)) {
			t.Error("the next call, on another account, carries it")
		}
		own := Header{turnStateHeader, "of the other"}
		r.wantDeliver(r.respond("3", 200, aDelta, own))
		if sent(r.prepare("4", "s", state)) {
			t.Error("the other account gets it once it has given its own")
		}
		if !sent(r.prepare("5", "s", own)) {
			t.Error("the other account does not get its own back")
		}
	})
	t.Run("given to another process", func(t *testing.T) {
		r := newServiceRig(t, 2, rigOptions{})
		if !sent(r.prepare("1", "s", state)) {
			t.Error("it is dropped although nothing says whose it is")
		}
		v := r.respond("1", 429, limited(time.Hour))
		if r.wantRetry(v, 1); sent(v.Request) {
			t.Error("the retry on another account carries it")
		}
	})
	t.Run("given in a process that has ended, to an account that is spent since", func(t *testing.T) {
		r := newServiceRig(t, 2, rigOptions{})
		r.prepare("1", "s")
		r.wantDeliver(r.respond("1", 200, aDelta, state))
		r.sessions = sessionTable{} // as a new process knows it
		if !sent(r.prepare("2", "s", state)) {
			t.Error("the account that the session stayed on does not get it back")
		}
		block := pool.Event{Account: r.ids[0], At: r.clock.now(), Block: &pool.Block{Kind: pool.BlockQuota, Window: "secondary", Until: r.clock.now().Add(48 * time.Hour)}}
		if err := r.book.Learn(t.Context(), block); err != nil {
			t.Fatal(err)
		}
		if sent(r.prepare("3", "s", state)) {
			t.Error("another account gets it")
		}
	})
}
