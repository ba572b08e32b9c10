package pool

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"codex-rota/auth"
)

// sameSeat is the identity rule of DESIGN 5: the account id is equal and
// either user id is. E-mail never counts.
func sameSeat(a, b *Account) bool {
	if a.AccountID == "" || a.AccountID != b.AccountID {
		return false
	}
	return a.AccountUserID != "" && a.AccountUserID == b.AccountUserID ||
		a.UserID != "" && a.UserID == b.UserID
}

// identified reports whether the whole seat is known. A migrated account
// without an access token is not, until its first refresh.
func (a *Account) identified() bool {
	return a.AccountID != "" && (a.AccountUserID != "" || a.UserID != "")
}

// matches is sameSeat, and for a record whose seat is not known yet the best
// that can be said: one login (the same refresh token), or the same workspace
// and e-mail.
func matches(a, b *Account) bool {
	if sameSeat(a, b) {
		return true
	}
	if a.identified() && b.identified() {
		return false
	}
	if !a.Refresh.IsZero() && a.Refresh.Equal(b.Refresh) {
		return true
	}
	return a.AccountID != "" && a.AccountID == b.AccountID && sameEmail(a, b)
}

func sameEmail(a, b *Account) bool {
	return a.Email != "" && strings.EqualFold(a.Email, b.Email)
}

// findSeat gives the position of the account that matches a, or -1. An exact
// match goes before a likely one.
func findSeat(accounts []Account, a *Account) int {
	likely := -1
	for i := range accounts {
		if sameSeat(&accounts[i], a) {
			return i
		}
		if likely < 0 && matches(&accounts[i], a) {
			likely = i
		}
	}
	return likely
}

// findID gives the position of the account with this public id, or -1.
func findID(accounts []Account, id string) int {
	for i := range accounts {
		if accounts[i].ID == id {
			return i
		}
	}
	return -1
}

// publicID derives the id a seat is given at its first write. It must come out
// the same at every load until then, so it depends only on what a rewrite by
// another tool keeps.
func publicID(a *Account, salt string) string {
	user := a.AccountUserID
	if user == "" {
		user = a.UserID
	}
	parts := []string{a.AccountID, user}
	switch {
	case a.identified():
	case a.AccountID != "" || a.Email != "":
		parts = []string{"unidentified", a.AccountID, strings.ToLower(a.Email)}
	default:
		parts = []string{"unidentified", a.Refresh.Hash(), a.Access.Hash(), a.Label}
	}
	if salt != "" {
		parts = append(parts, salt)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "acct_" + hex.EncodeToString(sum[:6])
}

// giveIDs derives the ids that are missing, and new ones for records that
// share an id without being the same seat.
func giveIDs(accounts []Account, taken map[string]bool) {
	for i := range accounts {
		a := &accounts[i]
		if a.ID != "" && !taken[a.ID] {
			taken[a.ID] = true
			continue
		}
		id := publicID(a, "")
		for n := 0; taken[id]; n++ {
			id = publicID(a, a.Refresh.Hash()+strconv.Itoa(n))
		}
		a.ID = id
		taken[id] = true
	}
}

// objection says why a token with these claims cannot be a login of a, nil when
// it can. While the seat is not known the token must name it in full (DESIGN
// 5); of a seat that is known, the issuer may say less than its login did.
func (a *Account) objection(c auth.Claims) error {
	if !a.identified() {
		return c.RequireSeat()
	}
	if a.contradicts(c) {
		return errAnotherSeat
	}
	return nil
}

var errAnotherSeat = errors.New("the token names another seat")

// contradicts reports whether the claims name another seat than a's. What they
// leave out contradicts nothing.
func (a *Account) contradicts(c auth.Claims) bool {
	same := func(x, y string) bool { return x != "" && x == y }
	differ := func(x, y string) bool { return x != "" && y != "" && x != y }
	switch {
	case differ(a.AccountID, c.AccountID):
		return true
	case same(a.AccountUserID, c.AccountUserID), same(a.UserID, c.UserID):
		return false
	}
	return differ(a.AccountUserID, c.AccountUserID) || differ(a.UserID, c.UserID)
}

// setClaims takes over what a token says, to which there is no objection.
// Identity is only completed, never changed: the public id hangs on it.
func (a *Account) setClaims(c auth.Claims) {
	if !a.identified() {
		a.AccountID = c.AccountID
	}
	if a.AccountID == c.AccountID {
		fill(&a.AccountUserID, c.AccountUserID)
		fill(&a.UserID, c.UserID)
		a.Residency = c.Residency
		a.Plan = nonEmpty(c.Plan, a.Plan)
	}
	a.Email = nonEmpty(c.Email, a.Email)
}

func fill(to *string, from string) {
	if *to == "" {
		*to = from
	}
}

func nonEmpty(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
