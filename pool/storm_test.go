package pool

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
)

// deed is one thing that a worker did to the pool. From and To are by the clock
// that all processes of the machine share: of two deeds that overlap either may
// have come first.
type deed struct {
	Op, Seat string
	Value    string // the label, or the hash of the login's refresh token
	From, To time.Time
	Maybe    bool // it failed, and may have been done
}

// stormSeats are the users of the seats; the first two are of one workspace.
var stormSeats = map[string]string{"s0": "W0", "s1": "W0", "s2": "W1", "s3": "W2"}

// childStormKinds holds the operations of a worker, each as often as it is drawn.
const childStormKinds = "POOL_TEST_STORM"

// worker does random things to a pool that others work on too.
type worker struct {
	s     *Store
	name  string
	login string // where the issuer logs people in
	kinds []string
	note  func(deed)
	tool  []byte // the accounts as another tool wrote them down
}

const stormDeeds = 40 // of one worker

func (w *worker) run() error {
	for n := range stormDeeds {
		d := deed{Op: w.kinds[rand.N(len(w.kinds))], Seat: fmt.Sprint("s", rand.N(len(stormSeats))), From: time.Now()}
		did, err := w.do(&d, n)
		d.To = time.Now()
		var unreadable *UnreadableError
		var unreachable *UnreachableError
		switch {
		case errors.As(err, &unreadable):
			d.Maybe = true // written perhaps, and not read back
		case errors.Is(err, ErrNoAccount), isRefused(err), errors.As(err, &unreachable), errors.Is(err, ErrNothingToRestore):
			continue // nothing was done
		case err != nil:
			return fmt.Errorf("%s of %s: %w", d.Op, d.Seat, err)
		}
		if did {
			w.note(d)
		}
	}
	return w.s.Close(context.Background())
}

// do reports false when there was nothing to do it to.
func (w *worker) do(d *deed, n int) (did bool, err error) {
	ctx := context.Background()
	switch d.Op {
	case "add":
		tokens, err := logIn(w.login, d.Seat)
		if err != nil {
			return false, err
		}
		d.Value = tokens.Refresh.Hash()
		_, _, err = w.s.Add(ctx, tokens, "", "test")
		return true, err
	case "purge":
		return true, w.s.Purge(ctx)
	case "restore":
		if w.s.NewestGoodBackup() == "" {
			return false, nil
		}
		if err := os.WriteFile(w.s.Path(), []byte(`{"version":4,"acc`), 0o600); err != nil {
			return false, err
		}
		time.Sleep(rand.N(3 * time.Millisecond))
		_, err := w.s.RestoreBackup(ctx)
		return true, err
	case "tool":
		return true, w.toolWrites()
	}
	list, err := w.s.Accounts()
	i := slices.IndexFunc(list, func(a Account) bool { return a.AccountUserID == d.Seat })
	if err != nil || i < 0 {
		return false, err
	}
	id := list[i].ID
	switch d.Op {
	case "label":
		d.Value = fmt.Sprint(w.name, " ", n)
		return true, w.s.Update(ctx, id, func(a *Account) error { a.Label = d.Value; return nil })
	case "pin":
		return true, w.s.Pin(ctx, id)
	case "remove":
		return true, w.s.Remove(ctx, id)
	case "logout":
		return true, w.s.Logout(ctx, id)
	case "refresh":
		_, err := w.s.Token(ctx, id, TokenOptions{Rejected: list[i].Access})
		return true, err
	}
	return false, fmt.Errorf("unknown deed %q", d.Op)
}

// toolWrites writes what it read the time before, and reads anew.
func (w *worker) toolWrites() error {
	list, err := w.s.Accounts()
	if err != nil {
		return err
	}
	records := []map[string]string{}
	for _, a := range list {
		if a.Flag == nil {
			records = append(records, map[string]string{"accountId": a.AccountID, "refreshToken": a.Refresh.Reveal(), "accessToken": a.Access.Reveal()})
		}
	}
	old := w.tool
	if w.tool, err = json.Marshal(map[string]any{"version": 3, "accounts": records}); err != nil || old == nil {
		return err
	}
	// Under a name of its own: what has ours is swept by whoever holds the lock.
	half := w.s.Path() + ".tool"
	if err := os.WriteFile(half, old, 0o600); err != nil {
		return err
	}
	return os.Rename(half, w.s.Path())
}

