package pool

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/auth"
	"codex-rota/logging"
)

// rawJWT is an access token with the given claims besides exp.
func rawJWT(exp time.Time, claims string) string {
	enc := base64.RawURLEncoding
	body := fmt.Sprintf(`{"exp":%d,"https://api.openai.com/auth":{%s}}`, exp.Unix(), claims)
	return enc.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + enc.EncodeToString([]byte(body)) + ".c2ln"
}

// answering opens a store whose issuer gives every exchange the same answer, and
// counts the exchanges.
func (r *rig) answering(access, refresh string, o Options) (s *Store, exchanges *int) {
	exchanges = new(int)
	o.Refresh = func(context.Context, logging.Secret) (auth.Tokens, error) {
		*exchanges++
		return auth.Tokens{
			Access: logging.NewSecret(access), Refresh: logging.NewSecret(refresh), ExpiresAt: r.clock.now().Add(time.Hour),
		}, nil
	}
	return r.open(o), exchanges
}

// keptAside fails unless the account is out of service for the reason, its
// stored refresh token is the one the issuer gave last, and no access token is
// stored for it.
func (r *rig) keptAside(id, reason, sent, refresh string) {
	r.t.Helper()
	s, exchanges := r.answering("", "", Options{})
	a := r.account(s, id)
	if a.Flag == nil || a.Flag.Kind != FlagNeedsLogin || !strings.Contains(a.Flag.Reason, reason) || a.Flag.At.IsZero() {
		r.t.Fatalf("%+v, flag %+v; want it to say %q", a, a.Flag, reason)
	}
	if a.Refresh.Reveal() != refresh || a.Flag.RefusedHash != a.Refresh.Hash() || !a.Access.IsZero() {
		r.t.Errorf("stored %+v, %+v", a, a.Flag)
	}
	if data, err := os.ReadFile(filepath.Join(r.dir, accountsName)); err == nil && strings.Contains(string(data), id) {
		r.t.Error("it is still in the accounts file")
	}
	for token, want := range map[string]bool{sent: sent != refresh, refresh: false} {
		if spent, err := s.consumed.has(logging.NewSecret(token)); err != nil || spent != want {
			r.t.Errorf("%s is on the consumed list: %v, %v", token, spent, err)
		}
	}
	if in := r.intent(id); in != nil {
		r.t.Error("the intent is left")
	}
	var refused *RefusedError
	if _, err := s.Token(r.t.Context(), id, TokenOptions{}); !errors.As(err, &refused) || *exchanges != 0 {
		r.t.Errorf("Token: %v, %d exchanges", err, *exchanges)
	}
}

// A stored access token that does not say whose seat it is is never used
// (DESIGN 5): it counts as expired, and its refresh tells.
func TestStoredTokenWithoutASeat(t *testing.T) {
	const (
		legacy = `{"version":3,"accounts":[{"accountId":"W1","refreshToken":"rt-1","accessToken":%q,"expiresAt":%d}],"activeIndex":0}`
		ours   = `{"version":4,"accounts":[{"accountId":"W1","refreshToken":"rt-1","accessToken":%q,"expiresAt":%d}]}`
		// As a release before this rule may have written it.
		renewed = `{"version":4,"accounts":[{"accountId":"W1","refreshToken":"rt-1","accessToken":%q,"expiresAt":%d,"refreshedAt":"2020-01-01T00:00:00Z"}]}`
		whole   = `{"version":4,"accounts":[{"accountId":"W1","accountUserId":"u-anna","refreshToken":"rt-1","accessToken":%q,"expiresAt":%d}]}`
	)
	const account, user = `"chatgpt_account_id":"W1"`, `"chatgpt_account_user_id":"u-anna"`
	for _, c := range []struct{ name, file, claims, says string }{
		{"exp only, format 3", legacy, ``, "chatgpt_account_id"},
		{"exp only, format 4", ours, ``, "chatgpt_account_id"},
		{"exp only, received by us", renewed, ``, "chatgpt_account_id"},
		{"exp only, the seat is known", whole, ``, "chatgpt_account_id"},
		{"no user id, format 3", legacy, account, "chatgpt_user_id"},
		{"no user id, format 4", ours, account, "chatgpt_user_id"},
		{"no account id", ours, user, "chatgpt_account_id"},
		{"another workspace's", whole, `"chatgpt_account_id":"W2","chatgpt_account_user_id":"u-anna"`, "another seat"},
		{"another person's", whole, `"chatgpt_account_id":"W1","chatgpt_user_id":"u","chatgpt_account_user_id":"u-bert"`, "another seat"},
	} {
		t.Run(c.name, func(t *testing.T) {
			soon := time.Now().Add(time.Hour)
			stored := rawJWT(soon, c.claims)
			r := poolOf(t, fmt.Sprintf(c.file, stored, soon.UnixMilli()))
			list, err := r.Accounts()
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			if a := list[0]; !strings.Contains(a.Problem, c.says) || !a.ExpiresAt.IsZero() || a.AccountID != "W1" || a.Flag != nil {
				t.Errorf("loaded as %+v", a)
			}
			if token, err := r.Token(t.Context(), list[0].ID, TokenOptions{Rejected: logging.NewSecret("other"), AdoptOnly: true}); !errors.Is(err, ErrNothingToAdopt) {
				t.Errorf("adopted: %+v, %v", token, err)
			}
			s, exchanges := r.answering(anna.jwt(soon, ""), "rt-2", Options{})
			token, err := s.Token(t.Context(), list[0].ID, TokenOptions{})
			if err != nil || token.AccountID != "W1" || token.Access.Reveal() == stored || *exchanges != 1 {
				t.Errorf("Token = %+v, %v after %d exchanges", token, err, *exchanges)
			}
			if a := r.account(r.Store, list[0].ID); a.Problem != "" || !a.identified() {
				t.Errorf("renewed as %+v", a)
			}
		})
	}
}

