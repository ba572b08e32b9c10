package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faultCase is one operation on a pool of two seats whose disk fails once, or
// from a step on.
type faultCase struct {
	*rig
	s    *Store    // on the disk that fails
	b    *BookFile // so too
	disk *faultyDisk
	a, o Account   // the seat that the operation is about, and the other one
	mark string    // what prepare left to look for
	now  time.Time // of the books
}

// diskOp is one thing that the pool writes for. look tells how far it came, as a
// new process sees it on a disk that is well: one of states, of which the last
// one is what do promises when it gives no error.
type diskOp struct {
	name    string
	prepare func(c *faultCase)
	do      func(c *faultCase) error
	look    func(c *faultCase) string
	states  []string
	// gone: the seat's tokens must be nowhere once do went through.
	gone bool
	// mute: the error is about something else than a file.
	mute bool
}

func diskOps() []diskOp {
	ctx := context.Background()
	update := func(c *faultCase) error {
		return c.s.Update(ctx, c.a.ID, func(a *Account) error { a.Label = "x"; return nil })
	}
	renew := func(c *faultCase) error {
		_, err := c.s.Token(ctx, c.a.ID, TokenOptions{Rejected: c.a.Access})
		return err
	}
	return []diskOp{
		{name: "label", do: update, look: func(c *faultCase) string { return "label " + c.stored(c.a.ID).Label }, states: []string{"label ", "label x"}},
		{name: "pin", do: func(c *faultCase) error { return c.s.Pin(ctx, c.a.ID) },
			look: func(c *faultCase) string { return fmt.Sprint("pinned ", c.stored(c.a.ID).Pinned) }, states: []string{"pinned false", "pinned true"}},
		{name: "add", do: func(c *faultCase) error {
			_, _, err := c.s.Add(ctx, c.issuer.login(person{"W3", "u-dora", ""}, time.Hour), "", "test")
			return err
		}, look: func(c *faultCase) string {
			list, err := c.open(Options{}).Accounts()
			return fmt.Sprint(len(list), " accounts ", err)
		}, states: []string{"2 accounts <nil>", "3 accounts <nil>"}},
		{name: "log in again", do: func(c *faultCase) error {
			_, _, err := c.s.Add(ctx, c.issuer.login(anna, time.Hour), "", "test")
			return err
		}, look: (*faultCase).login, states: []string{"old login", "new login"}},
		{name: "suspend", do: func(c *faultCase) error {
			return c.s.Flag(ctx, c.a.ID, Flag{Kind: FlagSuspended, Reason: "test"}, c.a.Access)
		}, look: (*faultCase).service, states: []string{"in service", "suspended"}},
		{name: "flag", do: func(c *faultCase) error {
			return c.s.Flag(ctx, c.a.ID, Flag{Kind: FlagNeedsLogin, Reason: "test"}, c.a.Access)
		}, look: (*faultCase).service, states: []string{"in service", "needs_login"}},
		{name: "remove", do: func(c *faultCase) error { return c.s.Remove(ctx, c.a.ID) },
			look: (*faultCase).service, states: []string{"in service", "gone"}, gone: true},
		{name: "log out", do: func(c *faultCase) error { return c.s.Logout(ctx, c.a.ID) },
			look: (*faultCase).service, states: []string{"in service", "needs_login"}, gone: true},
		{name: "remove with an answer left", prepare: (*faultCase).leaveAnswer, do: func(c *faultCase) error { return c.s.Remove(ctx, c.a.ID) },
			look: (*faultCase).service, states: []string{"in service", "gone"}, gone: true},
		{name: "refresh", do: renew, look: (*faultCase).login, states: []string{"old login", "new login in the intent", "new login"}},
		{name: "refresh after a crash", prepare: (*faultCase).leaveAnswer, do: renew, look: (*faultCase).login,
			states: []string{"new login in the intent", "new login"}},
		{name: "refused refresh", prepare: func(c *faultCase) { c.issuer.set(func(i *issuer) { delete(i.live, c.a.Refresh.Reveal()) }) },
			do: renew, mute: true, look: (*faultCase).service, states: []string{"in service", "needs_login"}},
		{name: "refresh in an outage", prepare: func(c *faultCase) {
			c.issuer.set(func(i *issuer) {
				i.fail = func(w http.ResponseWriter) bool { http.Error(w, "down", http.StatusBadGateway); return true }
			})
		}, do: renew, mute: true, look: (*faultCase).login, states: []string{"old login"}},
		{name: "restore", prepare: func(c *faultCase) { c.garbage(accountsName) }, do: func(c *faultCase) error {
			_, err := c.s.RestoreBackup(ctx)
			return err
		}, look: (*faultCase).readable, states: []string{"damaged", "2 accounts"}},
		{name: "restore the flagged file", prepare: func(c *faultCase) { c.garbage(flaggedName) }, do: func(c *faultCase) error {
			_, err := c.s.RestoreBackup(ctx)
			return err
		}, look: (*faultCase).readable, states: []string{"damaged", "2 accounts"}},
		{name: "mend what another tool wrote", prepare: func(c *faultCase) {
			c.v3(`"version":3,`, map[string]any{"accountId": "W1", "refreshToken": c.a.Refresh.Reveal(), "email": anna.email})
		}, do: func(c *faultCase) error { return c.s.Settle(ctx) }, look: (*faultCase).version, states: []string{"version 3", "version 4"}},
		{name: "purge", do: func(c *faultCase) error { return c.s.Purge(ctx) }, look: (*faultCase).service, states: []string{"in service", "gone"}, gone: true},
		{name: "limit", do: func(c *faultCase) error {
			err := c.b.Learn(ctx, limitedFor(c.a.ID, time.Hour))
			if f := c.b.Facts(c.a.ID); StateOf(&inService, &f, "", c.now).Name != StateLimited {
				c.t.Error("this process forgot the limit")
			}
			return err
		}, look: (*faultCase).limit, states: []string{"ready", "limited"}},
		{name: "limit in place of garbage", prepare: func(c *faultCase) { c.garbage("quota-cache.json") },
			do: func(c *faultCase) error { return c.b.Learn(ctx, limitedFor(c.a.ID, time.Hour)) }, look: (*faultCase).limit, states: []string{"ready", "limited"}},
		{name: "probe", prepare: func(c *faultCase) {
			c.learned(limitedFor(c.a.ID, 9*time.Hour))
			c.now = in(time.Hour)
		}, do: func(c *faultCase) error {
			if !c.b.ClaimProbe(ctx, c.a.ID, c.now) {
				return errors.New("not claimed")
			}
			return nil
		}, mute: true, look: func(c *faultCase) string {
			f := c.book().Facts(c.a.ID)
			return fmt.Sprint("due ", f.probeDue(c.now))
		}, states: []string{"due true", "due false"}},
		{name: "forget", prepare: func(c *faultCase) { c.learned(limitedFor(c.a.ID, time.Hour)) },
			do: func(c *faultCase) error { return c.b.Forget(ctx, c.a.ID) }, look: (*faultCase).limit, states: []string{"limited", "ready"}},
		{name: "clear", prepare: func(c *faultCase) { c.learned(limitedFor(c.a.ID, time.Hour)) },
			do: func(c *faultCase) error { return c.b.Clear(ctx) }, look: (*faultCase).limit, states: []string{"limited", "ready"}},
		{name: "write behind", do: func(c *faultCase) error {
			c.b.Bind(nil, "s", c.a.ID, t0)
			return c.b.Close(ctx)
		}, look: func(c *faultCase) string { return fmt.Sprint(c.book().Sessions(), " sessions") }, states: []string{"0 sessions", "1 sessions"}},
	}
}

