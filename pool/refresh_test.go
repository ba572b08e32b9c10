package pool

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
)

// storedRefresh is the account's refresh token as it is on disk.
func (r *rig) storedRefresh(id string) string {
	r.t.Helper()
	return r.account(r.open(Options{}), id).Refresh.Reveal()
}

func (r *rig) intent(id string) *intent {
	r.t.Helper()
	in, err := r.readIntent(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return in
}

func TestFreshTokenNeedsNoRequest(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	token, err := r.Token(t.Context(), a.ID, TokenOptions{})
	if err != nil || !token.Access.Equal(a.Access) || token.AccountID != "W1" || token.Renewed {
		t.Fatalf("Token = %+v, %v", token, err)
	}
	if n := r.issuer.count("W1"); n != 0 {
		t.Errorf("%d exchanges, want none", n)
	}
}

func TestRefreshWhenExpiring(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	r.clock.add(55*time.Minute + time.Second)
	before := a.Refresh.Reveal()
	token, err := r.Token(t.Context(), a.ID, TokenOptions{})
	if err != nil || !token.Renewed || token.Access.Equal(a.Access) {
		t.Fatalf("Token = %+v, %v", token, err)
	}
	if got := r.storedRefresh(a.ID); got == before {
		t.Error("the old refresh token is still stored")
	}
	if spent, _ := r.consumed.has(logging.NewSecret(before)); !spent {
		t.Error("the old refresh token is not on the consumed list")
	}
	if r.intent(a.ID) != nil {
		t.Error("the intent is left")
	}
	if n := r.issuer.count("W1"); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
}

// The clock alone asks at most once a minute; a 401 may ask at any time.
func TestNotTwiceWithinAMinute(t *testing.T) {
	r := newRig(t)
	r.issuer.set(func(i *issuer) { i.life = 10 * time.Second })
	a := r.add(anna, time.Second)
	r.clock.add(2 * time.Minute)
	first, err := r.Token(t.Context(), a.ID, TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.clock.add(15 * time.Second)
		if again, err := r.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !again.Access.Equal(first.Access) {
			t.Fatalf("within a minute: %+v, %v", again, err)
		}
	}
	rejected, err := r.Token(t.Context(), a.ID, TokenOptions{Rejected: first.Access})
	if err != nil || rejected.Access.Equal(first.Access) {
		t.Fatalf("after a 401: %+v, %v", rejected, err)
	}
	if n := r.issuer.count("W1"); n != 2 {
		t.Errorf("%d exchanges, want 2", n)
	}
}

func TestAdoptWhatAnotherProcessStored(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	other := r.open(Options{})
	renewed, err := other.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []TokenOptions{{Rejected: a.Access}, {Rejected: a.Access, AdoptOnly: true}} {
		got, err := r.Token(t.Context(), a.ID, o)
		if err != nil || !got.Access.Equal(renewed.Access) || !got.Renewed {
			t.Errorf("Token(%+v) = %+v, %v", o, got, err)
		}
	}
	if _, err := r.Token(t.Context(), a.ID, TokenOptions{Rejected: renewed.Access, AdoptOnly: true}); !errors.Is(err, ErrNothingToAdopt) {
		t.Errorf("adopting where nothing newer is stored: %v", err)
	}
	if n := r.issuer.count("W1"); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
}

func TestFinalRefusalFlags(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	r.issuer.set(func(i *issuer) {
		delete(i.live, a.Refresh.Reveal())
		i.spent[a.Refresh.Reveal()] = true
	})
	_, err := r.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access})
	var refused *RefusedError
	if !errors.As(err, &refused) || !refused.Revoked || refused.Code != "refresh_token_reused" || refused.Kind != FlagNeedsLogin {
		t.Fatalf("err = %#v", err)
	}
	stored := r.account(r.open(Options{}), a.ID)
	if stored.Flag == nil || stored.Flag.RefusedHash != a.Refresh.Hash() || !stored.Refresh.IsZero() || !stored.Access.IsZero() {
		t.Errorf("stored = %+v, flag %+v", stored, stored.Flag)
	}
	if spent, _ := r.consumed.has(a.Refresh); !spent {
		t.Error("the refused token is not on the consumed list")
	}
	_, err = r.Token(t.Context(), a.ID, TokenOptions{})
	if !errors.As(err, &refused) || refused.Revoked {
		t.Errorf("asked again: %v", err)
	}
	if r.intent(a.ID) != nil {
		t.Error("the intent is left")
	}
}

