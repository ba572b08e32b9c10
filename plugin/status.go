package plugin

import (
	"context"
	"slices"
	"sync"
	"time"

	"codex-rota/plugin/response"
	"codex-rota/pool"
)

// Status is what `codex-rota status --json` prints.
type Status struct {
	Schema   int               `json:"schema"`
	Version  string            `json:"version"`
	Root     string            `json:"root"`
	Accounts []Account         `json:"accounts"`
	Hosts    []HostState       `json:"hosts"`
	Sessions int               `json:"sessions"` // bound in the last 24 h
	Settings Settings          `json:"settings"`
	Warnings []string          `json:"warnings"`
	Errors   []StatusLastError `json:"lastErrors"`
}

// HostState says whether a host has codex-rota registered.
type HostState struct {
	Name       string `json:"name"`
	Registered bool   `json:"registered"`
	Detail     string `json:"detail,omitempty"`
}

type StatusLastError struct {
	At      time.Time `json:"at"`
	Account string    `json:"account,omitempty"`
	Reason  string    `json:"reason"`
}

// Explanation is what `codex-rota explain --json` prints: the choice a call
// would get now, from the code path that chooses.
type Explanation struct {
	Schema     int                `json:"schema"`
	Rotation   string             `json:"rotation"`
	Model      string             `json:"model,omitempty"`
	Session    string             `json:"session,omitempty"`
	Chosen     string             `json:"chosen,omitempty"` // account id
	Reason     string             `json:"reason"`
	RetryAt    *time.Time         `json:"retryAt,omitempty"`
	Candidates []ExplainedAccount `json:"candidates"`
}

type ExplainedAccount struct {
	ID          string     `json:"id"`
	Label       string     `json:"label"`
	State       string     `json:"state"`
	Until       *time.Time `json:"until,omitempty"`
	Chosen      bool       `json:"chosen"`
	Score       float64    `json:"score"`
	Window      string     `json:"window,omitempty"` // the binding window's label
	UsedPercent *float64   `json:"usedPercent,omitempty"`
	ResetAt     *time.Time `json:"resetAt,omitempty"`
	Health      int        `json:"health"`
	IdleSeconds *int64     `json:"idleSeconds,omitempty"`
	Running     int        `json:"running"`
	WhyNot      string     `json:"whyNot,omitempty"`
	NotFor      []string   `json:"notFor,omitempty"` // models it may not serve now
}

// Status gives the accounts, hosts, sessions, settings and last errors. It asks
// nobody: everything is read from disk.
func (s *Service) Status(ctx context.Context, p StatusParams) (*Status, error) {
	accounts, err := s.store.Look()
	if err != nil {
		return nil, s.storeError(err)
	}
	out := &Status{
		Schema: 1, Version: s.options.Version, Root: s.options.Root,
		Accounts: s.describeAll(accounts, p.IncludeSensitive), Hosts: []HostState{}, Sessions: s.book.Sessions(),
		Settings: s.settings, Warnings: s.Warnings(), Errors: s.lastErrors(accounts),
	}
	if s.options.Hosts != nil {
		out.Hosts = s.options.Hosts()
	}
	return out, nil
}

// Explain gives the choice that a call of this session and model would get now,
// and every account's numbers, from the code that chooses. It binds nothing.
func (s *Service) Explain(ctx context.Context, p StatusParams) (*Explanation, error) {
	accounts, err := s.store.Look()
	if err != nil {
		return nil, s.storeError(err)
	}
	now := s.now()
	choice, candidates := s.book.Explain(accounts, s.query(accounts, p.Session, p.Model, nil), now)
	out := &Explanation{Schema: 1, Rotation: string(s.settings.Rotation), Model: p.Model, Session: p.Session,
		Chosen: choice.Account, Reason: choice.Reason, RetryAt: when(choice.Soonest), Candidates: []ExplainedAccount{}}
	known := s.book.FactsOf(accounts)
	for i, c := range candidates { // one for each account, in the same order
		e := ExplainedAccount{ID: c.Account, Label: nameOf(&accounts.All()[i], p.IncludeSensitive), State: string(c.State.Name), Until: when(c.State.Until),
			Chosen: c.Chosen, Score: c.Score, Health: int(c.Health), Running: c.Running, WhyNot: c.WhyNot}
		if c.Binding != nil {
			e.Window, e.UsedPercent, e.ResetAt = response.Label(c.Binding.WindowMinutes), &c.Binding.UsedPercent, when(c.Binding.ResetAt)
		}
		if c.IdleFor > 0 {
			seconds := int64(c.IdleFor.Seconds())
			e.IdleSeconds = &seconds
		}
		for _, m := range pool.BlockedModels(&known[i], now) {
			e.NotFor = append(e.NotFor, m.Model)
		}
		out.Candidates = append(out.Candidates, e)
	}
	return out, nil
}

// Warnings are what the person should know of the pool's files and settings:
// modes that were tightened, a Node tool's overwrite that was healed, typos.
func (s *Service) Warnings() []string {
	warnings := append([]string{}, s.options.Warnings...)
	warnings = append(warnings, s.store.Notices()...)
	if warning := s.book.Warning(); warning != "" {
		warnings = append(warnings, warning)
	}
	return warnings
}

// lastErrors joins what this process met with what is on disk of each account.
func (s *Service) lastErrors(accounts *pool.Roster) []StatusLastError {
	errs, facts := s.troubles.last(), s.book.FactsOf(accounts)
	for i := range facts {
		a, known := &accounts.All()[i], &facts[i]
		if a.Flag != nil {
			errs = append(errs, StatusLastError{At: a.Flag.At, Account: a.ID, Reason: a.Flag.Reason})
		}
		if known.LastReason != "" {
			errs = append(errs, StatusLastError{At: known.LastFailure, Account: a.ID, Reason: known.LastReason})
		}
		if a.Problem != "" {
			errs = append(errs, StatusLastError{At: s.now(), Account: a.ID, Reason: a.Problem})
		}
	}
	slices.SortStableFunc(errs, func(a, b StatusLastError) int { return b.At.Compare(a.At) })
	for i := range errs {
		errs[i].At = errs[i].At.UTC().Truncate(time.Millisecond)
	}
	return errs[:min(len(errs), troublesKept)]
}

// troubleLog keeps the last few errors of this process, for status.
type troubleLog struct {
	mu  sync.Mutex
	log []StatusLastError
}

const troublesKept = 20

func (t *troubleLog) add(at time.Time, account, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = append(t.log, StatusLastError{At: at.UTC().Truncate(time.Millisecond), Account: account, Reason: reason})
	if len(t.log) > troublesKept {
		t.log = t.log[len(t.log)-troublesKept:]
	}
}

func (t *troubleLog) last() []StatusLastError {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]StatusLastError{}, t.log...)
}
