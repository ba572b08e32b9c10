package plugin

import (
	"context"
	"errors"
	"sync"
	"time"

	"codex-rota/pool"
)

// probes looks whether the limits of accounts that have been blocked for a while
// were lifted early (DESIGN 5). One look at a time: who comes meanwhile waits for
// its result.
type probes struct {
	mu      sync.Mutex
	current *probe
	asked   time.Time // when a call last asked whether one is due
}

// askEvery is how far apart calls ask whether a look is due: to ask goes through
// all accounts, and looks lie minutes apart.
const askEvery = 10 * time.Second

type probe struct {
	done    chan struct{}
	learned bool
}

// probeSoon looks behind a call, when a look is due. Nothing waits for it.
func (s *Service) probeSoon(accounts *pool.Roster) {
	if s.probes.mayAsk(s.now()) && len(s.book.DueProbes(accounts, s.now())) > 0 {
		s.goDo(usageTimeout, func(ctx context.Context) { s.probes.run(ctx, s) })
	}
}

// mayAsk reports whether a call should ask, which it then does: nobody looks now,
// and nobody has asked for a while.
func (p *probes) mayAsk(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := now.Sub(p.asked)
	if p.current != nil || since >= 0 && since < askEvery {
		return false
	}
	p.asked = now
	return true
}

// run looks, or waits for the look that is under way, and reports whether
// anything was learned.
func (p *probes) run(ctx context.Context, s *Service) bool {
	p.mu.Lock()
	if under := p.current; under != nil {
		p.mu.Unlock()
		select {
		case <-under.done:
			return under.learned
		case <-ctx.Done():
			return false
		}
	}
	mine := &probe{done: make(chan struct{})}
	p.current = mine
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.current = nil
		p.mu.Unlock()
		close(mine.done)
	}()
	mine.learned = s.probeDue(ctx)
	return mine.learned
}

func (s *Service) dueProbes() []string {
	accounts, err := s.store.Look()
	if err != nil {
		return nil
	}
	return s.book.DueProbes(accounts, s.now())
}

// probeDue asks the usage endpoint for the accounts whose probe is due now, and
// reports whether it learned anything.
func (s *Service) probeDue(ctx context.Context) bool {
	due := s.dueProbes()
	if len(due) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	failures := inParallel(len(due), func(i int) error {
		if !s.book.ClaimProbe(ctx, due[i], s.now()) {
			return errNotOurs
		}
		token, err := s.store.Token(ctx, due[i], pool.TokenOptions{})
		if err != nil {
			return err
		}
		return s.readUsage(ctx, due[i], token)
	})
	learned := false
	for i, err := range failures {
		learned = learned || err == nil
		if err != nil && !errors.Is(err, errNotOurs) {
			s.log.Debug("a blocked account could not be probed", "account", due[i], "reason", err)
		}
	}
	return learned
}

var errNotOurs = errors.New("another process probes this account")
