package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"codex-rota/auth"
)

// refreshSteps are the points of the refresh protocol where a test may step
// in, in their order; at the steps from "committed" on the store's lock is held.
var refreshSteps = []string{"locked", "intent written", "answered", "answer noted", "committed", "remembered", "cleared"}

// rival is what another process does to the seat that is being refreshed.
type rival struct {
	name string
	// prepare is called before the refresh begins, act in its midst.
	prepare func(g *rivalry)
	act     func(g *rivalry) error
	check   func(g *rivalry)
}

// rivalry is one refresh that a rival meets at one step. cut says that the
// refreshing process dies there, before the rival acts.
type rivalry struct {
	*rig
	step   string
	cut    bool
	first  Account // as stored when the refresh began
	other  Account // a seat that nobody touches
	login  auth.Tokens
	writer *Store   // the rival's
	copies []string // the backups that an old restore finds
}

// lost reports whether the exchange was cut off when only the issuer knew the
// new token: the one case that costs a login.
func (g *rivalry) lost() bool { return g.cut && g.step == "answered" }

// serves demands that the seat's newest login works, now and when it must be
// renewed once more, and that no used-up token was presented on the way.
func (g *rivalry) serves(id string) {
	g.t.Helper()
	s := g.open(Options{})
	token, err := s.Token(g.t.Context(), id, TokenOptions{})
	if g.lost() && isRefused(err) {
		return
	}
	if err != nil {
		g.t.Errorf("the seat's token: %v", err)
		return
	}
	if _, err := s.Token(g.t.Context(), id, TokenOptions{Rejected: token.Access}); err != nil {
		g.t.Errorf("the seat's next token: %v", err)
	}
	if n := g.issuer.presentedAgain(); n != 0 {
		g.t.Errorf("%d used-up tokens were presented", n)
	}
}

// gone demands that nothing of the seat is in the pool or comes back.
func (g *rivalry) gone(id string) {
	g.t.Helper()
	for _, s := range []*Store{g.Store, g.writer, g.open(Options{})} {
		if _, err := s.Token(g.t.Context(), id, TokenOptions{}); !errors.Is(err, ErrNoAccount) {
			g.t.Errorf("the removed seat: %v", err)
		}
	}
	nowhere(g.t, g.dir, "rt-MARK-u-anna")
}

// stale writes the accounts file as a Node tool would that read it before the
// refresh began.
func (g *rivalry) stale() error {
	data := fmt.Sprintf(`{"version":3,"accounts":[{"accountId":%q,"email":%q,"refreshToken":%q,"accessToken":%q},{"accountId":%q,"refreshToken":%q,"accessToken":%q}]}`,
		anna.account, anna.email, g.first.Refresh.Reveal(), g.first.Access.Reveal(),
		bert.account, g.other.Refresh.Reveal(), g.other.Access.Reveal())
	return os.WriteFile(filepath.Join(g.dir, accountsName), []byte(data), 0o600)
}

// older puts a Node tool's format where the accounts file was, as if ours had
// never been there.
func (g *rivalry) older(record string) {
	g.t.Helper()
	for _, dir := range []string{backupsName, locksName} {
		if err := os.RemoveAll(filepath.Join(g.dir, dir)); err != nil {
			g.t.Fatal(err)
		}
	}
	data := fmt.Sprintf(`{"version":3,"accounts":[%s,{"accountId":%q,"refreshToken":%q,"accessToken":%q}]}`,
		record, bert.account, g.other.Refresh.Reveal(), g.other.Access.Reveal())
	if err := os.WriteFile(filepath.Join(g.dir, accountsName), []byte(data), 0o600); err != nil {
		g.t.Fatal(err)
	}
	list, err := g.open(Options{}).Accounts()
	if err != nil || len(list) != 2 || list[1].ID != g.other.ID {
		g.t.Fatalf("%+v, %v", list, err)
	}
	g.first = list[0]
}

// migrate makes the one change that writes the older format anew.
func (g *rivalry) migrate() error {
	return g.writer.Update(context.Background(), g.other.ID, func(a *Account) error { a.Note = "migrated"; return nil })
}