func logIn(at, user string) (auth.Tokens, error) {
	answer, err := http.Get(at + "/login?" + url.Values{"account": {stormSeats[user]}, "user": {user}}.Encode())
	if err != nil {
		return auth.Tokens{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	refresh, access, _ := strings.Cut(string(text), " ")
	return auth.Tokens{Refresh: logging.NewSecret(refresh), Access: logging.NewSecret(access)}, err
}

// childStorm is a worker in a process of its own, which tells its deeds.
func childStorm(s *Store) error {
	out := json.NewEncoder(os.Stdout)
	var failed error
	w := worker{s: s, name: fmt.Sprint("process ", os.Getpid()), login: os.Getenv(childIssuer), kinds: strings.Fields(os.Getenv(childStormKinds)),
		note: func(d deed) { failed = errors.Join(failed, out.Encode(d)) }}
	return errors.Join(w.run(), failed)
}

// storm is what all workers did to one pool.
type storm struct {
	*rig
	mu    sync.Mutex
	deeds []deed
}

func (m *storm) note(d deed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deeds = append(m.deeds, d)
}

// rage lets all workers loose at once, goroutines with stores of their own and
// processes; last is what one of the goroutines does besides.
func (m *storm) rage(goroutines, processes int, last string) {
	const kinds = "add add add label label label refresh refresh refresh refresh remove logout pin"
	var all sync.WaitGroup
	for n := range goroutines {
		w := worker{s: m.open(Options{}), name: fmt.Sprint("goroutine ", n), login: m.issuer.URL, kinds: strings.Fields(kinds), note: m.note}
		if n == 0 && last != "" {
			w.kinds = append(w.kinds, last, last, last)
		}
		all.Go(func() {
			if err := w.run(); err != nil {
				m.t.Errorf("%s: %v", w.name, err)
			}
		})
	}
	for range processes {
		cmd := m.child("storm", "")
		cmd.Env = append(cmd.Env, childStormKinds+"="+kinds)
		all.Go(func() {
			var told, failed bytes.Buffer
			cmd.Stdout, cmd.Stderr = &told, &failed
			if err := cmd.Run(); err != nil {
				m.t.Errorf("a process: %v\n%s", err, failed.String())
			}
			for lines := bufio.NewScanner(&told); lines.Scan(); {
				var d deed
				if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
					m.t.Error(err)
				}
				m.note(d)
			}
		})
	}
	all.Wait()
}

// watch reads the accounts file all the time: its revision never goes back, and
// no two contents have the same one.
func (m *storm) watch(stop <-chan struct{}) (seen int) {
	var last int64
	var content [sha256.Size]byte
	for {
		select {
		case <-stop:
			return seen
		case <-time.After(200 * time.Microsecond):
		}
		data, err := os.ReadFile(filepath.Join(m.dir, accountsName))
		if err != nil {
			continue
		}
		doc, err := decodeDocument(data)
		if err != nil || doc.version != fileVersion {
			continue
		}
		sum := sha256.Sum256(data)
		switch {
		case doc.revision < last:
			m.t.Errorf("revision %d came after %d", doc.revision, last)
		case doc.revision == last && sum != content:
			m.t.Errorf("two contents have revision %d: an update is lost", last)
		case doc.revision > last:
			seen++
		}
		last, content = doc.revision, sum
	}
}

// of gives the deeds of these kinds about a seat, "" for any, and every purge.
func (m *storm) of(seat string, kinds ...string) (found []deed) {
	for _, d := range m.deeds {
		if d.Op == "purge" || slices.Contains(kinds, d.Op) && (seat == "" || d.Seat == seat) {
			found = append(found, d)
		}
	}
	return found
}

// lastOf are the deeds that may have been the last: after none of them did
// another one begin that was surely done.
func lastOf(deeds []deed) (last []deed) {
	for _, d := range deeds {
		if !slices.ContainsFunc(deeds, func(o deed) bool { return !o.Maybe && o.From.After(d.To) }) {
			last = append(last, d)
		}
	}
	return last
}

func anySure(deeds []deed) bool {
	return slices.ContainsFunc(deeds, func(d deed) bool { return !d.Maybe })
}

func anyOf(deeds []deed, kinds ...string) bool {
	return slices.ContainsFunc(deeds, func(d deed) bool { return slices.Contains(kinds, d.Op) })
}

func anyWith(deeds []deed, op, value string) bool {
	return slices.ContainsFunc(deeds, func(d deed) bool { return d.Op == op && d.Value == value })
}

// explained demands that the pool is what some order of the deeds leaves, one
// field at a time.
func (m *storm) explained(list []Account) {
	m.t.Helper()
	for seat := range stormSeats {
		i := slices.IndexFunc(list, func(a Account) bool { return a.AccountUserID == seat })
		ends := lastOf(m.of(seat, "add", "remove", "logout"))
		if i < 0 {
			if anySure(ends) && !anyOf(ends, "remove", "purge") {
				m.t.Errorf("%s: a login is lost: %+v", seat, ends)
			}
			continue
		}
		a := list[i]
		switch {
		case a.Flag == nil && !anyWith(ends, "add", m.root(a.Refresh.Hash())):
			m.t.Errorf("%s: the login is not the newest, or was removed: %+v", seat, ends)
		case a.Flag != nil && a.Flag.Reason != "logged out":
			m.t.Errorf("%s: a login was burnt: %s", seat, a.Flag.Reason)
		case a.Flag != nil && !anyOf(ends, "logout"):
			m.t.Errorf("%s: logged out, and the last was %+v", seat, ends)
		}
		labels := lastOf(m.of(seat, "label", "remove"))
		if a.Label == "" && anySure(labels) && !anyOf(labels, "remove", "purge") || a.Label != "" && !anyWith(labels, "label", a.Label) {
			m.t.Errorf("%s: label %q, and the last was %+v", seat, a.Label, labels)
		}
	}
	m.pinned(list)
}

// pinned demands that the last pin holds, unless its seat was removed.
func (m *storm) pinned(list []Account) {
	m.t.Helper()
	pins := lastOf(slices.DeleteFunc(m.of("", "pin"), func(d deed) bool { return d.Op == "purge" }))
	var pinned []string
	for _, a := range list {
		if a.Pinned {
			pinned = append(pinned, a.AccountUserID)
		}
	}
	removed := func(pin deed) bool {
		return slices.ContainsFunc(m.of(pin.Seat, "remove"), func(d deed) bool { return d.To.After(pin.From) })
	}
	switch {
	case len(pinned) > 1:
		m.t.Errorf("%d accounts are pinned", len(pinned))
	case len(pinned) == 1 && !slices.ContainsFunc(pins, func(d deed) bool { return d.Seat == pinned[0] }):
		m.t.Errorf("%s is pinned, and the last was %+v", pinned[0], pins)
	case len(pinned) == 0 && anySure(pins) && !slices.ContainsFunc(pins, removed):
		m.t.Errorf("none is pinned, and the last was %+v", pins)
	}
}

// root is the login that a refresh token goes back to, by hash.
func (m *storm) root(hash string) string {
	m.issuer.mu.Lock()
	defer m.issuer.mu.Unlock()
	from := map[string]string{}
	for sent, e := range m.issuer.exchanges {
		from[e.got] = sent
	}
	for from[hash] != "" {
		hash = from[hash]
	}
	return hash
}

// sound demands that every login that is stored is live and can be renewed, and
// that nothing is left of what was under way.
func (m *storm) sound(list []Account) {
	m.t.Helper()
	s := m.open(Options{})
	for _, a := range list {
		if a.Flag != nil {
			continue
		}
		m.issuer.set(func(i *issuer) {
			if _, live := i.live[a.Refresh.Reveal()]; !live {
				m.t.Errorf("%s: a used-up token is stored", a.AccountUserID)
			}
		})
		if spent, err := s.Consumed(a.Refresh); spent || err != nil {
			m.t.Errorf("%s: its stored token counts as used up (%v)", a.AccountUserID, err)
		}
		if _, err := s.Token(m.t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil {
			m.t.Errorf("%s: %v", a.AccountUserID, err)
		}
		if m.intent(a.ID) != nil {
			m.t.Errorf("%s: an intent is left", a.AccountUserID)
		}
	}
	if n := m.issuer.presentedAgain(); n != 0 {
		m.t.Errorf("%d used-up tokens were presented", n)
	}
	if held, err := s.HeldLocks(m.t.Context(), 0); err != nil || len(held) > 0 {
		m.t.Errorf("locks are held: %+v, %v", held, err)
	}
}

// Several stores and processes do random things to one folder at the same time.
// What comes out is what some order of them leaves: no login lost or replaced by
// an older one, nothing removed back, no used-up token stored or presented, no
// revision twice.
func TestStoresInAStorm(t *testing.T) {
	const rounds, goroutines, processes = 1, 3, 3
	for _, last := range []string{"", "tool", "restore", "purge"} {
		t.Run("and "+last, func(t *testing.T) {
			deeds, revisions, maybe := map[string]int{}, 0, 0
			for range rounds {
				m := &storm{rig: newRigOn(t, unsyncedDisk{})}
				stop, watched := make(chan struct{}), make(chan int, 1)
				if last != "purge" { // which makes the count begin anew
					go func() { watched <- m.watch(stop) }()
				} else {
					watched <- 0
				}
				m.rage(goroutines, processes, last)
				close(stop)
				revisions += <-watched
				list, err := m.open(Options{}).Accounts()
				if err != nil {
					t.Fatal(err)
				}
				m.explained(list)
				m.sound(list)
				for _, d := range m.deeds {
					deeds[d.Op]++
					if d.Maybe {
						maybe++
					}
				}
			}
			t.Logf("figures: %d stores and %d processes at once, %d rounds: %v done (of %d that failed it is not known), %d revisions seen: explained by an order",
				goroutines, processes, rounds, deeds, maybe, revisions)
		})
	}
}
