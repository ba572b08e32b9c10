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

// turnGiver is the account that gave the turn state among the host's headers: the
// one of the turn so far, or, where another process answered it, the one that the
// session stays on. "" is for a call without any, and for a giver that nobody
// knows.
func (s *Service) turnGiver(c *call) string {
	if _, ok := header(c.headers, turnStateHeader); !ok {
		return ""
	}
	giver := ""
	s.sessions.read(c.session, func(f *sessionFacts) { giver = f.turnAccount })
	if giver == "" {
		giver = s.book.SessionAccount(c.session, s.now())
	}
	return giver
}

// turnStateIsForeign reports whether the call's turn state came from another
// account than the one it goes to now.
func (c *call) turnStateIsForeign() bool {
	return c.turnGiver != "" && c.turnGiver != c.account || c.firstAccount != "" && c.firstAccount != c.account
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