// Without a refresh token nothing will ever tell whose the login is.
func TestStoredTokenWithoutASeatOrRefreshToken(t *testing.T) {
	r := poolOf(t, fmt.Sprintf(`{"version":4,"accounts":[{"accountId":"W1","accessToken":%q}]}`, rawJWT(time.Now().Add(time.Hour), "")))
	list, err := r.Accounts()
	if err != nil || len(list) != 1 || list[0].Flag == nil || !strings.Contains(list[0].Flag.Reason, "chatgpt_account_id") {
		t.Errorf("%+v, %v", list, err)
	}
}

// While the issuer cannot be reached, a token without a seat is not used up to
// its end either.
func TestStoredTokenWithoutASeatInAnOutage(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	r := poolOf(t, fmt.Sprintf(`{"version":4,"accounts":[{"accountId":"W1","refreshToken":"rt-1","accessToken":%q,"refreshedAt":%d}]}`,
		rawJWT(soon, ""), time.Now().UnixMilli()))
	list, err := r.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	s := r.open(Options{Refresh: func(context.Context, logging.Secret) (auth.Tokens, error) {
		return auth.Tokens{}, &auth.RefreshError{Status: 502}
	}})
	for range 2 {
		var unreachable *UnreachableError
		if token, err := s.Token(t.Context(), list[0].ID, TokenOptions{}); !errors.As(err, &unreachable) {
			t.Errorf("Token = %+v, %v", token, err)
		}
	}
}

// The refresh token that came is live, and nobody else has it: it is kept with
// the record, and its access token is not.
func TestAnswerWithoutASeat(t *testing.T) {
	for name, claims := range map[string]string{"exp only": "", "no user id": `"chatgpt_account_id":"W1"`, "no account id": `"chatgpt_user_id":"u"`, "opaque": "-"} {
		for _, refresh := range []string{"rt-2", "rt-1"} { // rotated, and as before
			t.Run(name+" "+refresh, func(t *testing.T) {
				r := newRig(t)
				r.v3(`"version":3,`, map[string]any{"accountId": "W1", "refreshToken": "rt-1"})
				list, err := r.Accounts()
				if err != nil {
					t.Fatal(err)
				}
				access := rawJWT(r.clock.now().Add(time.Hour), claims)
				if claims == "-" {
					access = "opaque"
				}
				s, exchanges := r.answering(access, refresh, Options{})
				var refused *RefusedError
				if token, err := s.Token(t.Context(), list[0].ID, TokenOptions{}); !errors.As(err, &refused) || refused.Revoked || *exchanges != 1 {
					t.Errorf("Token = %+v, %v after %d exchanges", token, err, *exchanges)
				}
				r.keptAside(list[0].ID, "does not name a ChatGPT account", "rt-1", refresh)
				nowhere(t, r.dir, access)
			})
		}
	}
}

// A seat that is known needs no claims: its own login said whose it is.
func TestAnswerOfAKnownSeatMayBeOpaque(t *testing.T) {
	for _, access := range []string{"opaque", rawJWT(time.Now().Add(time.Hour), ""), rawJWT(time.Now().Add(time.Hour), `"chatgpt_account_id":"W1"`), rawJWT(time.Now().Add(time.Hour), `"chatgpt_account_id":"W1","chatgpt_user_id":"u"`)} {
		r := newRig(t)
		a := r.add(anna, time.Hour)
		s, _ := r.answering(access, "rt-2", Options{})
		for _, rejected := range []logging.Secret{a.Access, {}} {
			token, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: rejected})
			if err != nil || token.Access.Reveal() != access || token.AccountID != "W1" {
				t.Errorf("Token = %+v, %v", token, err)
			}
		}
	}
}

