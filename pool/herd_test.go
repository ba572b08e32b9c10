package pool

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// herdRounds is how often the herd of TestHerd comes; go test
// -count repeats it further.
const herdRounds = 50

// N processes × M accounts, all expired at once, again and again, each process
// starting at a time of its own: every round exactly M exchanges, every call
// served, no refresh token presented twice.
func TestHerd(t *testing.T) {
	const processes, accounts = 8, 6
	calls := 0
	for round := range herdRounds {
		r := newRig(t)
		for n := range accounts {
			r.add(person{fmt.Sprintf("W%d", n), fmt.Sprintf("u%d", n), ""}, -time.Second)
		}
		backdate(t, filepath.Join(r.dir, accountsName))
		r.issuer.set(func(i *issuer) { i.hold = func() { time.Sleep(20 * time.Millisecond) } }) // a slow issuer
		var all sync.WaitGroup
		for range processes {
			all.Go(func() {
				time.Sleep(rand.N(60 * time.Millisecond))
				if out, err := r.child("token", "").CombinedOutput(); err != nil {
					t.Errorf("round %d: a call was not served: %v\n%s", round, err, out)
				}
			})
		}
		all.Wait()
		for n := range accounts {
			if got := r.issuer.count(fmt.Sprintf("W%d", n)); got != 1 {
				t.Errorf("round %d: %d exchanges for account %d", round, got, n)
			}
		}
		if n := r.issuer.presentedAgain(); n != 0 {
			t.Errorf("round %d: %d used-up tokens were presented", round, n)
		}
		calls += processes * accounts
	}
	t.Logf("figures: %d rounds × %d processes × %d accounts: %d calls served, %d exchanges, 0 used-up tokens presented",
		herdRounds, processes, accounts, calls, herdRounds*accounts)
}

// The same herd inside one process, through one store and through several.
func TestHerdInOneProcess(t *testing.T) {
	const callers, accounts = 200, 6
	for _, stores := range []int{1, 4} {
		r := newRig(t)
		var ids []string
		for n := range accounts {
			ids = append(ids, r.add(person{fmt.Sprintf("W%d", n), fmt.Sprintf("u%d", n), ""}, -time.Second).ID)
		}
		r.clock.add(2 * time.Minute)
		r.issuer.set(func(i *issuer) { i.hold = func() { time.Sleep(20 * time.Millisecond) } })
		opened := []*Store{r.Store}
		for len(opened) < stores {
			opened = append(opened, r.open(Options{}))
		}
		var all sync.WaitGroup
		tokens := make([]Token, callers)
		for i := range callers {
			all.Go(func() {
				token, err := opened[i%stores].Token(t.Context(), ids[i%accounts], TokenOptions{})
				if err != nil {
					t.Errorf("caller %d: %v", i, err)
				}
				tokens[i] = token
			})
		}
		all.Wait()
		exchanges := 0
		for n := range accounts {
			exchanges += r.issuer.count(fmt.Sprintf("W%d", n))
		}
		for i := range callers {
			if want := tokens[i%accounts]; !tokens[i].Access.Equal(want.Access) {
				t.Errorf("caller %d got another token than caller %d", i, i%accounts)
			}
		}
		if exchanges != accounts || r.issuer.presentedAgain() != 0 {
			t.Errorf("%d exchanges for %d accounts, %d of a used-up token", exchanges, accounts, r.issuer.presentedAgain())
		}
		t.Logf("figures: %d goroutines on %d stores, %d accounts: %d exchanges, %d used-up tokens presented",
			callers, stores, accounts, exchanges, r.issuer.presentedAgain())
	}
}
