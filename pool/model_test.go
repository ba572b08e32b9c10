package pool

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// seatModel is what one seat should look like, kept by a sequential model that
// knows neither files nor processes.
type seatModel struct {
	refresh string // of the newest login or exchange
	label   string
	enabled bool
	loggedOut,
	pinned bool
	until  time.Time // of its last block
	probed time.Time
	// past is the end of a block from before the seat was removed and added
	// again. The limit is upstream's: a process may remember it still.
	past time.Time
}

// poolModel drives several stores and quota books over one folder, each with
// caches of its own, and compares all of them with the model after each step.
type poolModel struct {
	*rig
	stores []*Store
	books  []*BookFile
	seats  map[string]*seatModel // user → what is expected; absent: not in the pool
	ids    map[string]string     // user → public id
	past   map[string]time.Time  // user → the last block of a removed seat
	steps  map[string]int
	tool   map[string]Account // user → as another tool read it last
}

var modelSeats = []person{{"W1", "u-a", "a@example.com"}, {"W1", "u-b", "b@example.com"}, {"W2", "u-a2", "a@example.com"}}

// inService stands for any account when only what holds it is asked.
var inService = account("in service")

func (m *poolModel) store(t *rapid.T) *Store {
	return m.stores[rapid.IntRange(0, len(m.stores)-1).Draw(t, "store")]
}

func (m *poolModel) book(t *rapid.T) *BookFile {
	return m.books[rapid.IntRange(0, len(m.books)-1).Draw(t, "book")]
}

// known draws a seat that is in the pool.
func (m *poolModel) known(t *rapid.T) (*seatModel, string) {
	var users []string
	for user := range m.seats {
		users = append(users, user)
	}
	if len(users) == 0 {
		t.Skip("the pool is empty")
	}
	slices.Sort(users)
	user := rapid.SampledFrom(users).Draw(t, "seat")
	return m.seats[user], m.ids[user]
}

func (m *poolModel) did(t *rapid.T, step string, err error) {
	m.steps[step]++
	if err != nil {
		t.Fatalf("%s: %v", step, err)
	}
}

// login adds a seat, logs one in again, or heals one that is logged out.
func (m *poolModel) login(t *rapid.T) {
	p := rapid.SampledFrom(modelSeats).Draw(t, "person")
	tokens := m.issuer.login(p, time.Hour)
	a, result, err := m.store(t).Add(t.Context(), tokens, "", "test")
	m.did(t, "login", err)
	seat := m.seats[p.user]
	want := []AddResult{AddedUpdated}
	switch {
	case seat == nil:
		want = []AddResult{AddedNew, AddedSecondSeat, AddedSecondWorkspace}
		seat = &seatModel{enabled: true, past: m.past[p.user]}
		if len(m.seats) == 0 {
			want = want[:1]
		}
		m.seats[p.user] = seat
	case seat.loggedOut:
		want = []AddResult{AddedHealed}
	}
	if !slices.Contains(want, result) || m.ids[p.user] != "" && m.ids[p.user] != a.ID {
		t.Fatalf("the login is %q with id %s, want one of %q and %s", result, a.ID, want, m.ids[p.user])
	}
	seat.refresh, seat.loggedOut = tokens.Refresh.Reveal(), false
	m.ids[p.user] = a.ID
}

func (m *poolModel) edit(t *rapid.T) {
	seat, id := m.known(t)
	seat.label = rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "label")
	m.did(t, "label", m.store(t).Update(t.Context(), id, func(a *Account) error { a.Label = seat.label; return nil }))
}

func (m *poolModel) disable(t *rapid.T) {
	seat, id := m.known(t)
	seat.enabled = !seat.enabled
	m.did(t, "disable", m.store(t).Update(t.Context(), id, func(a *Account) error { a.Enabled = seat.enabled; return nil }))
}

func (m *poolModel) pin(t *rapid.T) {
	seat, id := m.known(t)
	for _, s := range m.seats {
		s.pinned = s == seat
	}
	m.did(t, "pin", m.store(t).Pin(t.Context(), id))
}

func (m *poolModel) logout(t *rapid.T) {
	seat, id := m.known(t)
	seat.loggedOut, seat.refresh = true, ""
	m.did(t, "logout", m.store(t).Logout(t.Context(), id))
}

func (m *poolModel) remove(t *rapid.T) {
	_, id := m.known(t)
	m.did(t, "remove", m.store(t).Remove(t.Context(), id))
	for user, known := range m.ids {
		if known == id {
			m.drop(user)
		}
	}
}

