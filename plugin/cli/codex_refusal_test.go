package cli

import (
	"fmt"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// TestCodexAllLimited: each limit is learned by one call, then no run asks the
// backend any more. The words are Codex's, the time is ours.
func TestCodexAllLimited(t *testing.T) {
	c := newCodex(t, named("a", "b")...)
	for name, hours := range map[string]int{"a": 60, "b": 40} {
		c.fault("weekly-limit", onSeat(name), func(f *sim.Fault) { f.Seconds = hours * 3600 })
	}
	got := c.exec("Say hello.")
	message := codexLimit(resetOf(t, c.seats[1]))
	got.mustRefuse(t, message)
	c.mustTalk("a 429", "b 429")
	c.exec("Say hello.").mustRefuse(t, message)
	c.mustTalk("a 429", "b 429")
	c.mustBeObedient()
}

// codexLimit is Codex's sentence on a limit that ends at t.
func codexLimit(t time.Time) string {
	at := t.Format("3:04 PM")
	if now := time.Now().UTC(); now.YearDay() != t.YearDay() {
		suffix := "th"
		if day := t.Day(); day < 11 || day > 13 {
			suffix = []string{"th", "st", "nd", "rd", "th", "th", "th", "th", "th", "th"}[day%10]
		}
		at = fmt.Sprintf("%s%s, %s", t.Format("Jan 2"), suffix, t.Format("2006 3:04 PM"))
	}
	return "You’ve hit your usage limit. Try again at " + at + "."
}

// TestCodexFinalRefusals: what no account of the pool can mend is one line that
// says what to type, after as few requests as can be.
func TestCodexFinalRefusals(t *testing.T) {
	for _, test := range []struct {
		name    string
		spoil   func(c *codexCLI)
		seats   []string
		message string
		talk    []string
	}{
		{"no account", func(*codexCLI) {}, nil,
			"there is no ChatGPT account in the pool yet. Type: codex-rota add", nil},
		{"every account disabled", func(c *codexCLI) { c.must("disable", "a") }, []string{"a"},
			"every ChatGPT account in the pool is disabled. Type: codex-rota enable WHO", nil},
		{"revoked tokens: no other account is presented", func(c *codexCLI) { c.fault("token-invalidated", onSeat("a")) }, []string{"a", "b"},
			"the ChatGPT account of this call was signed out. Type: codex-rota add", []string{"a 401"}},
		{"every token refused", func(c *codexCLI) { c.fault("unauthorized") }, []string{"a", "b"},
			"no ChatGPT account in the pool is logged in any more. Type: codex-rota add", []string{"a 401", "a 401", "b 401", "b 401"}},
		{"every workspace disabled", func(c *codexCLI) { c.fault("workspace-disabled") }, []string{"a", "b"},
			"every ChatGPT account left in the pool is suspended by its workspace. Type: codex-rota status", []string{"a 403", "b 403"}},
		{"no way to OpenAI", func(c *codexCLI) { c.fault("reset-connection") }, []string{"a", "b"},
			"OpenAI could not be reached, or broke off before it answered. Type: codex-rota doctor", []string{"a 0", "a 0", "a 0"}},
		{"pinned account limited", func(c *codexCLI) {
			c.must("pin", "a")
			c.fault("weekly-limit", onSeat("a"), func(f *sim.Fault) { f.Seconds = 3600 })
		}, []string{"a", "b"}, "", []string{"a 429"}},
		{"a thread too long", func(c *codexCLI) { c.fault("context-length") }, []string{"a", "b"},
			"Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying.", []string{"a 400"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCodex(t, named(test.seats...)...)
			test.spoil(c)
			got := c.exec("Say hello.")
			message := test.message
			if message == "" {
				message = codexLimit(resetOf(t, c.seats[0]))
			}
			got.mustRefuse(t, message)
			c.mustTalk(test.talk...)
		})
	}
}
