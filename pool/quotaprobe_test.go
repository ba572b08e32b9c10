package pool

import (
	"context"
	"slices"
	"testing"
	"time"
)

func TestDueProbes(t *testing.T) {
	rate := blocked("a", t0, Block{Kind: BlockRateLimit, Until: in(10 * time.Hour)})
	tests := []struct {
		name   string
		events []Event
		change func(*Account)
		at     time.Duration
		want   bool
	}{
		{name: "nothing is blocked", events: []Event{week("a", 50, time.Hour)}, at: time.Hour},
		{name: "just blocked", events: []Event{limitedFor("a", 10*time.Hour)}, at: 10*time.Minute - time.Second},
		{name: "blocked for 10 minutes", events: []Event{limitedFor("a", 10*time.Hour)}, at: 10 * time.Minute, want: true},
		{name: "the block is over", events: []Event{limitedFor("a", time.Hour)}, at: time.Hour},
		{name: "a window spent by a 200", events: []Event{week("a", 100, 10*time.Hour)}, at: 10 * time.Minute, want: true},
		{name: "a named limit", events: []Event{blocked("a", t0, Block{Kind: BlockQuota, Window: "batch", Model: "m", Until: in(time.Hour)})}, at: 10 * time.Minute, want: true},
		{name: "a rate limit ends by time only", events: []Event{rate}, at: time.Hour},
		{name: "not entitled", events: []Event{notFor("a", "m")}, at: time.Hour},
		{name: "disabled", events: []Event{limitedFor("a", 10*time.Hour)}, change: func(a *Account) { a.Enabled = false }, at: time.Hour},
		{name: "without a login", events: []Event{limitedFor("a", 10*time.Hour)}, change: func(a *Account) { a.Flag = &Flag{Kind: FlagNeedsLogin} }, at: time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := t0
			b := bookAt(t, t.TempDir(), still(&now))
			learn(t, b, tt.events...)
			list := accounts("a")
			if tt.change != nil {
				tt.change(&list[0])
			}
			if got := slices.Contains(b.DueProbes(NewRoster(list), in(tt.at)), "a"); got != tt.want {
				t.Errorf("due: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAProbeIsClaimedOnce(t *testing.T) {
	dir, now := t.TempDir(), t0
	one, two := bookAt(t, dir, still(&now)), bookAt(t, dir, still(&now))
	learn(t, one, limitedFor("a", 10*time.Hour))
	claim := func(b *BookFile, at time.Duration) bool { return b.ClaimProbe(context.Background(), "a", in(at)) }
	if claim(one, 5*time.Minute) {
		t.Error("claimed before it was due")
	}
	if !claim(one, 10*time.Minute) || claim(two, 11*time.Minute) || claim(one, 19*time.Minute) {
		t.Error("not exactly one probe within 10 minutes")
	}
	if !claim(two, 20*time.Minute) {
		t.Error("no second probe 10 minutes later")
	}
	if claim(one, 11*time.Hour) {
		t.Error("claimed after the block was over")
	}
	if one.ClaimProbe(context.Background(), "unknown", in(time.Hour)) {
		t.Error("claimed for an account without facts")
	}
}