// stored is an account as a new process reads it.
func (c *faultCase) stored(id string) Account {
	a, err := c.open(Options{}).Account(id)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		c.t.Errorf("the pool: %v", err)
	}
	return a
}

func (c *faultCase) service() string {
	switch a := c.stored(c.a.ID); {
	case a.ID == "":
		return "gone"
	case a.Flag == nil:
		return "in service"
	default:
		return string(a.Flag.Kind)
	}
}

func (c *faultCase) login() string {
	s := c.open(Options{})
	a := c.stored(c.a.ID)
	switch left, err := s.readIntent(c.a.ID); {
	case err != nil:
		return err.Error()
	case a.Flag != nil:
		return string(a.Flag.Kind)
	case !a.Refresh.Equal(c.a.Refresh):
		return "new login"
	case left != nil && left.Answer != nil:
		return "new login in the intent"
	case c.issuer.count("W1") > 0 && c.issuer.successor[c.a.Refresh.Reveal()] != "":
		return "the new login is nowhere"
	}
	return "old login"
}

func (c *faultCase) readable() string {
	s := c.open(Options{})
	list, err := s.Accounts()
	if err != nil || len(s.Notices()) > 0 {
		return "damaged"
	}
	return fmt.Sprint(len(list), " accounts")
}

func (c *faultCase) version() string {
	data, err := os.ReadFile(filepath.Join(c.dir, accountsName))
	if err != nil {
		return err.Error()
	}
	doc, err := decodeDocument(data)
	return fmt.Sprintf("version %d%s", doc.version, errText(err))
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func (c *faultCase) limit() string {
	f := c.book().Facts(c.a.ID)
	return string(StateOf(&inService, &f, "", c.now).Name)
}

func (c *faultCase) book() *BookFile {
	return bookAt(c.t.(*testing.T), c.dir, still(&c.now))
}

// learned is what another process wrote before.
func (c *faultCase) learned(e Event) {
	b := c.book()
	learn(c.t.(*testing.T), b, e)
	c.b.Facts(e.Account) // and this one has seen
}

// garbage damages a file, in a way that can be found again.
func (c *faultCase) garbage(name string) {
	c.mark = "{garbage"
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(c.mark), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// leaveAnswer is a refresh whose process died when the answer was noted.
func (c *faultCase) leaveAnswer() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	left := make(chan struct{})
	s := c.open(Options{fault: func(step string) {
		if step == "answer noted" {
			defer close(left)
			cancel()
			exitGoroutine()
		}
	}})
	_, _ = s.Token(ctx, c.a.ID, TokenOptions{Rejected: c.a.Access})
	<-left
}

// newFaultCase makes the pool and prepares the operation on a disk that is well.
func newFaultCase(t *testing.T, op diskOp) *faultCase {
	c := &faultCase{rig: newRigOn(t, unsyncedDisk{}), disk: &faultyDisk{}, now: t0}
	c.a, c.o = c.add(anna, time.Hour), c.add(bert, time.Hour)
	c.s = c.open(Options{disk: c.disk})
	c.b = OpenBook(BookOptions{
		Path: filepath.Join(c.dir, "quota-cache.json"), LockPath: filepath.Join(c.LockDir(), "quota-cache.lock"),
		Now: still(&c.now), Delay: time.Hour, disk: c.disk,
	})
	if _, err := c.s.Accounts(); err != nil {
		t.Fatal(err)
	}
	if op.prepare != nil {
		op.prepare(c)
	}
	return c
}

// broken runs the operation while the disk is broken, and again once it is well.
func (c *faultCase) broken(op diskOp, at int, lasts bool, cause error) {
	t := c.t
	c.disk.reset(at, lasts, cause)
	err := op.do(c)
	held, heldErr := c.s.Token(t.Context(), c.o.ID, TokenOptions{})
	if op.name != "purge" && (heldErr != nil || !held.Access.Equal(c.o.Access)) {
		t.Errorf("a call in flight on the other seat: %v", heldErr)
	}
	hit := c.disk.failed()
	c.disk.reset(0, false, nil)
	if _, err := c.s.Accounts(); err != nil && c.mark == "" {
		t.Errorf("%q failed, and on a disk that is well this process still says: %v", hit, err)
	}
	if closed := c.s.Close(t.Context()); closed != nil {
		t.Error(closed)
	}
	last := op.states[len(op.states)-1]
	switch state := op.look(c); {
	case !slices.Contains(op.states, state):
		t.Errorf("%q failed: it is half done: %s (%v)", hit, state, err)
	case err == nil && state != last && op.name != "refresh" && op.name != "refresh after a crash":
		t.Errorf("%q failed: no error, and it is %s", hit, state)
	}
	if err != nil && !op.mute && !namesFile(err) {
		t.Errorf("%q failed: %v names no file", hit, err)
	}
	c.other(op)
	c.again(op, hit)
}

// namesFile reports whether the text tells which file could not be used.
func namesFile(err error) bool {
	var unwritable *UnwritableError
	var unreadable *UnreadableError
	switch text := err.Error(); {
	case errors.As(err, &unwritable):
		return filepath.IsAbs(unwritable.Path) && strings.Contains(text, unwritable.Path)
	case errors.As(err, &unreadable):
		return filepath.IsAbs(unreadable.Path) && strings.Contains(text, unreadable.Path)
	default:
		var path *fs.PathError
		return errors.As(err, &path) && filepath.IsAbs(path.Path) && strings.Contains(text, path.Path)
	}
}

// other demands that the seat nobody touched is as it was, and that nothing that
// could not be understood was thrown away.
func (c *faultCase) other(op diskOp) {
	c.t.Helper()
	if op.name != "purge" && op.name != "restore" {
		if o := c.stored(c.o.ID); !o.Refresh.Equal(c.o.Refresh) || o.Flag != nil {
			c.t.Errorf("the other seat: %+v", o)
		}
	}
	if c.mark != "" && !c.found(c.mark) {
		c.t.Error("what could not be read is gone")
	}
}

// found looks for a text in all files of the pool.
func (c *faultCase) found(text string) (found bool) {
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || strings.Contains(string(data), text)
		return err
	})
	if err != nil {
		c.t.Error(err)
	}
	return found
}

