package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// randomKills is how many processes TestKilledUnderLoad kills.
const randomKills = 300

// Processes that renew and edit without a pause are killed at any moment, not
// only between steps: the pool always loads, no account is lost, a kill costs
// the exchange its process was in at most, what it left is resolved by the next
// one, and no lock outlives its process.
func TestKilledUnderLoad(t *testing.T) {
	const processes, accounts = 3, 4
	r := newRig(t)
	r.issuer.set(func(i *issuer) { i.hold = func() { time.Sleep(2 * time.Millisecond) } })
	for n := range accounts {
		r.add(person{fmt.Sprintf("W%d", n), fmt.Sprintf("u%d", n), ""}, time.Hour)
	}
	running := make([]*exec.Cmd, processes)
	start := func(i int) {
		running[i] = r.child("load", "")
		if err := running[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	kill := func(i int) {
		_ = running[i].Process.Kill()
		_ = running[i].Wait()
	}
	for i := range running {
		start(i)
	}
	logins := 0
	heal := func() { // an exchange that was cut off costs a login
		list, err := r.Accounts()
		if err != nil || len(list) != accounts {
			t.Fatalf("%d accounts, %v", len(list), err)
		}
		for _, a := range list {
			if a.Flag != nil {
				logins++
				r.add(person{a.AccountID, a.AccountUserID, ""}, time.Hour)
			}
		}
	}
	for n := range randomKills {
		time.Sleep(rand.N(60 * time.Millisecond)) // any moment of a process's life, its start too
		kill(n % processes)
		heal()
		start(n % processes)
	}
	for i := range running {
		kill(i)
	}
	r.issuer.set(func(i *issuer) { i.hold = nil })
	locks, _ := filepath.Glob(filepath.Join(r.LockDir(), "*.lock"))
	for _, path := range locks {
		unlock, err := lockFile(t.Context(), path, 0)
		if err != nil {
			t.Errorf("%s outlived its process: %v", filepath.Base(path), err)
			continue
		}
		unlock()
	}
	left := 0
	list, _ := r.Accounts()
	for _, a := range list {
		if r.intent(a.ID) != nil {
			left++
		}
		var refused *RefusedError
		if _, err := r.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: %v", a.ID, err)
		}
		if r.intent(a.ID) != nil {
			t.Errorf("%s: the intent is left", a.ID)
		}
	}
	heal()
	if logins > randomKills+processes {
		t.Errorf("%d kills cost %d logins", randomKills, logins)
	}
	// A write sweeps what a killed one left.
	if err := r.Update(t.Context(), list[0].ID, func(a *Account) error { a.Note = "last"; return nil }); err != nil {
		t.Error(err)
	}
	names, _ := os.ReadDir(r.dir)
	for _, e := range names {
		if strings.Contains(e.Name(), ".tmp-") {
			t.Errorf("%s is left", e.Name())
		}
	}
	exchanges := 0
	for n := range accounts {
		exchanges += r.issuer.count(fmt.Sprintf("W%d", n))
	}
	t.Logf("figures: %d kills under load (%d processes, %d accounts, %d exchanges): %d accounts left, %d logins cost, %d intents left by the dead and resolved, %d locks free",
		randomKills+processes, processes, accounts, exchanges, len(list), logins, left, len(locks))
}