// One of the two user ids is enough to be the same seat (DESIGN 5).
func TestAnswerWithAnotherOfTheSeatsIDs(t *testing.T) {
	r := newRig(t)
	r.v3(`"version":3,`, map[string]any{"accountId": "W1", "refreshToken": "rt-1"})
	list, err := r.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, claims := range []string{
		`"chatgpt_account_id":"W1","chatgpt_account_user_id":"s","chatgpt_user_id":"u"`,
		`"chatgpt_account_id":"W1","chatgpt_account_user_id":"another","chatgpt_user_id":"u"`,
		`"chatgpt_account_id":"W1","chatgpt_account_user_id":"s","chatgpt_user_id":"another"`,
	} {
		s, _ := r.answering(rawJWT(r.clock.now().Add(time.Hour), claims), "rt-2", Options{})
		r.clock.add(2 * time.Hour)
		if _, err := s.Token(t.Context(), list[0].ID, TokenOptions{}); err != nil {
			t.Errorf("%s: %v", claims, err)
		}
	}
}

// What somebody stores without our lock during an exchange is adopted, but not
// a token that does not say whose it is.
func TestOnlyATokenWithASeatIsAdopted(t *testing.T) {
	r := newRig(t)
	a := r.add(anna, time.Hour)
	for step, refusal := range map[string]error{"committed": nil, "refused": &auth.RefreshError{Status: 400, Code: "invalid_grant"}} {
		s := r.open(Options{Refresh: func(context.Context, logging.Secret) (auth.Tokens, error) {
			record := fmt.Sprintf(`{"id":%q,"accountId":"W1","refreshToken":"rt-9 %s","accessToken":%q}`, a.ID, step, rawJWT(time.Now().Add(time.Hour), ""))
			err := os.WriteFile(filepath.Join(r.dir, accountsName), []byte(`{"version":4,"accounts":[`+record+`]}`), 0o600)
			return r.issuer.login(anna, time.Hour), errors.Join(err, refusal)
		}})
		var unreachable *UnreachableError
		if token, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); !errors.As(err, &unreachable) {
			t.Errorf("%s: Token = %+v, %v", step, token, err)
		}
	}
}

// An answer for another seat: its refresh token is live and nobody else has it,
// so it is kept with the record; nothing of it is used under this identity.
func TestAnswerForAnotherSeat(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	for name, access := range map[string]string{
		"another account":            person{"W2", "u-anna", ""}.jwt(soon, "x"),
		"another person":             person{"W1", "u-bert", ""}.jwt(soon, "x"),
		"account id only, another's": rawJWT(soon, `"chatgpt_account_id":"W2"`),
		"user id only, another's":    rawJWT(soon, `"chatgpt_account_user_id":"u-bert"`),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			a := r.add(anna, time.Hour)
			r.add(bert, time.Hour)
			sent, log := a.Refresh.Reveal(), &strings.Builder{}
			s, exchanges := r.answering(access, "rt-theirs", Options{Log: hclog.New(&hclog.LoggerOptions{Output: log})})
			var refused *RefusedError
			if token, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); !errors.As(err, &refused) || refused.Revoked || *exchanges != 1 {
				t.Errorf("Token = %+v, %v after %d exchanges", token, err, *exchanges)
			}
			r.keptAside(a.ID, "the sign-in server answered for another seat", sent, "rt-theirs")
			nowhere(t, r.dir, access)
			if text := log.String(); !strings.Contains(text, "another seat") || strings.Contains(text, "rt-") || strings.Contains(text, access) {
				t.Errorf("logged\n%s", text)
			}
			if got := r.account(r.Store, a.ID); got.AccountID != "W1" || got.AccountUserID != "u-anna" || got.Email != anna.email {
				t.Errorf("its identity is now %+v", got)
			}
			// Its own login heals it, and what it replaces is never presented.
			healed, result, err := r.Add(t.Context(), r.issuer.login(anna, time.Hour), "", "test")
			if err != nil || result != AddedHealed || healed.ID != a.ID {
				t.Errorf("Add = %+v, %v, %v", healed, result, err)
			}
			if spent, _ := r.consumed.has(logging.NewSecret("rt-theirs")); !spent {
				t.Error("the replaced refresh token could come back")
			}
		})
	}
}

