package plugin

import "strings"

// The turn state that Codex echoes for the rest of a turn is bound to the account
// that gave it (FACTS-hosts 2).
const turnStateHeader = "x-codex-turn-state"

// rememberTurn notes which account a turn state belongs to: the host echoes it
// for the rest of the turn, and another account does not know it.
func (s *Service) rememberTurn(c *call, headers []Header) {
	if _, ok := header(headers, turnStateHeader); ok {
		s.sessions.change(c.session, s.now(), func(f *sessionFacts) { f.turnAccount = c.account })
	}
}

// turnStateIsForeign reports whether the turn state among the host's headers came
// from another account than the one the call goes to now.
func (s *Service) turnStateIsForeign(c *call) bool {
	if _, ok := header(c.headers, turnStateHeader); !ok {
		return false
	}
	foreign := false
	s.sessions.read(c.session, func(f *sessionFacts) {
		foreign = f.turnAccount != "" && f.turnAccount != c.account
	})
	return foreign || c.firstAccount != "" && c.firstAccount != c.account
}

// header finds a header by name, without case.
func header(headers []Header, name string) (string, bool) {
	for _, h := range headers {
		if strings.EqualFold(h[0], name) {
			return h[1], true
		}
	}
	return "", false
}
