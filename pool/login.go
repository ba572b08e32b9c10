package pool

import (
	"context"
	"errors"
	"fmt"

	"codex-rota/auth"
)

// AddResult says what a login turned out to be.
type AddResult string

const (
	AddedNew             AddResult = "new"
	AddedUpdated         AddResult = "updated"          // the same seat again: its tokens were replaced
	AddedHealed          AddResult = "healed"           // the same seat, back from the flagged file
	AddedSecondSeat      AddResult = "second seat"      // another person in a workspace that is there
	AddedSecondWorkspace AddResult = "second workspace" // another workspace of an e-mail that is there
)

// ErrConsumed refuses a login whose refresh token was used before.
var ErrConsumed = errors.New("its refresh token was used up before; log in again instead")

// Add stores a login. The seat its tokens name is the key (DESIGN 5): the same
// seat is updated in place, keeping its id, labels and pin, and healed when it
// was flagged; anything else is a new account. Label "" keeps the label there
// is. Tokens that name no seat, or have no refresh token, are refused with the
// reason. It waits for a refresh of the same seat under way, and what that
// process then writes never replaces this login.
func (s *Store) Add(ctx context.Context, tokens auth.Tokens, label, source string) (Account, AddResult, error) {
	login, err := s.loginOf(tokens)
	if err != nil {
		return Account{}, "", err
	}
	login.Label, login.Source = label, source
	for {
		id, err := s.seatOf(&login)
		if err != nil {
			return Account{}, "", err
		}
		a, result, err := s.addUnder(ctx, id, login)
		if !errors.Is(err, errSeatMoved) {
			return a, result, err
		}
	}
}

var errSeatMoved = errors.New("the seat got another id meanwhile")

func (s *Store) loginOf(tokens auth.Tokens) (Account, error) {
	claims, err := s.claims(tokens.Access, tokens.ID)
	if err != nil {
		return Account{}, fmt.Errorf("the login cannot be used: %w", err)
	}
	if err := claims.RequireSeat(); err != nil {
		return Account{}, fmt.Errorf("the login cannot be used: %w", err)
	}
	if tokens.Refresh.IsZero() {
		return Account{}, errors.New("the login cannot be used: it came without a refresh token")
	}
	login := Account{
		Refresh: tokens.Refresh, Access: tokens.Access, ExpiresAt: tokens.ExpiresAt,
		RefreshedAt: s.now(), AddedAt: s.now(), Enabled: true,
	}
	if login.ExpiresAt.IsZero() {
		login.ExpiresAt = claims.ExpiresAt
	}
	login.setClaims(claims)
	return login, nil
}

// seatOf gives the public id of a login's seat, a new one if it is not there.
func (s *Store) seatOf(login *Account) (string, error) {
	p := s.reload()
	if p.err != nil {
		return "", p.err
	}
	if p.flaggedErr != nil {
		return "", p.flaggedErr
	}
	for _, list := range [][]Account{p.active.accounts, p.flagged.accounts} {
		if i := findSeat(list, login); i >= 0 {
			return list[i].ID, nil
		}
	}
	taken := make(map[string]bool, len(p.roster.All()))
	for _, a := range p.roster.All() {
		taken[a.ID] = true
	}
	fresh := []Account{*login}
	giveIDs(fresh, taken)
	return fresh[0].ID, nil
}

// addUnder writes the login while nobody can refresh the seat.
func (s *Store) addUnder(ctx context.Context, id string, login Account) (added Account, result AddResult, err error) {
	unlock, err := s.lockAccount(ctx, id, accountWait)
	if err != nil {
		return Account{}, "", err
	}
	defer unlock()
	// First what a process that died had in hand: the login that is stored, or
	// the very one that is being added, may be used up by it.
	left, err := s.settleLeft(ctx, id)
	if err != nil {
		return Account{}, "", err
	}
	unlockStore, err := s.lockStore(ctx)
	if err != nil {
		return Account{}, "", err
	}
	defer unlockStore()
	now, err := s.seatOf(&login)
	switch {
	case err != nil:
		return Account{}, "", err
	case now != id:
		return Account{}, "", errSeatMoved
	}
	switch spent, err := s.consumed.has(login.Refresh); {
	case err != nil:
		return Account{}, "", &UnreadableError{Path: s.consumed.path, Err: err}
	case spent:
		return Account{}, "", ErrConsumed
	}
	replaced := ""
	p, err := s.changeLocked(backupChange, func(e *edits) error {
		result, replaced = e.add(id, login)
		return nil
	})
	if err != nil {
		return Account{}, "", err
	}
	s.inMemory.Delete(id)
	s.backoffs.Delete(id)
	// Presented again, the login that this one replaced could only do harm.
	if err := s.consumed.add(replaced); err != nil {
		return Account{}, "", &UnwritableError{s.consumed.path, err}
	}
	// Of the same login again it is still not known whether it was sent.
	if left == nil || left.Sent != login.Refresh.Hash() || !left.RetryAt.IsZero() {
		if err := s.clearIntent(id); err != nil {
			return Account{}, "", &UnwritableError{s.accountFile(id, ".intent"), err}
		}
	}
	if p.err != nil {
		return Account{}, "", p.err // it is written, and could not be read back
	}
	a, ok := p.byID(id)
	if !ok {
		return Account{}, "", ErrNoAccount
	}
	return *a, result, nil
}

// add puts a login where it belongs, and returns the hash of the refresh token
// that it replaced.
func (e *edits) add(id string, login Account) (result AddResult, replaced string) {
	a := e.find(id)
	if a == nil {
		result = e.relation(&login)
		login.ID = id
		e.active = append(e.active, login)
		return result, ""
	}
	if !a.Refresh.Equal(login.Refresh) {
		replaced = a.Refresh.Hash()
	}
	known := *a
	known.takeTokens(&login)
	known.Residency, known.Source = login.Residency, login.Source
	known.Email, known.Label = nonEmpty(login.Email, known.Email), nonEmpty(login.Label, known.Label)
	known.AccountID = login.AccountID
	fill(&known.AccountUserID, login.AccountUserID)
	fill(&known.UserID, login.UserID)
	if known.Flag == nil {
		*a = known
		return AddedUpdated, replaced
	}
	known.Flag = nil
	e.take(id)
	e.active = append(e.active, known)
	return AddedHealed, replaced
}

// relation says how a new seat stands to those that are there.
func (e *edits) relation(login *Account) AddResult {
	result := AddedNew
	for _, list := range [][]Account{e.active, e.flagged} {
		for i := range list {
			switch {
			case list[i].AccountID == login.AccountID:
				return AddedSecondSeat
			case sameEmail(&list[i], login):
				result = AddedSecondWorkspace
			}
		}
	}
	return result
}
