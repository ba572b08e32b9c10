package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"codex-rota/logging"
	"codex-rota/pool"
)

// What becomes of a login that import found.
const (
	ImportTake   = "import"
	ImportKeep   = "keep"   // the pool has it, or something newer
	ImportRefuse = "refuse" // it cannot be used; Reason says why
)

// ReasonInPool is why a login that the pool has itself is kept.
const ReasonInPool = "the pool has this login"

// ImportLogin is one login that was found outside the pool. It never holds a
// token where it is printed.
type ImportLogin struct {
	From       string         `json:"from"`
	Path       string         `json:"path"`
	Position   int            `json:"position"` // in the file, from 1
	Label      string         `json:"label"`
	Email      string         `json:"email"`
	Plan       string         `json:"plan"`
	AccountID  string         `json:"accountId,omitempty"`
	UserID     string         `json:"userId,omitempty"`
	ExpiresAt  *time.Time     `json:"expiresAt,omitempty"` // of its access token
	Action     string         `json:"action"`              // one of the Import… words
	Reason     string         `json:"reason,omitempty"`
	SharedWith []ImportHolder `json:"sharedWith"` // who holds the same refresh token
	// Once imported: the account in the pool, and what it was to the pool.
	ID     string         `json:"id,omitempty"`
	Result pool.AddResult `json:"result,omitempty"`

	login *foundLogin
}

// ImportHolder is a file that holds a login's refresh token.
type ImportHolder struct {
	From string `json:"from"`
	Path string `json:"path"`
}

// ImportPlan is what import found and is going to do.
type ImportPlan struct {
	Logins     []ImportLogin      `json:"logins"`
	Unreadable []ImportUnreadable `json:"unreadable"` // files that were to be imported
}

// ImportUnreadable is a file that holds no login that can be understood.
type ImportUnreadable struct {
	ImportHolder
	Reason string `json:"reason"`
}

// ImportOptions says what to look through. Only files that Wanted approves are
// imported; the others tell who else holds a token. Placeholder is the refresh
// token in our own entry of OpenCode's auth.json.
type ImportOptions struct {
	Files            []ImportFile
	Wanted           func(ImportFile) bool
	Placeholder      string
	IncludeSensitive bool
}

// PlanImport reads logins out of files and decides which to take: the newest of
// each seat, if the pool has no newer one, and never a refresh token that was
// used up. It changes nothing.
func (s *Service) PlanImport(o ImportOptions) (*ImportPlan, error) {
	accounts, err := s.store.Accounts()
	if err != nil {
		return nil, s.storeError(err)
	}
	plan := &ImportPlan{Logins: []ImportLogin{}, Unreadable: []ImportUnreadable{}}
	holders := make(map[string][]ImportHolder) // by the refresh token's hash
	var found []*foundLogin
	for i := range o.Files {
		file := &o.Files[i]
		wanted, where := o.Wanted(*file), ImportHolder{file.From, file.Path}
		logins, err := readLogins(file, o.Placeholder)
		if err != nil && wanted {
			plan.Unreadable = append(plan.Unreadable, ImportUnreadable{where, err.Error()})
		}
		for j := range logins {
			login := &logins[j]
			hash := login.tokens.Refresh.Hash()
			if hash != "" && !slices.Contains(holders[hash], where) {
				holders[hash] = append(holders[hash], where)
			}
			if wanted {
				found = append(found, login)
			}
		}
	}
	for _, login := range found {
		out := describeLogin(login, o.IncludeSensitive)
		out.SharedWith = append(out.SharedWith, holders[login.tokens.Refresh.Hash()]...)
		if out.Action, out.Reason, err = s.judgeLogin(login, accounts); err != nil {
			return nil, s.storeError(err)
		}
		plan.Logins = append(plan.Logins, out)
	}
	plan.keepNewest()
	return plan, nil
}

func describeLogin(l *foundLogin, sensitive bool) ImportLogin {
	a := &l.account
	out := ImportLogin{From: l.file.From, Path: l.file.Path, Position: l.position, Label: a.Label, Email: logging.MaskEmail(a.Email),
		Plan: a.Plan, ExpiresAt: when(l.tokens.ExpiresAt), SharedWith: []ImportHolder{}, login: l}
	if sensitive {
		out.Email, out.AccountID, out.UserID = a.Email, a.AccountID, a.AccountUserID
		if out.UserID == "" {
			out.UserID = a.UserID
		}
	}
	return out
}