// A spent token that comes back in an old copy of the file is not presented.
func TestSpentTokenIsNeverPresented(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	path := filepath.Join(r.dir, accountsName)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = r.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Revoked {
		t.Errorf("err = %v", err)
	}
	if r.issuer.count("W1") != 1 || r.issuer.presentedAgain() != 0 {
		t.Errorf("%d exchanges, %d of a spent token", r.issuer.count("W1"), r.issuer.presentedAgain())
	}
	if got := r.account(r.Store, a.ID); got.Flag == nil {
		t.Error("the account does not need a login")
	}
}

// A refusal holds for the caller even when it cannot be written.
func TestRefusalOnABrokenDisk(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	r.issuer.set(func(i *issuer) { clear(i.live) })
	disk := &brokenDisk{}
	s := r.open(Options{disk: disk, fault: func(step string) { disk.broken.Store(step == "answered" || disk.broken.Load()) }})
	_, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access})
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Errorf("err = %v", err)
	}
}

// With a flagged file that cannot be read no verdict can be written: the error
// and the notices say which file it is and why, it is left as it is, and a
// token that was refused is not presented again, by this process or another.
func TestVerdictsWithAnUnreadableFlaggedFile(t *testing.T) {
	for content, says := range map[string]string{"{": "not JSON", `{"version":5,"accounts":[]}`: "version 5"} {
		r := newRig(t)
		a, b := r.add(anna, time.Hour), r.add(bert, time.Hour)
		path := filepath.Join(r.dir, flaggedName)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := r.Flag(t.Context(), b.ID, Flag{Kind: FlagSuspended, Reason: "x"}, b.Access)
		var unreadable *UnreadableError
		if !errors.As(err, &unreadable) || unreadable.Path != path || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), says) {
			t.Errorf("Flag: %v", err)
		}
		if notices := strings.Join(r.Notices(), "\n"); !strings.Contains(notices, path) || !strings.Contains(notices, says) {
			t.Errorf("notices = %q", notices)
		}
		r.issuer.set(func(i *issuer) { delete(i.live, a.Refresh.Reveal()) })
		for _, s := range []*Store{r.Store, r.Store, r.open(Options{})} {
			var refused *RefusedError
			if _, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); !errors.As(err, &refused) {
				t.Errorf("Token: %v", err)
			}
		}
		if n := r.issuer.count("W1") + r.issuer.count(""); n != 1 {
			t.Errorf("the refused token was presented %d times", n)
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("the flagged file was changed to %q", got)
		}
		if list, err := r.Accounts(); err != nil || len(list) != 2 {
			t.Errorf("%d accounts, %v", len(list), err)
		}
	}
}

// A verdict about a token that is no longer stored flags nobody.
func TestRefusalOfAReplacedTokenAdopts(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	s := r.open(Options{Refresh: func(context.Context, logging.Secret) (auth.Tokens, error) {
		// Meanwhile somebody restored another login, without any lock.
		login := r.issuer.login(anna, time.Hour)
		edit(t, filepath.Join(r.dir, accountsName), a.Refresh.Reveal(), login.Refresh.Reveal())
		return r.issuer.refresh(context.Background(), logging.NewSecret("never issued"))
	}})
	if _, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil {
		t.Fatal(err)
	}
	if got := r.account(r.Store, a.ID); got.Flag != nil {
		t.Errorf("flagged: %+v", got.Flag)
	}
}