// again demands that on a disk that is well the operation goes through, every
// seat that is in service can be renewed, and no used-up token is presented.
func (c *faultCase) again(op diskOp, hit string) {
	t := c.t
	t.Helper()
	c.clock.add(10 * time.Minute) // beyond every back-off
	c.now = c.now.Add(10 * time.Minute)
	c.issuer.set(func(i *issuer) { i.fail = nil })
	c.s = c.open(Options{})
	last := op.states[len(op.states)-1]
	if op.look(c) != last {
		if err := op.do(c); err != nil && !op.mute {
			t.Errorf("after %q failed, on a disk that is well: %v", hit, err)
		}
		if state := op.look(c); state != last && op.name != "refresh in an outage" {
			t.Errorf("after %q failed, on a disk that is well: %s", hit, state)
		}
	} else if op.name == "purge" {
		_ = op.do(c)
	}
	if err := c.b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if op.gone {
		nowhere(t, c.dir, "rt-MARK-u-anna")
	}
	list, err := c.s.Accounts()
	if err != nil {
		t.Error(err)
	}
	for _, a := range list {
		if a.Flag != nil {
			continue
		}
		if _, err := c.s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil {
			t.Errorf("after %q failed: %s cannot be renewed: %v", hit, a.Email, err)
		}
	}
	if n := c.issuer.presentedAgain(); n != 0 {
		t.Errorf("after %q failed: %d used-up tokens were presented", hit, n)
	}
}