// judgeLogin holds one login against the pool.
func (s *Service) judgeLogin(l *foundLogin, accounts []pool.Account) (action, reason string, err error) {
	if l.problem != "" {
		return ImportRefuse, l.problem, nil
	}
	for i := range accounts {
		a := &accounts[i]
		switch {
		case !a.Refresh.IsZero() && a.Refresh.Equal(l.tokens.Refresh):
			return ImportKeep, ReasonInPool, nil
		case l.complete() && a.Flag == nil && pool.SameSeat(a, &l.account) && !l.tokens.ExpiresAt.After(a.ExpiresAt):
			return ImportKeep, "the pool has a newer login of this seat", nil
		case !l.complete() && pool.MaybeSameSeat(a, &l.account):
			return ImportRefuse, pool.ErrSeatKnown.Error(), nil
		}
	}
	spent, err := s.store.Consumed(l.tokens.Refresh)
	if err != nil {
		return "", "", err
	}
	if spent {
		return ImportRefuse, pool.ErrConsumed.Error(), nil
	}
	return ImportTake, "", nil
}

// keepNewest leaves one login of each seat to take.
func (p *ImportPlan) keepNewest() {
	var take []*ImportLogin
	for i := range p.Logins {
		if p.Logins[i].Action == ImportTake {
			take = append(take, &p.Logins[i])
		}
	}
	// The order is total, so the best of each seat has nobody above it.
	slices.SortStableFunc(take, func(a, b *ImportLogin) int {
		switch known := a.login.complete(); {
		case known == b.login.complete():
		case known:
			return -1
		default:
			return 1
		}
		return b.login.tokens.ExpiresAt.Compare(a.login.tokens.ExpiresAt)
	})
	for i, worse := range take {
		for _, better := range take[:i] {
			if better.Action != ImportTake || !pool.MaybeSameSeat(&better.login.account, &worse.login.account) {
				continue
			}
			worse.Action, worse.Reason = ImportKeep, "a newer login of this seat is in "+better.Path
			if better.login.tokens.Refresh.Equal(worse.login.tokens.Refresh) {
				worse.Reason = "the same login is in " + better.Path
			}
			break
		}
	}
}

// Import takes the logins of a plan into the pool and notes in the plan what
// became of each. The error is the store's; what the plan says is done is done.
func (s *Service) Import(ctx context.Context, plan *ImportPlan) error {
	for i := range plan.Logins {
		out := &plan.Logins[i]
		if out.Action != ImportTake {
			continue
		}
		added, result, err := s.takeLogin(ctx, out)
		switch {
		case errors.Is(err, pool.ErrConsumed), errors.Is(err, pool.ErrSeatKnown):
			out.Action, out.Reason = ImportRefuse, err.Error() // another process was faster
		case err != nil:
			return s.storeError(fmt.Errorf("import %s: %w", out.Path, err))
		default:
			out.ID, out.Result = added.ID, result
			s.announce("accounts/changed", Empty{})
		}
	}
	return nil
}

// takeLogin stores one login. What the file says besides, such as labels, is
// taken for a seat that the pool has not labelled itself.
func (s *Service) takeLogin(ctx context.Context, out *ImportLogin) (pool.Account, pool.AddResult, error) {
	said := out.login.account
	if CheckLabel(said.Label) != nil {
		said.Label = ""
	}
	if checkTags(said.Tags) != nil {
		said.Tags = nil
	}
	if checkLine("the note", said.Note, longestNote) != nil {
		said.Note = ""
	}
	said.Source = "import:" + out.From
	if !out.login.complete() {
		a, err := s.store.AddUnidentified(ctx, said)
		return a, pool.AddedNew, err
	}
	a, result, err := s.store.Add(ctx, out.login.tokens, "", said.Source)
	if err != nil {
		return a, result, err
	}
	known := result == pool.AddedUpdated || result == pool.AddedHealed
	return a, result, s.store.Update(ctx, a.ID, func(a *pool.Account) error {
		if a.Label == "" {
			a.Label = said.Label
		}
		if len(a.Tags) == 0 {
			a.Tags = said.Tags
		}
		if a.Note == "" {
			a.Note = said.Note
		}
		a.Enabled = a.Enabled && (known || said.Enabled)
		return nil
	})
}