func edit(t *testing.T, path, from, to string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s holds no such text", path)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), from, to)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTransportFailureBacksOff(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	down := func(w http.ResponseWriter) bool {
		http.Error(w, "down", http.StatusBadGateway)
		return true
	}
	r.issuer.set(func(i *issuer) { i.fail = down })
	r.clock.add(56 * time.Minute)
	token, err := r.Token(t.Context(), a.ID, TokenOptions{})
	if err != nil || !token.Access.Equal(a.Access) {
		t.Fatalf("while the access token is valid: %+v, %v", token, err)
	}
	in := r.intent(a.ID)
	if in == nil || in.Answer != nil || in.Failures != 1 || in.RetryAt.Sub(r.clock.now()) != 5*time.Second {
		t.Fatalf("intent = %+v", in)
	}
	// Nobody asks again before the back-off is over, in this process or another.
	for _, s := range []*Store{r.Store, r.open(Options{})} {
		if _, err := s.Token(t.Context(), a.ID, TokenOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.issuer.count("W1"); n != 1 {
		t.Errorf("%d exchanges during the back-off, want 1", n)
	}
	_, err = r.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !unreachable.RetryAt.Equal(in.RetryAt) {
		t.Errorf("rejected during the back-off: %v", err)
	}

	r.clock.add(5 * time.Minute) // the access token is gone as well
	if _, err = r.Token(t.Context(), a.ID, TokenOptions{}); !errors.As(err, &unreachable) {
		t.Fatalf("with nothing valid left: %v", err)
	}
	if in = r.intent(a.ID); in.Failures != 2 || in.RetryAt.Sub(r.clock.now()) != 10*time.Second {
		t.Errorf("second intent = %+v", in)
	}
	r.issuer.set(func(i *issuer) { i.fail = nil })
	r.clock.add(11 * time.Second)
	if token, err = r.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !token.Renewed {
		t.Errorf("after the outage: %+v, %v", token, err)
	}
}

func TestBackOffGrowsToItsCap(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Second)
	run := renewal{s: r.Store, id: a.ID}
	for failures, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		var unreachable *UnreachableError
		if err := run.postpone(intent{Failures: failures}, errors.New("down")); !errors.As(err, &unreachable) {
			t.Fatal(err)
		}
		if got := unreachable.RetryAt.Sub(r.clock.now()); got != want*time.Second {
			t.Errorf("after %d failures: %v, want %v", failures, got, want*time.Second)
		}
	}
}

// A back-off that was noted by a clock which ran ahead does not last until then.
func TestBackOffOfAWrongClock(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Second)
	r.clock.add(2 * time.Minute)
	in := intent{Sent: a.Refresh.Hash(), At: r.clock.now(), Failures: 1, RetryAt: r.clock.now().Add(24 * time.Hour)}
	if err := r.writeIntent(a.ID, in); err != nil {
		t.Fatal(err)
	}
	if token, err := r.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !token.Renewed {
		t.Errorf("Token = %+v, %v", token, err)
	}
}

// The caller's cancel ends its wait; the exchange goes on and is committed.
func TestCancelDoesNotStopTheExchange(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Second)
	r.clock.add(2 * time.Minute)
	entered, leave := make(chan struct{}), make(chan struct{})
	r.issuer.set(func(i *issuer) { i.hold = func() { close(entered); <-leave } })
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := r.Token(ctx, a.ID, TokenOptions{})
		got <- err
	}()
	<-entered
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	close(leave)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.storedRefresh(a.ID); got == a.Refresh.Reveal() {
		t.Error("the exchange was not committed")
	}
	if _, err := r.Token(t.Context(), a.ID, TokenOptions{}); err != nil {
		t.Errorf("a fresh token after Close: %v", err)
	}
	r.clock.add(2 * time.Hour)
	if _, err := r.Token(t.Context(), a.ID, TokenOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("an exchange after Close: %v", err)
	}
}

func TestOneFlightForManyCallers(t *testing.T) {
	r := newRig(t)
	ids := []string{r.add(anna, time.Second).ID, r.add(bert, time.Second).ID}
	r.clock.add(2 * time.Minute)
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			if _, err := r.Token(t.Context(), ids[n%2], TokenOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if a, b := r.issuer.count("W1"), r.issuer.count("W2"); a != 1 || b != 1 {
		t.Errorf("%d and %d exchanges, want 1 and 1", a, b)
	}
}

// A login of the same seat while a refresh is under way waits for it, and is
// what holds afterwards.
func TestLoginDuringRefreshWins(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Second)
	r.clock.add(2 * time.Minute)
	entered, leave := make(chan struct{}), make(chan struct{})
	r.issuer.set(func(i *issuer) { i.hold = sync.OnceFunc(func() { close(entered); <-leave }) })
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := r.Token(t.Context(), a.ID, TokenOptions{}); err != nil {
			t.Error(err)
		}
	})
	<-entered
	login := r.issuer.login(anna, time.Hour)
	all.Go(func() {
		if _, result, err := r.open(Options{}).Add(t.Context(), login, "new", "test"); err != nil || result != AddedUpdated {
			t.Errorf("Add = %v, %v", result, err)
		}
	})
	close(leave)
	all.Wait()
	if got := r.storedRefresh(a.ID); got != login.Refresh.Reveal() {
		t.Error("the refresh replaced the newer login")
	}
}

