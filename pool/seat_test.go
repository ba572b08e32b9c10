package pool

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
)

// seatVectors reads the vectors of the area, if the folder is there.
func seatVectors(t *testing.T) []seatVector {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "vectors", "identity.jsonl")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("SKIPPED: the vectors are not beside this checkout (%s)", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []seatVector
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var v seatVector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

type seatVector struct {
	Name  string
	Seats []struct{ Account, User, Email string }
	// Expected is how many accounts there are in the end.
	Expected int
}

func TestIdentityVectors(t *testing.T) {
	for _, v := range seatVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			r := newRig(t)
			for _, seat := range v.Seats {
				r.add(person{seat.Account, seat.User, seat.Email}, time.Hour)
			}
			if list, err := r.Accounts(); err != nil || len(list) != v.Expected {
				t.Errorf("%d accounts, %v; want %d", len(list), err, v.Expected)
			}
		})
	}
}

func TestSameSeat(t *testing.T) {
	cases := []struct {
		name string
		a, b Account
		want bool
	}{
		{"account user", Account{AccountID: "W", AccountUserID: "s"}, Account{AccountID: "W", AccountUserID: "s"}, true},
		{"user", Account{AccountID: "W", UserID: "u"}, Account{AccountID: "W", AccountUserID: "s", UserID: "u"}, true},
		{"user, other seat id", Account{AccountID: "W", AccountUserID: "t", UserID: "u"}, Account{AccountID: "W", AccountUserID: "s", UserID: "u"}, true},
		{"other workspace", Account{AccountID: "W", UserID: "u"}, Account{AccountID: "X", UserID: "u"}, false},
		{"e-mail only", Account{AccountID: "W", Email: "a@x"}, Account{AccountID: "W", Email: "a@x"}, false},
		{"no account", Account{UserID: "u"}, Account{UserID: "u"}, false},
	}
	for _, c := range cases {
		if got := sameSeat(&c.a, &c.b); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAddSaysWhatItWas(t *testing.T) {
	r := newRig(t)
	steps := []struct {
		name   string
		p      person
		before func()
		want   AddResult
		total  int
	}{
		{"first", anna, nil, AddedNew, 1},
		{"again", anna, nil, AddedUpdated, 1},
		{"colleague", person{"W1", "u-carl", "carl@example.com"}, nil, AddedSecondSeat, 2},
		{"her other workspace", person{"W9", "u-anna9", "ANNA@example.com"}, nil, AddedSecondWorkspace, 3},
		{"somebody else", bert, nil, AddedNew, 4},
		{"after a refusal", anna, func() {
			list, _ := r.Accounts()
			if err := r.Update(t.Context(), list[0].ID, func(a *Account) error { a.Label, a.Tags = "mine", []string{"x"}; return nil }); err != nil {
				t.Fatal(err)
			}
			if err := r.Pin(t.Context(), list[0].ID); err != nil {
				t.Fatal(err)
			}
			if err := r.Flag(t.Context(), list[0].ID, Flag{Kind: FlagNeedsLogin, Reason: "refused"}, logging.Secret{}); err != nil {
				t.Fatal(err)
			}
		}, AddedHealed, 4},
	}
	var first Account
	for _, step := range steps {
		if step.before != nil {
			step.before()
		}
		a, got, err := r.Add(t.Context(), r.issuer.login(step.p, time.Hour), "", "test")
		list, _ := r.Accounts()
		if err != nil || got != step.want || len(list) != step.total {
			t.Errorf("%s: %q, %v, %d accounts; want %q, %d", step.name, got, err, len(list), step.want, step.total)
		}
		if first.ID == "" {
			first = a
		}
		if step.want == AddedHealed && (a.ID != first.ID || a.Label != "mine" || len(a.Tags) != 1 || !a.Pinned || a.Flag != nil) {
			t.Errorf("healed as %+v", a)
		}
	}
	data, err := os.ReadFile(filepath.Join(r.dir, flaggedName))
	if err != nil || strings.Contains(string(data), first.ID) {
		t.Errorf("the healed seat is still in the flagged file: %v\n%s", err, data)
	}
}

func TestAddRefuses(t *testing.T) {
	r := newRig(t)
	good := r.issuer.login(anna, time.Hour)
	noUser, noRefresh, malformed := r.issuer.login(person{"W", "", ""}, time.Hour), good, good
	noRefresh.Refresh, malformed.Access = logging.Secret{}, logging.NewSecret("one.two")
	old := r.add(bert, time.Hour)
	r.add(bert, time.Hour)
	replaced := r.issuer.login(bert, time.Hour)
	replaced.Refresh = old.Refresh
	for _, c := range []struct {
		name  string
		login auth.Tokens
		says  string
	}{
		{"no seat", noUser, "chatgpt_user_id"},
		{"no refresh token", noRefresh, "without a refresh token"},
		{"malformed", malformed, "want three parts"},
		{"replaced by a newer login", replaced, "used up before"},
	} {
		if _, _, err := r.Add(t.Context(), c.login, "", "test"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", c.name, err, c.says)
		}
	}
	if list, _ := r.Accounts(); len(list) != 1 {
		t.Errorf("%d accounts, want 1", len(list))
	}
}
