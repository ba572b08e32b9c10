package pool

import (
	"testing"
	"time"

	"codex-rota/logging"
)

// t0 is the time that the tests of facts and choices count from.
var t0 = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) time.Time { return t0.Add(d) }

func account(id string) Account {
	return Account{ID: id, Enabled: true, Refresh: logging.NewSecret("refresh of " + id)}
}

func accounts(ids ...string) []Account {
	var out []Account
	for _, id := range ids {
		out = append(out, account(id))
	}
	return out
}

const (
	fiveHours = 300
	weekly    = 10080
	monthly   = 43200
)

// seen is an event that observed one window in a call sent at At.
func seen(id string, at time.Time, name string, used float64, minutes int, reset time.Time) Event {
	return Event{Account: id, At: at, Windows: []Window{{Name: name, UsedPercent: used, WindowMinutes: minutes, ResetAt: reset}}}
}

func blocked(id string, at time.Time, b Block) Event { return Event{Account: id, At: at, Block: &b} }

// applied gives the facts after events, each received a second after its call
// was sent.
func applied(events ...Event) Facts {
	var f Facts
	for _, e := range events {
		f = f.Apply(e, e.At.Add(time.Second))
	}
	return f
}

func TestStateOf(t *testing.T) {
	quota := func(window string, d time.Duration) Block {
		return Block{Kind: BlockQuota, Window: window, Until: in(d), Reason: "usage limit reached"}
	}
	tests := []struct {
		name   string
		change func(*Account)
		events []Event
		model  string
		at     time.Duration // of the question, after t0
		want   State         // Reason is compared when it is set
	}{
		{name: "nothing known is ready", want: State{Name: StateReady}},
		{name: "disabled", change: func(a *Account) { a.Enabled = false }, want: State{Name: StateDisabled}},
		{name: "disabled hides a flag", change: func(a *Account) { a.Enabled = false; a.Flag = &Flag{Kind: FlagSuspended} }, want: State{Name: StateDisabled}},
		{name: "suspended", change: func(a *Account) { a.Flag = &Flag{Kind: FlagSuspended, Reason: "workspace gone"} }, want: State{Name: StateSuspended, Reason: "workspace gone"}},
		{name: "needs login", change: func(a *Account) { a.Flag = &Flag{Kind: FlagNeedsLogin, Reason: "token refused"} }, want: State{Name: StateNeedsLogin, Reason: "token refused"}},
		{name: "no refresh token", change: func(a *Account) { a.Refresh = logging.Secret{} }, want: State{Name: StateNeedsLogin, Reason: "logged out"}},
		{name: "a login problem comes before a limit", change: func(a *Account) { a.Refresh = logging.Secret{} },
			events: []Event{blocked("a", t0, quota("secondary", time.Hour))}, want: State{Name: StateNeedsLogin}},

		{name: "weekly limit", events: []Event{blocked("a", t0, quota("secondary", 48*time.Hour))}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(48 * time.Hour), Window: "secondary", Reason: "usage limit reached"}},
		{name: "the limit is over at its time", events: []Event{blocked("a", t0, quota("secondary", 48*time.Hour))}, at: 48 * time.Hour, want: State{Name: StateReady}},
		{name: "a short limit after a weekly one does not hide it",
			events: []Event{blocked("a", t0, quota("secondary", 48*time.Hour)), blocked("a", in(time.Minute), quota("primary", time.Hour))}, at: 2 * time.Hour,
			want: State{Name: StateLimited, Until: in(48 * time.Hour), Window: "secondary"}},
		{name: "two limits: the later reset",
			events: []Event{blocked("a", t0, quota("primary", time.Hour)), blocked("a", t0, quota("secondary", 5*time.Hour))},
			want:   State{Name: StateLimited, Until: in(5 * time.Hour), Window: "secondary"}},
		{name: "a rate limit cools", events: []Event{blocked("a", t0, Block{Kind: BlockRateLimit, Until: in(time.Minute), Reason: "rate limit"})},
			want: State{Name: StateCooling, Until: in(time.Minute), Reason: "rate limit"}},
		{name: "limited names the state, the last end of all is its time",
			events: []Event{blocked("a", t0, quota("primary", time.Hour)), blocked("a", t0, Block{Kind: BlockRateLimit, Until: in(3 * time.Hour), Reason: "rate limit"})},
			want:   State{Name: StateLimited, Until: in(3 * time.Hour), Window: "primary", Reason: "usage limit reached"}},

		{name: "a spent window learned from a 200", events: []Event{seen("a", t0, "secondary", 100, weekly, in(time.Hour))},
			want: State{Name: StateLimited, Until: in(time.Hour), Window: "secondary"}},
		{name: "99.6 % is not spent", events: []Event{seen("a", t0, "primary", 99.6, fiveHours, in(time.Hour))}, want: State{Name: StateReady}},
		{name: "a window of 0 minutes is never spent", events: []Event{seen("a", t0, "primary", 100, 0, in(time.Hour))}, want: State{Name: StateReady}},
		{name: "spent with an unknown reset does not block by itself", events: []Event{seen("a", t0, "primary", 100, fiveHours, time.Time{})}, want: State{Name: StateReady}},
		{name: "a passed reset never blocks", events: []Event{seen("a", t0, "primary", 100, fiveHours, in(time.Hour))}, at: time.Hour, want: State{Name: StateReady}},
		{name: "a 30-day window", events: []Event{seen("a", t0, "primary", 100, 43200, in(30*24*time.Hour))}, at: 29 * 24 * time.Hour,
			want: State{Name: StateLimited, Until: in(30 * 24 * time.Hour), Window: "primary"}},
		{name: "a spent code review never blocks", events: []Event{seen("a", t0, "code_review", 100, weekly, in(time.Hour)), blocked("a", t0, quota("code_review", time.Hour))}, want: State{Name: StateReady}},
		{name: "a spent named limit does not block by itself", events: []Event{seen("a", t0, "batch", 100, weekly, in(time.Hour))}, model: "m", want: State{Name: StateReady}},

		{name: "a named limit blocks its model", events: []Event{blocked("a", t0, Block{Kind: BlockQuota, Window: "batch", Model: "m", Until: in(time.Hour)})}, model: "m",
			want: State{Name: StateLimited, Until: in(time.Hour), Window: "batch"}},
		{name: "a named limit leaves other models", events: []Event{blocked("a", t0, Block{Kind: BlockQuota, Window: "batch", Model: "m", Until: in(time.Hour)})}, model: "n", want: State{Name: StateReady}},
		{name: "a named limit leaves the account", events: []Event{blocked("a", t0, Block{Kind: BlockQuota, Window: "batch", Model: "m", Until: in(time.Hour)})}, want: State{Name: StateReady}},
		{name: "an account-wide window blocks every model, whatever the event says",
			events: []Event{blocked("a", t0, Block{Kind: BlockQuota, Window: "secondary", Model: "m", Until: in(time.Hour)})}, model: "n",
			want: State{Name: StateLimited, Until: in(time.Hour), Window: "secondary"}},
		{name: "a model outside the plan", events: []Event{blocked("a", t0, Block{Kind: BlockEntitlement, Model: "m", Until: in(24 * time.Hour), Reason: "not in the plan"})}, model: "m",
			want: State{Name: StateCooling, Until: in(24 * time.Hour), Reason: "not in the plan"}},
		{name: "the plan as a whole", events: []Event{blocked("a", t0, Block{Kind: BlockEntitlement, Until: in(24 * time.Hour)})}, model: "m",
			want: State{Name: StateCooling, Until: in(24 * time.Hour)}},

		{name: "newer evidence about the window lifts its block",
			events: []Event{blocked("a", t0, quota("secondary", 48*time.Hour)), seen("a", in(10*time.Minute), "secondary", 3, weekly, in(7*24*time.Hour))}, at: time.Hour, want: State{Name: StateReady}},
		{name: "99.6 % lifts too",
			events: []Event{blocked("a", t0, quota("primary", 4*time.Hour)), seen("a", in(10*time.Minute), "primary", 99.6, fiveHours, in(4*time.Hour))}, at: time.Hour, want: State{Name: StateReady}},
		{name: "newer evidence of an earlier reset shortens it",
			events: []Event{blocked("a", t0, quota("secondary", 48*time.Hour)), seen("a", in(10*time.Minute), "secondary", 100, weekly, in(2*time.Hour))}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(2 * time.Hour), Window: "secondary"}},
		{name: "newer evidence of a later reset lengthens it",
			events: []Event{blocked("a", t0, quota("secondary", time.Hour)), seen("a", in(10*time.Minute), "secondary", 100, weekly, in(5*time.Hour))}, at: 2 * time.Hour,
			want: State{Name: StateLimited, Until: in(5 * time.Hour), Window: "secondary"}},
		{name: "spent, newer, reset unknown: the block stands",
			events: []Event{blocked("a", t0, quota("secondary", 2*time.Hour)), seen("a", in(10*time.Minute), "secondary", 100, weekly, time.Time{})}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(2 * time.Hour), Window: "secondary"}},
		{name: "evidence about another window lifts nothing",
			events: []Event{blocked("a", t0, quota("secondary", 2*time.Hour)), seen("a", in(10*time.Minute), "primary", 1, fiveHours, in(4*time.Hour))}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(2 * time.Hour), Window: "secondary"}},
		{name: "evidence of a call sent before the refusal came lifts nothing",
			events: []Event{blocked("a", t0, quota("secondary", 2*time.Hour)), seen("a", in(time.Second), "secondary", 1, weekly, in(4*time.Hour))}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(2 * time.Hour), Window: "secondary"}},
		{name: "a rate limit is not lifted by windows",
			events: []Event{blocked("a", t0, Block{Kind: BlockRateLimit, Until: in(2 * time.Hour)}), seen("a", in(time.Minute), "primary", 1, fiveHours, in(4*time.Hour))}, at: time.Hour,
			want: State{Name: StateCooling, Until: in(2 * time.Hour)}},
		{name: "a named limit is lifted by evidence about it",
			events: []Event{blocked("a", t0, Block{Kind: BlockQuota, Window: "batch", Model: "m", Until: in(2 * time.Hour)}), seen("a", in(time.Minute), "batch", 1, weekly, in(4*time.Hour))}, model: "m", at: time.Hour, want: State{Name: StateReady}},

		{name: "no window named: nothing known of any window lifts nothing", events: []Event{blocked("a", t0, quota("", 2*time.Hour)), seen("a", in(time.Minute), "code_review", 1, weekly, in(4*time.Hour))}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(2 * time.Hour)}},
		{name: "no window named: one of two known windows is not enough",
			events: []Event{seen("a", in(-time.Hour), "secondary", 50, weekly, in(40*time.Hour)), blocked("a", t0, quota("", 2*time.Hour)), seen("a", in(time.Minute), "primary", 1, fiveHours, in(4*time.Hour))}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(2 * time.Hour)}},
		{name: "no window named: all that are known and enabled",
			events: []Event{seen("a", in(-time.Hour), "secondary", 50, 0, in(40*time.Hour)), blocked("a", t0, quota("", 2*time.Hour)), seen("a", in(time.Minute), "primary", 1, fiveHours, in(4*time.Hour))}, at: time.Hour, want: State{Name: StateReady}},
		{name: "no window named: the later of two earlier resets",
			events: []Event{blocked("a", t0, quota("", 9*time.Hour)), seen("a", in(time.Minute), "primary", 100, fiveHours, in(2*time.Hour)), seen("a", in(time.Minute), "secondary", 100, weekly, in(3*time.Hour))}, at: time.Hour,
			want: State{Name: StateLimited, Until: in(3 * time.Hour), Window: "secondary"}},
		{name: "blocked again after a lift: for the new time, not the lifted one",
			events: []Event{blocked("a", t0, quota("secondary", 48*time.Hour)), seen("a", in(time.Hour), "secondary", 5, weekly, in(48*time.Hour)), blocked("a", in(2*time.Hour), quota("secondary", 4*time.Hour))}, at: 3 * time.Hour,
			want: State{Name: StateLimited, Until: in(4 * time.Hour), Window: "secondary"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := account("a")
			if tt.change != nil {
				tt.change(&a)
			}
			f := applied(tt.events...)
			got := StateOf(&a, &f, tt.model, in(tt.at))
			if got.Name != tt.want.Name || !got.Until.Equal(tt.want.Until) || got.Window != tt.want.Window ||
				tt.want.Reason != "" && got.Reason != tt.want.Reason {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got.Name != StateReady && got.Name != StateCooling && got.Name != StateLimited && got.Reason == "" && a.Flag == nil {
				t.Errorf("%s without a reason", got.Name)
			}
		})
	}
}

func TestBlockedModels(t *testing.T) {
	f := applied(
		blocked("a", t0, Block{Kind: BlockEntitlement, Model: "m", Until: in(24 * time.Hour), Reason: "plan"}),
		blocked("a", t0, Block{Kind: BlockQuota, Window: "batch", Model: "m", Until: in(time.Hour), Reason: "limit"}),
		blocked("a", t0, Block{Kind: BlockQuota, Window: "batch", Model: "b", Until: in(time.Hour), Reason: "limit"}),
		blocked("a", t0, Block{Kind: BlockEntitlement, Model: "over", Until: in(time.Minute)}),
		blocked("a", t0, Block{Kind: BlockQuota, Window: "secondary", Until: in(time.Hour)}),
	)
	got := BlockedModels(&f, in(30*time.Minute))
	if len(got) != 2 || got[0].Model != "b" || got[1].Model != "m" || !got[1].Until.Equal(in(24*time.Hour)) || got[1].Reason != "plan" {
		t.Errorf("got %+v", got)
	}
}
