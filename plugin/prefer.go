package plugin

import (
	"context"
	"slices"
	"time"

	"codex-rota/pool"
)

// Lookup gives the account that who names (see Who). With sensitive its e-mail
// is not masked.
func (s *Service) Lookup(who string, sensitive bool) (*Account, error) {
	accounts, i, fail := s.find(who)
	if fail != nil {
		return nil, fail
	}
	a := s.describe(&accounts[i], i+1, sensitive)
	return &a, nil
}

// find gives all accounts and the index of the one that who names.
func (s *Service) find(who string) (accounts []pool.Account, index int, fail *Error) {
	accounts, err := s.store.Accounts()
	if err != nil {
		return nil, 0, s.storeError(err)
	}
	if len(accounts) == 0 {
		return nil, 0, s.refuse(CodeNoAccounts, time.Time{})
	}
	a, err := Who(accounts, who)
	if err != nil {
		return nil, 0, badParams("%s", err)
	}
	return accounts, slices.IndexFunc(accounts, hasID(a.ID)), nil
}

// Switch makes one account, by its id, the first for new sessions; id "" leaves
// it to the rotation again. A pin stands above it, and so does the account that
// a session is bound to.
func (s *Service) Switch(ctx context.Context, id string) error {
	return s.changed(s.store.Prefer(ctx, id))
}

// Pin makes one account, by its id, the only one that is used; id "" ends that.
func (s *Service) Pin(ctx context.Context, id string) error {
	return s.changed(s.store.Pin(ctx, id))
}

// Pinned gives the account that is pinned, nil when none is.
func (s *Service) Pinned(sensitive bool) (*Account, error) {
	accounts, err := s.store.Accounts()
	if err != nil {
		return nil, s.storeError(err)
	}
	i := slices.IndexFunc(accounts, func(a pool.Account) bool { return a.Pinned })
	if i < 0 {
		return nil, nil
	}
	a := s.describe(&accounts[i], i+1, sensitive)
	return &a, nil
}

// Logout drops the account's tokens everywhere and keeps its record, as one that
// needs a login.
func (s *Service) Logout(ctx context.Context, id string) error {
	return s.changed(s.store.Logout(ctx, id))
}

// changed tells the host of a change that was made.
func (s *Service) changed(err error) error {
	if err != nil {
		return s.storeError(err)
	}
	s.announce("accounts/changed", Empty{})
	return nil
}