// migrated demands that nothing of the older file was lost and that it was kept.
func (g *rivalry) migrated() {
	g.t.Helper()
	s := g.open(Options{})
	if a := g.account(s, g.first.ID); a.Label != "work" {
		g.t.Errorf("the label is lost: %+v", a)
	}
	if a := g.account(s, g.other.ID); a.Note != "migrated" || a.Flag != nil {
		g.t.Errorf("the other seat: %+v", a)
	}
	if kept, _ := filepath.Glob(filepath.Join(g.dir, backupsName, "*.foreign.json")); len(kept) == 0 {
		g.t.Error("the older file was not kept")
	}
	g.serves(g.first.ID)
}

// damage leaves half an accounts file, and restores the newest good backup.
func (g *rivalry) damage() error {
	if err := os.WriteFile(filepath.Join(g.dir, accountsName), []byte(`{"version":4,"acc`), 0o600); err != nil {
		return err
	}
	_, err := g.writer.RestoreBackup(context.Background())
	if errors.Is(err, ErrNothingToRestore) { // the refresh wrote the whole file after the damage
		return nil
	}
	return err
}

func (g *rivalry) addAgain(tokens auth.Tokens) error {
	_, _, err := g.writer.Add(context.Background(), tokens, "", "test")
	return err
}

var rivals = []rival{
	{
		name:    "the seat is added anew",
		prepare: func(g *rivalry) { g.login = g.issuer.login(anna, time.Hour) },
		act:     func(g *rivalry) error { return g.addAgain(g.login) },
		check: func(g *rivalry) {
			if a := g.account(g.open(Options{}), g.first.ID); !a.Refresh.Equal(g.login.Refresh) || a.Label != "work" {
				g.t.Errorf("the newest login does not hold: %+v", a)
			}
			g.serves(g.first.ID)
		},
	},
	{
		name: "the login in use is imported again",
		act: func(g *rivalry) error {
			err := g.addAgain(auth.Tokens{Access: g.first.Access, Refresh: g.first.Refresh, ExpiresAt: g.first.ExpiresAt})
			if errors.Is(err, ErrConsumed) {
				return nil
			}
			return err
		},
		check: func(g *rivalry) { g.serves(g.first.ID) },
	},
	{
		name:  "the seat is removed",
		act:   func(g *rivalry) error { return g.writer.Remove(context.Background(), g.first.ID) },
		check: func(g *rivalry) { g.gone(g.first.ID) },
	},
	{
		name: "the seat is removed, and a tool writes what it read before",
		act: func(g *rivalry) error {
			return errors.Join(g.writer.Remove(context.Background(), g.first.ID), g.stale())
		},
		check: func(g *rivalry) {
			// Any write of ours replaces the other tool's file.
			if err := g.writer.Update(g.t.Context(), g.other.ID, func(a *Account) error { a.Note = "n"; return nil }); err != nil {
				g.t.Error(err)
			}
			for _, s := range []*Store{g.Store, g.writer, g.open(Options{})} {
				if _, err := s.Token(g.t.Context(), g.first.ID, TokenOptions{}); !errors.Is(err, ErrNoAccount) {
					g.t.Errorf("the removed seat: %v", err)
				}
			}
		},
	},
	{
		name: "the seat is logged out",
		act:  func(g *rivalry) error { return g.writer.Logout(context.Background(), g.first.ID) },
		check: func(g *rivalry) {
			if a := g.account(g.open(Options{}), g.first.ID); a.Flag == nil || !a.Refresh.IsZero() {
				g.t.Errorf("the seat is logged in: %+v", a)
			}
			nowhere(g.t, g.dir, "rt-MARK-u-anna")
		},
	},
	{
		name: "everything is purged",
		act:  func(g *rivalry) error { return g.writer.Purge(context.Background()) },
		check: func(g *rivalry) {
			g.gone(g.first.ID)
			nowhere(g.t, g.dir, "rt-MARK")
		},
	},
	{
		name:  "the file is damaged, and a backup restored",
		act:   (*rivalry).damage,
		check: func(g *rivalry) { g.serves(g.first.ID) },
	},
	{
		name:    "the file is damaged, and only a backup from before the refresh is left",
		prepare: func(g *rivalry) { g.copies = g.backups() },
		act: func(g *rivalry) error {
			for _, name := range g.backups() {
				if !slices.Contains(g.copies, name) {
					if err := os.Remove(filepath.Join(g.dir, backupsName, name)); err != nil {
						return err
					}
				}
			}
			return g.damage()
		},
		check: func(g *rivalry) {
			s := g.open(Options{})
			if _, err := s.Token(g.t.Context(), g.first.ID, TokenOptions{}); isRefused(err) && (!g.cut || g.step == "cleared") {
				return // the newest login was in the files that are lost, and nowhere else
			}
			g.serves(g.first.ID)
		},
	},
	{
		name: "an older format with the seat in it is migrated",
		prepare: func(g *rivalry) {
			g.older(fmt.Sprintf(`{"accountId":%q,"email":%q,"accountLabel":"work","refreshToken":%q,"accessToken":%q,"expiresAt":%d}`,
				anna.account, anna.email, g.first.Refresh.Reveal(), g.first.Access.Reveal(), g.first.ExpiresAt.UnixMilli()))
		},
		act:   (*rivalry).migrate,
		check: (*rivalry).migrated,
	},
	{
		name: "an older format is migrated that does not tell whose seat it is",
		prepare: func(g *rivalry) {
			g.older(fmt.Sprintf(`{"accountLabel":"work","refreshToken":%q}`, g.first.Refresh.Reveal()))
		},
		act:   (*rivalry).migrate,
		check: (*rivalry).migrated,
	},
	{
		name: "a tool writes what it read before over it",
		act:  func(g *rivalry) error { return g.stale() },
		check: func(g *rivalry) {
			if a := g.account(g.open(Options{}), g.first.ID); a.Label != "work" {
				g.t.Errorf("the label is lost: %+v", a)
			}
			g.serves(g.first.ID)
		},
	},
}