// A crash, or a disk that fails, at any step neither loses the refresh token
// that came nor presents the one that was sent again.
func TestAnswerForAnotherSeatSurvives(t *testing.T) {
	theirs := bert.jwt(time.Now().Add(time.Hour), "x")
	setUp := func(t *testing.T) (*rig, Account, answer) {
		r := newRig(t)
		a := r.add(anna, time.Hour)
		return r, a, r.answerOf(&a, auth.Tokens{Access: logging.NewSecret(theirs), Refresh: logging.NewSecret("rt-theirs")})
	}
	refusedBy := func(t *testing.T, s *Store, a Account) {
		t.Helper()
		var refused *RefusedError
		if token, err := s.Token(t.Context(), a.ID, TokenOptions{Rejected: a.Access}); !errors.As(err, &refused) {
			t.Errorf("Token = %+v, %v", token, err)
		}
	}
	t.Run("crash after it was noted", func(t *testing.T) {
		r, a, got := setUp(t)
		if err := r.writeIntent(a.ID, intent{Sent: a.Refresh.Hash(), At: r.clock.now(), Answer: &got}); err != nil {
			t.Fatal(err)
		}
		refusedBy(t, r.open(Options{}), a)
		r.keptAside(a.ID, "another seat", a.Refresh.Reveal(), "rt-theirs")
	})
	t.Run("crash after it was noted, then a verdict from upstream", func(t *testing.T) {
		r, a, got := setUp(t)
		if err := r.writeIntent(a.ID, intent{Sent: a.Refresh.Hash(), At: r.clock.now(), Answer: &got}); err != nil {
			t.Fatal(err)
		}
		if err := r.Flag(t.Context(), a.ID, Flag{Kind: FlagNeedsLogin, Reason: "refused"}, a.Access); err != nil {
			t.Fatal(err)
		}
		r.keptAside(a.ID, "another seat", a.Refresh.Reveal(), "rt-theirs")
	})
	t.Run("crash after it was noted, then the accounts file is restored", func(t *testing.T) {
		r, a, got := setUp(t)
		if err := r.writeIntent(a.ID, intent{Sent: a.Refresh.Hash(), At: r.clock.now(), Answer: &got}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, accountsName), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if done, err := r.RestoreBackup(t.Context()); err != nil || len(done.NeedLogin) != 1 {
			t.Fatalf("%+v, %v", done, err)
		}
		if got := r.account(r.Store, a.ID); got.Flag == nil || got.Refresh.Reveal() != "rt-theirs" {
			t.Errorf("restored %+v", got)
		}
	})
	t.Run("an older backup is restored later", func(t *testing.T) {
		r, a, _ := setUp(t)
		old, err := os.ReadFile(r.NewestGoodBackup())
		if err != nil {
			t.Fatal(err)
		}
		s, _ := r.answering(theirs, "rt-theirs", Options{})
		refusedBy(t, s, a)
		if err := os.WriteFile(filepath.Join(r.dir, accountsName), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, backupsName, backupName(accountsName, 99, r.clock.now(), backupChange)), old, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.RestoreBackup(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.keptAside(a.ID, "another seat", a.Refresh.Reveal(), "rt-theirs")
	})
	t.Run("the flagged file cannot be read", func(t *testing.T) {
		r, a, _ := setUp(t)
		flagged := filepath.Join(r.dir, flaggedName)
		if err := os.WriteFile(flagged, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, exchanges := r.answering(theirs, "rt-theirs", Options{})
		for _, s := range []*Store{s, s, r.Store} {
			refusedBy(t, s, a)
		}
		if in := r.intent(a.ID); in == nil || in.Answer == nil || in.Answer.Refresh.Reveal() != "rt-theirs" || *exchanges != 1 || r.issuer.count("W1") != 0 {
			t.Errorf("intent %+v after %d exchanges", in, *exchanges)
		}
		if err := os.Remove(flagged); err != nil {
			t.Fatal(err)
		}
		refusedBy(t, r.Store, a)
		r.keptAside(a.ID, "another seat", a.Refresh.Reveal(), "rt-theirs")
	})
	t.Run("no disk takes it for a while", func(t *testing.T) {
		r, a, _ := setUp(t)
		disk := &brokenDisk{}
		s, exchanges := r.answering(theirs, "rt-theirs", Options{disk: disk, fault: func(step string) { disk.broken.Store(step == "answered" || disk.broken.Load()) }})
		refusedBy(t, s, a)
		disk.broken.Store(false)
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if *exchanges != 1 {
			t.Errorf("%d exchanges", *exchanges)
		}
		r.keptAside(a.ID, "another seat", a.Refresh.Reveal(), "rt-theirs")
	})
}
