package cli

import (
	"strings"
	"testing"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// TestTools runs each of a host's tools over the wire, as OpenCode does.
func TestTools(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "work", Email: "someone@example.com"}, sim.Seat{Name: "home", Email: "other@example.com"})
	r.must("label", "home", "")
	h, _ := r.serve("")
	for _, test := range []struct {
		name, args string
		want       []string
		fails      string // the call itself
		failed     bool   // the command that it ran
	}{
		{name: "codex-list", want: []string{"work", "ot***@example.com", "ready"}},
		{name: "codex-status", want: []string{"work", "rotation", "ot***@example.com"}},
		{name: "codex-doctor", want: []string{"ok   accounts     2 ready"}},
		{name: "codex-explain", args: `{"model":"gpt-5.5"}`, want: []string{"work would be used"}},
		{name: "codex-limits", want: []string{"5h", "░░░░░░░░", "weekly", "resets"}},
		{name: "codex-limits", args: `{"account":2}`, want: []string{"ot***@example.com"}},
		{name: "codex-switch", args: `{"account":"2"}`, want: []string{"New sessions use ot***@example.com first"}},
		{name: "codex-explain", want: []string{"ot***@example.com would be used: chosen with switch"}},
		{name: "codex-label", args: `{"account":2,"label":"garden"}`, want: []string{"ot***@example.com is called garden."}},
		{name: "codex-label", args: `{"account":"garden","label":"-x"}`, want: []string{"is called -x."}},
		{name: "codex-switch", args: `{"account":"--clear"}`, want: []string{`no account is called "--clear"`}, failed: true},
		{name: "codex-limits", args: `{"account":"--include-sensitive"}`, want: []string{`no account is called "--include-sensitive"`}, failed: true},
		{name: "codex-switch", args: `{}`, fails: "codex-switch wants the account"},
		{name: "codex-label", args: `{"account":1}`, fails: "codex-label wants the account"},
		{name: "codex-label", args: `{"account":{}}`, fails: "the tool's arguments: account wants an id, a label, an e-mail or a position"},
		{name: "codex-explain", args: `{"model":5}`, fails: "the tool's arguments: model cannot be a JSON number"},
		{name: "codex-remove", args: `{"account":1}`, fails: `there is no tool "codex-remove"`},
	} {
		params := map[string]any{"name": test.name}
		if test.args != "" {
			params["args"] = decode[any](t, test.args)
		}
		var result plugin.ToolResult
		err := h.ask(t.Context(), "tool/run", params, &result)
		switch {
		case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
			t.Errorf("%s %s: %v, want %q", test.name, test.args, err, test.fails)
		case test.fails == "" && err != nil:
			t.Errorf("%s %s: %v", test.name, test.args, err)
		}
		if result.Failed != test.failed {
			t.Errorf("%s %s: failed is %t:\n%s", test.name, test.args, result.Failed, result.Text)
		}
		for _, want := range test.want {
			if !strings.Contains(strings.ToLower(result.Text), strings.ToLower(want)) {
				t.Errorf("%s %s does not say %q:\n%s", test.name, test.args, want, result.Text)
			}
		}
		for _, seat := range r.seats {
			for _, secret := range []string{seat.Email, seat.AccountID, seat.UserID, seat.Tokens().Access, seat.Tokens().Refresh} {
				if strings.Contains(result.Text, secret) {
					t.Errorf("%s %s shows %q", test.name, test.args, secret)
				}
			}
		}
	}
}
