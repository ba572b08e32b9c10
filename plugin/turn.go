package plugin

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// The turn state that Codex echoes for the rest of a turn is bound to the account
// that gave it (FACTS-hosts 2).
const turnStateHeader = "x-codex-turn-state"

// turnState is one that a session was given, and by which account. The host keeps
// the first of a turn and echoes it to the end of the turn, also when another
// account has answered meanwhile and given its own.
type turnState struct {
	sum     [sha256.Size]byte
	account string
}

// turnStatesKept bounds what a session remembers: those of a turn that goes from
// account to account.
const turnStatesKept = 16

// rememberTurn notes which account a turn state belongs to.
func (s *Service) rememberTurn(c *call, headers []Header) {
	state, ok := header(headers, turnStateHeader)
	if !ok {
		return
	}
	given := turnState{sha256.Sum256([]byte(state)), c.account}
	s.sessions.change(c.session, s.now(), func(f *sessionFacts) {
		f.turnStates = slices.DeleteFunc(f.turnStates, func(t turnState) bool { return t.sum == given.sum })
		f.turnStates = append(f.turnStates, given)
		f.turnStates = f.turnStates[max(0, len(f.turnStates)-turnStatesKept):]
	})
}

// turnGiver is the account that gave the turn state among the host's headers, or,
// where another process was told, the one that the session stays on. "" is for a
// call without any, and for a giver that nobody knows.
func (s *Service) turnGiver(c *call) string {
	state, ok := header(c.headers, turnStateHeader)
	if !ok {
		return ""
	}
	giver, sum := "", sha256.Sum256([]byte(state))
	s.sessions.read(c.session, func(f *sessionFacts) {
		for _, t := range f.turnStates {
			if t.sum == sum {
				giver = t.account
			}
		}
	})
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
