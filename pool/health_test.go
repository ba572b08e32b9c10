package pool

import (
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	failure := func(at time.Duration) Event { return Event{Account: "a", At: in(at), Failure: true} }
	success := func(at time.Duration) Event { return Event{Account: "a", At: in(at), Success: true} }
	tests := []struct {
		name   string
		events []Event
		at     time.Duration
		want   float64
	}{
		{"nothing known", nil, 0, 100},
		{"a failure", []Event{failure(0)}, 0, 80},
		{"it recovers by time", []Event{failure(0)}, 5 * time.Minute, 85},
		{"and is whole again", []Event{failure(0)}, time.Hour, 100},
		{"a success helps", []Event{failure(0), success(0)}, 0, 90},
		{"a success never exceeds 100", []Event{success(0), success(0)}, 0, 100},
		{"many failures end at 0", []Event{failure(0), failure(0), failure(0), failure(0), failure(0), failure(0)}, 0, 0},
		{"a clock set back does not raise it", []Event{failure(0)}, -time.Hour, 80},
		{"a limit is no ill health", []Event{blocked("a", t0, Block{Kind: BlockQuota, Until: in(time.Hour)})}, 0, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f Facts
			for _, e := range tt.events {
				f = f.Apply(e, e.At)
			}
			if got := f.HealthAt(in(tt.at)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