// drop takes a seat out of the model.
func (m *poolModel) drop(user string) {
	m.past[user] = latest(m.seats[user].until, m.seats[user].past)
	delete(m.seats, user)
	delete(m.ids, user)
}

func (m *poolModel) purge(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "really") != 0 {
		t.Skip("seldom, for every history begins anew with it")
	}
	m.did(t, "purge", m.store(t).Purge(t.Context()))
	for user := range m.seats {
		m.drop(user)
	}
	m.tool = map[string]Account{} // of what it read before, nobody can tell that it was here
}

// restore damages a file and brings the newest good backup back, which is always
// the pool as it was.
func (m *poolModel) restore(t *rapid.T) {
	s := m.store(t)
	if s.NewestGoodBackup() == "" {
		t.Skip("there is no backup")
	}
	// What another tool wrote last is in no backup until somebody mended it.
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{accountsName, flaggedName} {
		if name == flaggedName && (m.anyLoggedOut() || !rapid.Bool().Draw(t, "flagged too")) {
			continue // what only this file held is lost with it
		}
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(`{"version":4,"acc`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.RestoreBackup(t.Context())
	m.did(t, "restore", err)
}

func (m *poolModel) anyLoggedOut() bool {
	for _, seat := range m.seats {
		if seat.loggedOut {
			return true
		}
	}
	return false
}

// toolReads is another tool that keeps in memory what it read.
func (m *poolModel) toolReads(t *rapid.T) {
	m.tool = map[string]Account{}
	for _, p := range modelSeats {
		if id := m.ids[p.user]; id != "" && !m.seats[p.user].loggedOut {
			m.tool[p.user] = m.account(m.Store, id)
		}
	}
	m.steps["another tool reads"]++
}

// toolWrites is that tool writing its list over ours, perhaps with a login of its
// own. While there is nothing of ours that is a migration.
func (m *poolModel) toolWrites(t *rapid.T) {
	ours := m.Store.NewestGoodBackup() != ""
	if rapid.IntRange(0, 2).Draw(t, "logs in") == 0 || len(m.tool) == 0 {
		p := rapid.SampledFrom(modelSeats).Draw(t, "person")
		tokens := m.issuer.login(p, time.Hour)
		m.tool[p.user] = Account{AccountID: p.account, Email: p.email, Refresh: tokens.Refresh, Access: tokens.Access}
		if m.seats[p.user] == nil {
			m.seats[p.user] = &seatModel{enabled: true, past: m.past[p.user]}
		}
		seat := m.seats[p.user]
		seat.refresh, seat.loggedOut = tokens.Refresh.Reveal(), false
	}
	var records []map[string]any
	for _, p := range modelSeats {
		if a, ok := m.tool[p.user]; ok {
			records = append(records, map[string]any{"accountId": a.AccountID, "email": a.Email, "refreshToken": a.Refresh.Reveal(), "accessToken": a.Access.Reveal()})
		}
	}
	m.v3(`"version":3,`, records...)
	list, err := m.Store.Accounts()
	for _, a := range list {
		for _, p := range modelSeats {
			if a.AccountUserID == p.user && m.seats[p.user] != nil {
				m.ids[p.user] = a.ID
			}
		}
	}
	step := "another tool writes over ours"
	if !ours {
		step = "migration"
	}
	m.did(t, step, err)
}

// refresh renews a seat's token: by the clock or because upstream refused it.
func (m *poolModel) refresh(t *rapid.T) {
	seat, id := m.known(t)
	s := m.store(t)
	a, err := s.Account(id)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(t.Context(), id, TokenOptions{Rejected: a.Access})
	if seat.loggedOut {
		if !isRefused(err) {
			t.Fatalf("a token of a seat that is logged out: %v", err)
		}
		m.steps["refresh refused"]++
		return
	}
	m.did(t, "refresh", err)
	if token.Access.Equal(a.Access) {
		t.Fatal("the refused token was given again")
	}
	m.issuer.set(func(i *issuer) { seat.refresh = i.successor[seat.refresh] }) // "" would agree with no account
}

func (m *poolModel) limit(t *rapid.T) {
	seat, id := m.known(t)
	until := m.clock.now().Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "minutes")) * time.Minute)
	err := m.book(t).Learn(t.Context(), Event{Account: id, At: m.clock.now(), Block: &Block{Kind: BlockRateLimit, Until: until, Reason: "test"}})
	m.did(t, "limit", err)
	seat.until = latest(seat.until, until)
}