// meet refreshes the seat and lets the rival act at the step: beside the
// refreshing process or, with cut, after that one died there.
func (g *rivalry) meet(v rival) {
	acted := make(chan error, 1)
	ctx, cancel := context.WithCancel(g.t.Context())
	defer cancel()
	reached, left := false, make(chan struct{})
	refresher := g.open(Options{fault: func(step string) {
		if step != g.step || reached {
			return
		}
		reached = true
		if g.cut {
			// Dies here: no line of ours runs any more, and the locks go.
			defer close(left)
			cancel()
			runtime.Goexit()
		}
		go func() { acted <- v.act(g) }()
		select { // a rival that waits for our locks acts once we are through
		case err := <-acted:
			acted <- err
		case <-time.After(15 * time.Millisecond):
		}
	}})
	_, _ = refresher.Token(ctx, g.first.ID, TokenOptions{}) // whose result the rival decides
	if g.cut {
		<-left
		acted <- v.act(g)
	} else if err := refresher.Close(g.t.Context()); err != nil {
		g.t.Error(err)
	}
	if err := <-acted; err != nil {
		g.t.Errorf("the rival: %v", err)
	}
	if !reached {
		g.t.Errorf("the refresh never came to %q", g.step)
	}
}

// Issue: at each step of a refresh another process logs the seat in, removes
// it, purges, restores or overwrites; the refreshing process lives on or dies.
func TestRivalsOfARefresh(t *testing.T) {
	meetings, costs := 0, 0
	for _, v := range rivals {
		for _, step := range refreshSteps {
			for _, cut := range []bool{false, true} {
				end := "lives"
				if cut {
					end = "dies"
				}
				t.Run(v.name+"/"+step+"/"+end, func(t *testing.T) {
					g := &rivalry{rig: newRig(t), step: step, cut: cut}
					g.first = g.add(anna, -time.Second)
					g.other = g.add(bert, time.Hour)
					if err := g.Update(t.Context(), g.first.ID, func(a *Account) error { a.Label = "work"; return nil }); err != nil {
						t.Fatal(err)
					}
					g.clock.add(2 * time.Minute)
					g.writer = g.open(Options{})
					if v.prepare != nil {
						v.prepare(g)
					}
					g.meet(v)
					v.check(g)
					meetings++
					if g.lost() && g.issuer.presentedAgain() > 0 {
						costs++
					} else if n := g.issuer.presentedAgain(); n > 0 {
						t.Errorf("%d used-up tokens were presented", n)
					}
				})
			}
		}
	}
	t.Logf("figures: %d rivals × %d steps × {lives, dies} = %d meetings; %d cost a login (the answer was known to the issuer alone), no used-up token presented otherwise, nothing removed came back",
		len(rivals), len(refreshSteps), meetings, costs)
}
