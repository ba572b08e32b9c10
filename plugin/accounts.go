package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"codex-rota/logging"
	"codex-rota/plugin/response"
	"codex-rota/pool"
)

// AccountsList gives every account, the flagged ones last. E-mails are masked
// and upstream ids left out unless IncludeSensitive is set (DESIGN 7).
func (s *Service) AccountsList(ctx context.Context, p AccountsListParams) (*AccountsResult, error) {
	accounts, err := s.store.Look()
	if err != nil {
		return nil, s.storeError(err)
	}
	return &AccountsResult{Accounts: s.describeAll(accounts, p.IncludeSensitive)}, nil
}

func (s *Service) describeAll(accounts *pool.Roster, sensitive bool) []Account {
	known, now := s.book.FactsOf(accounts), s.now()
	out := make([]Account, len(known))
	for i := range out {
		out[i] = described(&accounts.All()[i], &known[i], i+1, sensitive, now)
	}
	return out
}

func (s *Service) describe(a *pool.Account, position int, sensitive bool) Account {
	known := s.book.Facts(a.ID)
	return described(a, &known, position, sensitive, s.now())
}

// described is the one place where an account becomes section 7's JSON.
func described(a *pool.Account, known *pool.Facts, position int, sensitive bool, now time.Time) Account {
	state := pool.StateOf(a, known, "", now)
	out := Account{
		ID: a.ID, Position: position, Label: a.Label, Email: logging.MaskEmail(a.Email), Plan: a.Plan,
		State: string(state.Name), Reason: state.Reason, Until: when(state.Until),
		Enabled: a.Enabled, Pinned: a.Pinned, Preferred: a.Preferred, Tags: a.Tags, Note: a.Note,
		Windows: []Window{}, Health: int(known.HealthAt(now)), LastUsed: when(known.LastUsed), AddedAt: when(a.AddedAt), Source: a.Source,
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	if known.Plan != "" {
		out.Plan = known.Plan
	}
	if sensitive {
		out.Email, out.AccountID, out.UserID = a.Email, a.AccountID, a.AccountUserID
		if out.UserID == "" {
			out.UserID = a.UserID
		}
	}
	for _, w := range known.Windows {
		out.Windows = append(out.Windows, Window{Name: w.Name, Label: response.Label(w.WindowMinutes), UsedPercent: w.UsedPercent,
			WindowMinutes: w.WindowMinutes, ResetAt: when(w.ResetAt), ObservedAt: w.ObservedAt})
	}
	return out
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = told(t)
	return &t
}

// told is a time as JSON tells it.
func told(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// AccountsUpdate changes the fields that are present in p, of one account.
func (s *Service) AccountsUpdate(ctx context.Context, p AccountsUpdateParams) (*AccountResult, error) {
	id, fail := s.whoParam(p.Account)
	if fail != nil {
		return nil, fail
	}
	err := s.store.Update(ctx, id, p.apply)
	if err == nil && p.Pinned != nil {
		err = s.pin(ctx, id, *p.Pinned)
	}
	if err := s.changed(err); err != nil {
		return nil, err
	}
	return s.account(id)
}

// apply makes the changes on an account, and refuses a text that no line could
// show.
func (p *AccountsUpdateParams) apply(a *pool.Account) error {
	if p.Label != nil {
		if err := CheckLabel(*p.Label); err != nil {
			return err
		}
		a.Label = *p.Label
	}
	if p.Tags != nil {
		if err := checkTags(*p.Tags); err != nil {
			return err
		}
		a.Tags = *p.Tags
	}
	if p.Note != nil {
		if err := checkLine("the note", *p.Note, longestNote); err != nil {
			return err
		}
		a.Note = *p.Note
	}
	if p.Enabled != nil {
		a.Enabled = *p.Enabled
	}
	return nil
}

// pin sets or takes away the pin; taking it from an account that is not pinned
// changes nothing.
func (s *Service) pin(ctx context.Context, id string, on bool) error {
	if on {
		return s.store.Pin(ctx, id)
	}
	accounts, err := s.store.Accounts()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(accounts, func(a pool.Account) bool { return a.ID == id && a.Pinned }) {
		return s.store.Pin(ctx, "")
	}
	return nil
}

func hasID(id string) func(pool.Account) bool {
	return func(a pool.Account) bool { return a.ID == id }
}

func (s *Service) account(id string) (*AccountResult, error) {
	accounts, err := s.store.Accounts()
	if err != nil {
		return nil, s.storeError(err)
	}
	i := slices.IndexFunc(accounts, hasID(id))
	if i < 0 {
		return nil, badParams("the account is gone")
	}
	return &AccountResult{Account: s.describe(&accounts[i], i+1, false)}, nil
}

// AccountsRemove takes an account and its tokens out of the pool and out of
// every copy of the accounts file.
func (s *Service) AccountsRemove(ctx context.Context, p AccountsRemoveParams) (*AccountsRemoveResult, error) {
	id, fail := s.whoParam(p.Account)
	if fail != nil {
		return nil, fail
	}
	if err := s.store.Remove(ctx, id); err != nil {
		return nil, s.storeError(err)
	}
	if err := s.changed(s.book.Forget(ctx, id)); err != nil {
		return nil, err
	}
	return &AccountsRemoveResult{Removed: id}, nil
}

// whoParam reads WHO from the wire: a string, or a number for a position.
func (s *Service) whoParam(raw json.RawMessage) (string, *Error) {
	who, err := textOrNumber(raw)
	if err != nil || who == "" {
		return "", badParams("account wants an id, a label, an e-mail or a position")
	}
	accounts, i, fail := s.find(who)
	if fail != nil {
		return "", fail
	}
	return accounts[i].ID, nil
}

// Who finds the account that who names: its id, else its label, its e-mail (both
// without case) or its 1-based position. More than one match is an error that
// lists them.
func Who(accounts []pool.Account, who string) (*pool.Account, error) {
	if i := slices.IndexFunc(accounts, hasID(who)); i >= 0 {
		return &accounts[i], nil
	}
	position, _ := strconv.Atoi(who) // what is no number is no position: 0
	var found []int
	for i := range accounts {
		a := &accounts[i]
		if who != "" && (strings.EqualFold(a.Label, who) || strings.EqualFold(a.Email, who)) || position == i+1 {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return &accounts[found[0]], nil
	case len(found) > 1:
		var names []string
		for _, i := range found {
			names = append(names, fmt.Sprintf("%s (%d, %s)", accounts[i].ID, i+1, nameOf(&accounts[i], false)))
		}
		return nil, fmt.Errorf("%q matches %d accounts, name one by its id: %s", who, len(found), strings.Join(names, "; "))
	}
	return nil, fmt.Errorf("no account is called %q; codex-rota list shows them", who)
}

// accountStates is each account's part in an error, nil when the store cannot be
// read.
func (s *Service) accountStates() []AccountState {
	accounts, err := s.store.Look()
	if err != nil {
		return nil
	}
	states := s.book.StatesOf(accounts, s.now())
	out, times := make([]AccountState, len(states)), make([]time.Time, len(states)) // times in one piece: there may be thousands
	for i, state := range states {
		a := &accounts.All()[i]
		out[i] = AccountState{ID: a.ID, Label: a.Label, State: string(state.Name), Reason: state.Reason, pinned: a.Pinned}
		if !state.Until.IsZero() {
			times[i] = told(state.Until)
			out[i].Until = &times[i]
		}
	}
	return out
}