// probe claims the look at a blocked account through two books: one gets it.
func (m *poolModel) probe(t *rapid.T) {
	seat, id := m.known(t)
	now := m.clock.now()
	err := m.book(t).Learn(t.Context(), Event{Account: id, At: now, Block: &Block{Kind: BlockQuota, Window: WindowSecondary, Until: now.Add(time.Hour), Reason: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	seat.until = latest(seat.until, now.Add(time.Hour))
	m.clock.add(11 * time.Minute)
	claims := 0
	for _, b := range m.books {
		if b.ClaimProbe(t.Context(), id, m.clock.now()) {
			claims++
		}
	}
	want := 1
	if m.clock.now().Sub(seat.probed) < probeEvery {
		want = 0
	}
	if claims > 1 || claims != want && seat.past.IsZero() {
		t.Fatalf("%d processes probe, want %d", claims, want)
	}
	seat.probed = m.clock.now()
	m.did(t, "probe", nil)
}

// ahead is a time that is still to come, else none.
func (m *poolModel) ahead(at time.Time) time.Time {
	if at.After(m.clock.now()) {
		return at
	}
	return time.Time{}
}

// agree compares every store and book with the model.
func (m *poolModel) agree(t *rapid.T) {
	for i, s := range m.stores {
		list, err := s.Accounts()
		if err != nil || len(list) != len(m.seats) {
			t.Fatalf("store %d has %d accounts, %v; want %d", i, len(list), err, len(m.seats))
		}
		for user, seat := range m.seats {
			a, err := s.Account(m.ids[user])
			if err != nil {
				t.Fatalf("store %d: %s: %v", i, user, err)
			}
			if a.Refresh.Reveal() != seat.refresh || a.Label != seat.label || a.Enabled != seat.enabled ||
				a.Pinned != seat.pinned || (a.Flag != nil) != seat.loggedOut {
				t.Fatalf("store %d: %s is %+v, want %+v", i, user, a, *seat)
			}
			for j, b := range m.books {
				f := b.Facts(a.ID)
				held := StateOf(&inService, &f, "m", m.clock.now())
				// A seat that came back may still be under what was known of it before:
				// each process forgot what it had seen of that.
				if want, past := m.ahead(seat.until), m.ahead(latest(seat.until, seat.past)); held.Until.Before(want) || held.Until.After(past) {
					t.Fatalf("book %d: %s is %+v, want until %s to %s", j, user, held, want, past)
				}
			}
		}
	}
	if n := m.issuer.presentedAgain(); n != 0 {
		t.Fatalf("%d used-up tokens were presented", n)
	}
}

// Random sequences of what people and calls do, each through another store
// with its own stale memory, give what a model without any files gives.
func TestStoresFollowTheModel(t *testing.T) {
	fewerHistories(t, 30)
	steps := map[string]int{}
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &poolModel{rig: newRigOn(t, unsyncedDisk{}), seats: map[string]*seatModel{}, ids: map[string]string{}, past: map[string]time.Time{}, steps: steps, tool: map[string]Account{}}
		for range 3 {
			s := m.open(Options{})
			m.stores = append(m.stores, s)
			m.books = append(m.books, OpenBook(BookOptions{
				Path: filepath.Join(m.dir, "quota-cache.json"), LockPath: filepath.Join(s.LockDir(), "quota-cache.lock"),
				Now: m.clock.now, Holding: s.Holding,
			}))
		}
		defer func() {
			for i, b := range m.books {
				closeBook(t, b)
				if err := m.stores[i].Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			m.issuer.Close()
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"": m.agree, "login": m.login, "label": m.edit, "disable": m.disable, "pin": m.pin, "logout": m.logout,
			"remove": m.remove, "refresh": m.refresh, "limit": m.limit, "probe": m.probe, "purge": m.purge, "restore": m.restore,
			"tool reads": m.toolReads, "tool writes": m.toolWrites,
		})
	})
	total := 0
	for _, n := range steps {
		total += n
	}
	t.Logf("figures: %d histories, %d steps through 3 stores and 3 books agree with the model: %s", runs, total, fmt.Sprint(steps))
}

// fewerHistories bounds a test whose histories write to a real disk; who asks
// for a number of checks (-rapid.checks) gets it.
func fewerHistories(t *testing.T, n int) {
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return
	}
	set := func(value string) {
		if err := checks.Value.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	set(fmt.Sprint(n))
	t.Cleanup(func() { set(checks.DefValue) })
}
