package pool

import "time"

// Candidate is one account's line in an explanation. Score is spread's number
// and decides with that rotation only.
type Candidate struct {
	Account   string
	State     State // for the query's model
	Chosen    bool
	Score     float64
	Binding   *Window       // the binding window
	Health    float64       // 0–100
	IdleFor   time.Duration // since its last call; 0 when none is known
	Running   int           // sessions using it now
	WhyNot    string
	Preferred bool
	Pinned    bool
}

// Explain is Choose with every account's numbers and why it was not chosen.
func Explain(accounts *Roster, book *Book, q Query, now time.Time) (Choice, []Candidate) {
	choice := Choose(accounts, book, q, now)
	out := make([]Candidate, len(accounts.All()))
	for i := range accounts.All() {
		a := &accounts.accounts[i]
		c := &out[i]
		*c = Candidate{Account: a.ID, Chosen: a.ID == choice.Account, Preferred: a.Preferred, Pinned: a.Pinned,
			State: StateOf(a, book.facts(a.ID), q.Model, now), Score: book.accounts[a.ID].score(now), Health: 100}
		if r := book.accounts[a.ID]; r != nil {
			c.Health, c.Running = r.HealthAt(now), r.running.at(now)
			if w := r.Binding(now); w != nil {
				copied := *w
				c.Binding = &copied
			}
			if !r.LastUsed.IsZero() {
				c.IdleFor = max(now.Sub(r.LastUsed), 0)
			}
		}
		if !c.Chosen {
			c.WhyNot = whyNot(c, &choice, &q)
		}
	}
	return choice, out
}

func whyNot(c *Candidate, choice *Choice, q *Query) string {
	switch {
	case q.Only != nil && !q.Only[c.Account]:
		return "accountsForModel leaves it out for this model"
	case q.Skip[c.Account]:
		return "already tried in this call"
	case c.State.Name != StateReady:
		return c.State.Reason
	case choice.Pinned || choice.Reason == becausePinned:
		return "another account is pinned"
	case choice.Bound:
		return "the session is bound to another account"
	case choice.Reason == becausePreferred:
		return "another account was chosen with switch"
	}
	return "another account comes first: " + choice.Reason
}
