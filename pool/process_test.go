package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
)

// The test binary runs itself as other processes on the pool: childJob says
// what such a process does.
const (
	childJob    = "POOL_TEST_JOB"
	childDir    = "POOL_TEST_DIR"
	childIssuer = "POOL_TEST_ISSUER"
	childKill   = "POOL_TEST_KILL" // the step at which it kills itself
)

func TestMain(m *testing.M) {
	job := os.Getenv(childJob)
	if job == "" {
		os.Exit(m.Run())
	}
	if err := runChild(job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runChild(job string) error {
	client := &auth.Client{Issuer: os.Getenv(childIssuer)}
	kill := os.Getenv(childKill)
	var got string
	refresh := func(ctx context.Context, token logging.Secret) (auth.Tokens, error) {
		tokens, err := client.Refresh(ctx, token)
		got = tokens.Refresh.Hash()
		return tokens, err
	}
	if job != "load" { // which alone renews one token at a time
		refresh = client.Refresh
	}
	var files disk // the real one
	if job == "storm" {
		files = unsyncedDisk{}
	}
	s, err := OpenStore(Options{Dir: os.Getenv(childDir), Refresh: refresh, disk: files, fault: func(step string) {
		if step == "answer noted" && job == "load" {
			fmt.Println(got)
		}
		if step == kill {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		}
	}})
	if err != nil {
		return err
	}
	if job == "storm" {
		return childStorm(s)
	}
	list, err := s.Accounts()
	if err != nil {
		return err
	}
	switch job {
	case "token":
		return childTokens(s, list)
	case "edit":
		return childEdits(s, os.Getpid())
	case "load":
		return childLoad(s, list)
	}
	return fmt.Errorf("unknown job %q", job)
}

// childTokens asks for every account's token at once, as a busy host would.
func childTokens(s *Store, list []Account) error {
	var all sync.WaitGroup
	failures := make([]error, len(list))
	for i := range list {
		all.Go(func() {
			time.Sleep(rand.N(20 * time.Millisecond)) // processes do not start in step
			_, failures[i] = s.Token(context.Background(), list[i].ID, TokenOptions{})
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// childEdits adds an account of its own, labels it, and adds and removes
// another one.
func childEdits(s *Store, n int) error {
	ctx := context.Background()
	login := func(name string) auth.Tokens {
		p := person{"WS-" + name, "u-" + name, name + "@example.com"}
		return auth.Tokens{Access: logging.NewSecret(p.jwt(time.Now().Add(time.Hour), name)), Refresh: logging.NewSecret("rt-" + name)}
	}
	kept, _, err := s.Add(ctx, login(fmt.Sprintf("kept-%d", n)), "", "test")
	if err != nil {
		return err
	}
	gone, _, err := s.Add(ctx, login(fmt.Sprintf("gone-%d", n)), "", "test")
	if err != nil {
		return err
	}
	for i := range 5 {
		if err := s.Update(ctx, kept.ID, func(a *Account) error {
			a.Tags = append(a.Tags, fmt.Sprint(i))
			return nil
		}); err != nil {
			return err
		}
	}
	return s.Remove(ctx, gone.ID)
}

// childLoad renews token after token, one at a time, and edits beside that,
// until it is killed or there is nobody left to be killed by.
func childLoad(s *Store, list []Account) error {
	parent := os.Getppid()
	go func() {
		for i := 0; ; i++ {
			time.Sleep(rand.N(10 * time.Millisecond)) // the store's lock is for the renewals too
			_ = s.Update(context.Background(), list[i%len(list)].ID, func(a *Account) error {
				a.Note = fmt.Sprint(os.Getpid(), i)
				return nil
			})
		}
	}()
	for os.Getppid() == parent {
		id := list[rand.N(len(list))].ID
		if a, err := s.Account(id); err == nil {
			_, _ = s.Token(context.Background(), id, TokenOptions{Rejected: a.Access})
		}
	}
	return nil
}

func (r *rig) child(job, kill string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	// GORACE: the race detector keeps a process for a second at its end.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", childJob+"="+job, childDir+"="+r.dir, childIssuer+"="+r.issuer.URL, childKill+"="+kill)
	return cmd
}

func (r *rig) runChildren(n int, job string) {
	r.t.Helper()
	var all sync.WaitGroup
	for range n {
		cmd := r.child(job, "")
		all.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				r.t.Errorf("child: %v\n%s", err, out)
			}
		})
	}
	all.Wait()
}

// backdate makes the tokens in the file old enough to be renewed.
func backdate(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := decodeDocument(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range doc.accounts {
		doc.accounts[i].RefreshedAt = doc.accounts[i].RefreshedAt.Add(-time.Hour)
	}
	if data, err = encodeDocument(doc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNoUpdateIsLost(t *testing.T) {
	const processes = 10
	r := newRig(t)
	r.runChildren(processes, "edit")
	list, err := r.Accounts()
	if err != nil || len(list) != processes {
		t.Fatalf("%d accounts, %v; want %d", len(list), err, processes)
	}
	for _, a := range list {
		if strings.Join(a.Tags, "") != "01234" {
			t.Errorf("%s has tags %v", a.Email, a.Tags)
		}
	}
	nowhere(t, r.dir, "rt-gone")
}

// A process killed at any step of a refresh costs at most the exchange it was
// in: the next one finds out what happened, and finishes it.
func TestKilledDuringRefresh(t *testing.T) {
	cases := []struct {
		step      string
		exchanges int  // after the next process
		lost      bool // the issuer had rotated, and nobody noted the answer
	}{
		{"locked", 1, false},
		{"intent written", 1, false},
		{"answered", 1, true}, // the second request presents a spent token
		{"answer noted", 1, false},
		{"committed", 1, false},
		{"remembered", 1, false},
		{"cleared", 1, false},
	}
	for _, c := range cases {
		t.Run(c.step, func(t *testing.T) {
			r := newRig(t)
			a := r.add(anna, -time.Second)
			other := r.add(bert, time.Hour)
			backdate(t, filepath.Join(r.dir, accountsName))
			if out, err := r.child("token", c.step).CombinedOutput(); err == nil {
				t.Fatalf("the child was not killed\n%s", out)
			}
			token, err := r.Token(t.Context(), a.ID, TokenOptions{})
			var refused *RefusedError
			switch {
			case c.lost && !errors.As(err, &refused):
				t.Errorf("err = %v, want the account to need a login", err)
			case !c.lost && (err != nil || !token.ExpiresAt.After(r.clock.now())):
				t.Errorf("Token = %+v, %v", token, err)
			}
			if n := r.issuer.count("W1"); n != c.exchanges {
				t.Errorf("%d exchanges, want %d", n, c.exchanges)
			}
			wantReused := 0
			if c.lost {
				wantReused = 1
			}
			if r.issuer.presentedAgain() != wantReused {
				t.Errorf("%d spent tokens presented, want %d", r.issuer.presentedAgain(), wantReused)
			}
			if r.intent(a.ID) != nil {
				t.Error("the intent is left")
			}
			if _, err := r.Token(t.Context(), other.ID, TokenOptions{}); err != nil {
				t.Errorf("the other account: %v", err)
			}
			if list, err := r.Accounts(); err != nil || len(list) != 2 {
				t.Errorf("%d accounts, %v", len(list), err)
			}
		})
	}
}

// After a crash the old token is sent at once, though the access token is
// still good for long.
func TestLeftIntentIsResolvedAtOnce(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	for n, failures := range []int{0, 2} { // in the first attempt, or in a later one
		sent := r.account(r.Store, a.ID).Refresh.Hash()
		if err := r.writeIntent(a.ID, intent{Sent: sent, At: r.clock.now(), Failures: failures}); err != nil {
			t.Fatal(err)
		}
		s := r.open(Options{})
		for range 2 {
			if _, err := s.Token(t.Context(), a.ID, TokenOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.issuer.count("W1"); got != n+1 {
			t.Errorf("%d exchanges, want %d", got, n+1)
		}
		if r.intent(a.ID) != nil {
			t.Error("the intent is left")
		}
	}
}

// A live process in the middle of an exchange is not waited for while the
// stored token is good.
func TestLiveExchangeDoesNotHoldUpOthers(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	if err := r.writeIntent(a.ID, intent{Sent: a.Refresh.Hash(), At: r.clock.now()}); err != nil {
		t.Fatal(err)
	}
	unlock, err := r.lockAccount(t.Context(), a.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if token, err := r.open(Options{}).Token(t.Context(), a.ID, TokenOptions{}); err != nil || !token.Access.Equal(a.Access) {
		t.Errorf("Token = %+v, %v", token, err)
	}
}

// Nothing that is printed or returned as an error holds a token.
func TestErrorsHoldNoToken(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	path := filepath.Join(r.dir, accountsName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var texts bytes.Buffer
	note := func(v ...any) { fmt.Fprintln(&texts, v...); fmt.Fprintf(&texts, "%+v %#v\n", v, v) }
	for cut := range len(good) {
		if _, err := decodeDocument(good[:cut]); err != nil {
			note(err)
		}
	}
	_, err = decodeDocument(bytes.ReplaceAll(good, []byte(`"enabled": true`), []byte(`"enabled": "`+a.Refresh.Reveal()+`"`)))
	note(err)
	_, _, err = r.Add(t.Context(), auth.Tokens{Access: logging.NewSecret("at-MARK.at-MARK.at-MARK"), Refresh: a.Refresh}, "", "test")
	note(err)
	r.issuer.set(func(i *issuer) { clear(i.live) })
	_, err = r.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access})
	note(err, a)
	if strings.Contains(texts.String(), "MARK") {
		t.Error("a token is in a text that is shown")
	}
}