// Whoever writes without our lock is not overwritten either: the answer is
// dropped and the stored token adopted.
func TestCompareAndSwap(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	login := r.issuer.login(anna, time.Hour)
	s := r.open(Options{fault: func(step string) {
		if step == "answered" {
			edit(t, filepath.Join(r.dir, accountsName), a.Refresh.Reveal(), login.Refresh.Reveal())
		}
	}})
	if _, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil {
		t.Fatal(err)
	}
	if got := r.storedRefresh(a.ID); got != login.Refresh.Reveal() {
		t.Error("the answer replaced the other login")
	}
}

func TestRemovedDuringRefreshStaysRemoved(t *testing.T) {
	for _, step := range []string{"locked", "intent written", "answered", "answer noted"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t)
			a := r.add(anna, time.Hour)
			r.add(bert, time.Hour)
			removed := make(chan error, 1)
			s := r.open(Options{fault: func(at string) {
				if at == step {
					go func() { removed <- r.Remove(t.Context(), a.ID) }()
				}
			}})
			if _, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); err != nil && !errors.Is(err, ErrNoAccount) {
				t.Error(err)
			}
			if err := <-removed; err != nil {
				t.Fatal(err)
			}
			if list, err := r.Accounts(); err != nil || len(list) != 1 {
				t.Errorf("%d accounts, %v", len(list), err)
			}
			nowhere(t, r.dir, "u-anna")
		})
	}
}

// nowhere fails if a file under dir holds the text.
func nowhere(t testing.TB, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), text) {
			t.Errorf("%s still holds %q", path, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// While neither the intent nor the accounts file takes the answer, calls are
// served from memory, the lock is kept, and the write is tried again.
func TestAnswerHeldInMemoryUntilTheDiskTakesIt(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Second)
	r.clock.add(2 * time.Minute)
	disk := &brokenDisk{}
	s := r.open(Options{disk: disk, fault: func(step string) { disk.broken.Store(step == "answered" || disk.broken.Load()) }})
	token, err := s.Token(t.Context(), a.ID, TokenOptions{})
	if err != nil || token.Access.Equal(a.Access) {
		t.Fatalf("Token = %+v, %v", token, err)
	}
	if again, err := s.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !again.Access.Equal(token.Access) {
		t.Errorf("from memory: %+v, %v", again, err)
	}
	if _, err := r.lockAccount(t.Context(), a.ID, 0); err == nil {
		t.Error("the lock was given up while the answer is nowhere on disk")
	}
	disk.broken.Store(false)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !got.Access.Equal(token.Access) {
		t.Errorf("after the disk recovered: %+v, %v", got, err)
	}
	if n := r.issuer.count("W1"); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
}

func TestNoIntentNoRequest(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	disk := &brokenDisk{}
	disk.broken.Store(true)
	s := r.open(Options{disk: disk})
	_, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access})
	var unwritable *UnwritableError
	if !errors.As(err, &unwritable) {
		t.Fatalf("err = %v", err)
	}
	r.clock.add(56 * time.Minute)
	if token, err := s.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !token.Access.Equal(a.Access) {
		t.Errorf("while the access token is valid: %+v, %v", token, err)
	}
	if n := r.issuer.count("W1"); n != 0 {
		t.Errorf("%d exchanges, want none", n)
	}
}

// An answer that is in the intent only is served from there, and committed as
// soon as the accounts file can be written, by whichever process.
func TestAnswerInTheIntentIsEnough(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Second)
	r.clock.add(2 * time.Minute)
	disk := &brokenDisk{room: true}
	s := r.open(Options{disk: disk, fault: func(step string) { disk.broken.Store(step == "answered" || disk.broken.Load()) }})
	token, err := s.Token(t.Context(), a.ID, TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, r.Store} {
		if got, err := s.Token(t.Context(), a.ID, TokenOptions{}); err != nil || !got.Access.Equal(token.Access) {
			t.Errorf("Token = %+v, %v", got, err)
		}
	}
	if r.intent(a.ID) != nil || r.issuer.count("W1") != 1 {
		t.Errorf("intent %v, %d exchanges", r.intent(a.ID), r.issuer.count("W1"))
	}
}
