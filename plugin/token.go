package plugin

import (
	"context"
	"time"

	"codex-rota/pool"
)

// Settings gives what the service runs with.
func (s *Service) Settings() Settings { return s.settings }

// TokenAccount is the account that `token` prints a token of: who names it, or
// it is the one that a new session would get. fresh says that its stored token
// can be presented as it is.
func (s *Service) TokenAccount(who string) (id string, fresh bool, err error) {
	if who != "" {
		accounts, i, fail := s.find(who)
		if fail != nil {
			return "", false, fail
		}
		id = accounts[i].ID
	} else {
		accounts, err := s.store.Look()
		if err != nil {
			return "", false, s.storeError(err)
		}
		choice := s.book.Choose(accounts, s.query(accounts, "", "", nil), s.now())
		if choice.Account == "" {
			return "", false, s.noAccount(choice, s.now())
		}
		id = choice.Account
	}
	a, err := s.store.Account(id)
	if err != nil {
		return "", false, s.storeError(err)
	}
	if a.Flag != nil || a.Refresh.IsZero() {
		return "", false, s.refuse(CodeLoginRequired, time.Time{})
	}
	return id, a.ExpiresAt.Sub(s.now()) > s.settings.RefreshBefore(), nil
}

// StoredToken is the account's access token as it is stored: for printing, on
// the person's own request, and for nothing else.
func (s *Service) StoredToken(id string) (string, error) {
	a, err := s.store.Account(id)
	if err != nil {
		return "", s.storeError(err)
	}
	if a.Flag != nil || a.Access.IsZero() {
		return "", s.refuse(CodeLoginRequired, time.Time{})
	}
	return a.Access.Reveal(), nil
}

// RenewToken refreshes the account's token if that is due.
func (s *Service) RenewToken(ctx context.Context, id string) error {
	_, err := s.store.Token(ctx, id, pool.TokenOptions{})
	if err == nil {
		return nil
	}
	if s.outForGood(err) {
		return s.refuse(CodeLoginRequired, time.Time{})
	}
	return s.tokenFailure(ctx, err)
}
