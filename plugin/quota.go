package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"codex-rota/plugin/request"
	"codex-rota/plugin/response"
	"codex-rota/pool"
)

// The limits of a look at the usage endpoint.
const (
	usageTimeout = 10 * time.Second
	usageMaxSize = 1 << 20
)

// QuotaRefresh reads the usage endpoint for one account or for all, and gives
// them with fresh windows. It makes no model call and spends no refresh token: an
// account whose access token has expired keeps the windows that are known. When
// nothing at all could be read the endpoint is out of reach, and that is an error.
func (s *Service) QuotaRefresh(ctx context.Context, p QuotaRefreshParams) (*QuotaResult, error) {
	only := ""
	if len(p.Account) > 0 && string(p.Account) != "null" {
		id, fail := s.whoParam(p.Account)
		if fail != nil {
			return nil, fail
		}
		only = id
	}
	quota, err := s.Quota(ctx, only, false)
	if err != nil {
		return nil, err
	}
	return quota, nil
}

// Quota is QuotaRefresh for the account of this id or for all (""), e-mails
// unmasked with sensitive. When the endpoint is out of reach it gives what is
// known together with the error.
func (s *Service) Quota(ctx context.Context, only string, sensitive bool) (*QuotaResult, error) {
	roster, err := s.store.Look()
	if err != nil {
		return nil, s.storeError(err)
	}
	accounts := roster.All()
	limited, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	failures := inParallel(len(accounts), func(i int) error {
		a := &accounts[i]
		switch {
		case only != "" && a.ID != only:
			return nil
		case a.Flag != nil || a.Access.IsZero():
			return errLoggedOut
		case !a.ExpiresAt.After(s.now()):
			return errExpired
		}
		return s.readUsage(limited, a.ID, pool.Token{Access: a.Access, AccountID: a.AccountID, Residency: a.Residency})
	})
	out, reached, missed := &QuotaResult{Accounts: []Account{}}, 0, 0
	now := s.describeAll(roster, sensitive)
	for i := range accounts {
		if only != "" && accounts[i].ID != only {
			continue
		}
		out.Accounts = append(out.Accounts, now[i])
		switch err := failures[i]; {
		case err == nil:
			reached++
			continue
		case !errors.Is(err, errExpired) && !errors.Is(err, errLoggedOut):
			missed++
		}
		out.Failures = append(out.Failures, QuotaFailure{Account: accounts[i].ID, Reason: failures[i].Error()})
	}
	if reached == 0 && missed > 0 {
		e := s.refuse(CodeUpstreamUnreachable, time.Time{})
		e.cause = errors.Join(failures...)
		return out, e
	}
	return out, nil
}

var (
	errLoggedOut = errors.New("it is not logged in")
	errExpired   = errors.New("its access token has expired; its next call renews it")
)

// readUsage asks the usage endpoint once and learns what it says.
func (s *Service) readUsage(ctx context.Context, id string, token pool.Token) error {
	sentAt := s.now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.settings.Backend+"/wham/usage", nil)
	if err != nil {
		return err
	}
	for _, h := range request.Headers([]Header{{"user-agent", Name}}, request.Authorization{
		AccessToken: token.Access.Reveal(), AccountID: token.AccountID, Residency: token.Residency}, nil, false) {
		req.Header.Set(h[0], h[1])
	}
	req.Header.Set("accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("usage endpoint: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, usageMaxSize))
	if err != nil {
		return fmt.Errorf("usage endpoint: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("usage endpoint: status %d", resp.StatusCode)
	}
	plan, windows, err := response.ParseUsage(body, s.now())
	if err != nil {
		return fmt.Errorf("usage endpoint: %w", err)
	}
	events := windowsEvent(response.Outcome{Windows: windows, Plan: plan}, facts{account: id}, sentAt)
	return s.book.Learn(ctx, events...)
}

// inParallel runs f for 0…n-1, at most eight at once, and gives each one's error.
func inParallel(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range n {
		group.Go(func() error {
			errs[i] = f(i)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs, one for each
	return errs
}