// begins reports whether a step is the first of a write: a disk that fails for
// good fails there.
func begins(step string) bool {
	first, _, _ := strings.Cut(step, " ")
	return slices.Contains([]string{"create", "open", "lock", "remove", "rename"}, first)
}

// Every step of everything that the pool does on a disk fails, once or from then
// on: the operation is refused with the name of the file, or it is done; nothing
// in between. What was there can be read, calls get the token that is held, and
// once the disk is well again everything works.
func TestEveryDiskStepFails(t *testing.T) {
	causes := []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EACCES}
	broken, met := 0, map[string]int{}
	for _, op := range diskOps() {
		t.Run(op.name, func(t *testing.T) {
			c := newFaultCase(t, op)
			c.disk.reset(0, false, nil)
			if err := op.do(c); err != nil && !op.mute {
				t.Fatalf("on a disk that is well: %v", err)
			}
			steps := c.disk.taken()
			c.other(op)
			c.again(op, "nothing")
			for i, step := range steps {
				met[step]++
				for _, lasts := range []bool{false, true} {
					if lasts && !begins(step) {
						continue
					}
					broken++
					t.Run(fmt.Sprintf("%d %s/lasts %t", i+1, strings.ReplaceAll(step, "/", " "), lasts), func(t *testing.T) {
						newFaultCase(t, op).broken(op, i+1, lasts, causes[(broken)%len(causes)])
					})
				}
			}
		})
	}
	files := map[string]bool{}
	for step := range met {
		_, file, _ := strings.Cut(step, " of ")
		files[file] = true
	}
	t.Logf("figures: %d operations, %d kinds of steps on %d kinds of files, %d broken disks: %s",
		len(diskOps()), len(met), len(files), broken, strings.Join(slices.Sorted(maps.Keys(files)), ", "))
}
