package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// randomKills is how many processes TestKilledUnderLoad kills.
const randomKills = 300

// victim is a process that is killed sooner or later. It tells the hash of each
// refresh token that it has noted.
type victim struct {
	cmd  *exec.Cmd
	name string // the issuer knows it by this

	mu    sync.Mutex
	noted strings.Builder
}

func (v *victim) Write(told []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.noted.Write(told)
}

// slaughter is a pool with processes that renew and edit without a pause.
type slaughter struct {
	*rig
	running [3]*victim
	started int
	dead    map[string]*victim
	cost    map[string]bool // the dead that cost a login
}

func (k *slaughter) start(i int) {
	k.t.Helper()
	k.started++
	v := &victim{name: fmt.Sprintf("p%d", k.started)}
	v.cmd = k.child("load", "")
	v.cmd.Env = append(v.cmd.Env, childIssuer+"="+k.issuer.URL+"/"+v.name)
	v.cmd.Stdout = v
	if err := v.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.running[i] = v
}

// kill ends a process at whatever it does; all that it told is in its record.
func (k *slaughter) kill(i int) {
	v := k.running[i]
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
	k.dead[v.name] = v
}

// free demands that nobody who is dead holds a lock.
func (k *slaughter) free() {
	k.t.Helper()
	held, err := k.HeldLocks(k.t.Context(), time.Hour)
	if err != nil || len(held) != 0 {
		k.t.Errorf("held by the dead: %+v, %v", held, err)
	}
}

// heal logs in again what needs it, and demands that each such login was lost in
// the one way there is: the issuer had answered, and the process that asked died
// before it noted the answer. A process dies once, so it costs one at most.
func (k *slaughter) heal(accounts int) {
	k.t.Helper()
	list, err := k.Accounts()
	if err != nil || len(list) != accounts {
		k.t.Fatalf("%d accounts, %v", len(list), err)
	}
	for _, a := range list {
		if a.Flag == nil {
			continue
		}
		var last exchange
		k.issuer.set(func(i *issuer) { last = i.exchanges[a.Flag.RefusedHash] })
		v := k.dead[last.by]
		switch {
		case last.got == "":
			k.t.Errorf("%s was lost (%s), and its token had not been exchanged", a.ID, a.Flag.Reason)
		case v == nil:
			k.t.Errorf("%s was lost by %q, which was not killed", a.ID, last.by)
		case strings.Contains(v.noted.String(), last.got):
			k.t.Errorf("%s was lost, and %s had noted its new token", a.ID, last.by)
		case k.cost[last.by]:
			k.t.Errorf("%s was lost, and %s had cost a login before", a.ID, last.by)
		default:
			k.cost[last.by] = true
		}
		k.add(person{a.AccountID, a.AccountUserID, ""}, time.Hour)
	}
}

// Processes that renew and edit without a pause are killed at any moment, not
// only between steps: the pool always loads, no account is lost, a login is lost
// only with an answer that a killed process had not noted, what it left is
// resolved by the next one, and no lock outlives its process.
func TestKilledUnderLoad(t *testing.T) {
	const accounts = 4
	k := &slaughter{rig: newRig(t), dead: map[string]*victim{}, cost: map[string]bool{}}
	k.issuer.set(func(i *issuer) { i.hold = func() { time.Sleep(2 * time.Millisecond) } })
	for n := range accounts {
		k.add(person{fmt.Sprintf("W%d", n), fmt.Sprintf("u%d", n), ""}, time.Hour)
	}
	for i := range k.running {
		k.start(i)
	}
	for n := range randomKills {
		time.Sleep(rand.N(60 * time.Millisecond)) // any moment of a process's life, its start too
		i := n % len(k.running)
		k.kill(i)
		k.free()
		k.heal(accounts)
		k.start(i)
	}
	for i := range k.running {
		k.kill(i)
	}
	k.issuer.set(func(i *issuer) { i.hold = nil })
	locks, _ := filepath.Glob(filepath.Join(k.LockDir(), "*.lock"))
	for _, path := range locks {
		unlock, err := lockFile(t.Context(), path, 0)
		if err != nil {
			t.Errorf("%s outlived its process: %v", filepath.Base(path), err)
			continue
		}
		unlock()
	}
	left := 0
	list, _ := k.Accounts()
	for _, a := range list {
		if k.intent(a.ID) != nil {
			left++
		}
		if _, err := k.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil && !isRefused(err) {
			t.Errorf("%s: %v", a.ID, err)
		}
	}
	k.heal(accounts)
	k.clean(list)
	exchanges, lost := 0, len(k.cost)
	for n := range accounts {
		exchanges += k.issuer.count(fmt.Sprintf("W%d", n))
	}
	t.Logf("figures: %d kills under load (%d processes, %d accounts, %d exchanges): %d accounts left; %d logins cost, each with an answer that its process had not noted; %d intents left by the last and resolved, %d locks free",
		len(k.dead), len(k.running), accounts, exchanges, len(list), lost, left, len(locks))
}

// clean demands that after one more change and one more refresh of each account
// nothing is left of what the dead began.
func (k *slaughter) clean(list []Account) {
	k.t.Helper()
	err := k.Update(k.t.Context(), list[0].ID, func(a *Account) error { a.Note = "last"; return nil })
	for _, a := range list {
		stored := k.account(k.Store, a.ID)
		_, renewed := k.Token(k.t.Context(), a.ID, TokenOptions{Rejected: stored.Access})
		err = errors.Join(err, renewed)
	}
	if err != nil {
		k.t.Error(err)
	}
	err = filepath.WalkDir(k.dir, func(path string, _ fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if strings.Contains(name, ".tmp-") || strings.HasSuffix(name, intentSuffix) {
			k.t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		k.t.Error(err)
	}
}
