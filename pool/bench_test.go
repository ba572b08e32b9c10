package pool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codex-rota/logging"
)

// BenchmarkChoose is the pure choice for a new session. DESIGN 10: at most 2 µs
// among 20 accounts and 50 µs among 1,000.
func BenchmarkChoose(b *testing.B) {
	for _, n := range []int{1, 20, 1000, 10000} {
		list, book, q := manyAccounts(n)
		if n == 1 {
			book = NewBook() // the first of many is limited
		}
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) { chooses(b, list, book, q) })
	}
	list, book, q := manyAccounts(1000)
	for _, q.Rotation = range []Rotation{RotationSpread, RotationRoundRobin} {
		b.Run("rotation="+string(q.Rotation), func(b *testing.B) { chooses(b, list, book, q) })
	}
}

func chooses(b *testing.B, list []Account, book *Book, q Query) {
	roster := NewRoster(list)
	b.ReportAllocs()
	for b.Loop() {
		if Choose(roster, book, q, t0).Account == "" {
			b.Fatal("no account")
		}
	}
}

// BenchmarkLearnAndChoose is a new session's choice after an answer of the account
// chosen before has told another reset, by which others come first.
func BenchmarkLearnAndChoose(b *testing.B) {
	for _, n := range []int{20, 1000, 10000} {
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			list, book, q := manyAccounts(n)
			roster := NewRoster(list)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now := t0.Add(time.Duration(i) * time.Microsecond)
				c := Choose(roster, book, q, now)
				book.Learn(Event{Account: c.Account, At: now, Windows: []Window{{
					Name: WindowSecondary, UsedPercent: float64(i % 90), WindowMinutes: weekly, ResetAt: in(time.Duration(i%50+1) * time.Hour)}}}, now)
			}
		})
	}
}

// BenchmarkTake is the choice as a call meets it: with the one stat that looks for
// other processes' news, and the binding of its session.
func BenchmarkTake(b *testing.B) {
	for _, n := range []int{20, 1000, 10000} {
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			list, book, q := manyAccounts(n)
			file, roster := benchBook(b, book), NewRoster(list)
			b.ReportAllocs()
			for b.Loop() {
				if file.Take(roster, q, t0).Account == "" {
					b.Fatal("no account")
				}
			}
		})
	}
}

// BenchmarkSessions is the choice for a session that has its account, among many.
func BenchmarkSessions(b *testing.B) {
	for _, n := range []int{1000, 10000, 100000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			list, book, _ := manyAccounts(20)
			for i := range n {
				book.Bind(fmt.Sprint("ses_", i), list[1+i%2].ID, t0)
			}
			roster := NewRoster(list)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q := Query{Session: sessionNames[i%len(sessionNames)]}
				if !Choose(roster, book, q, t0).Bound {
					b.Fatal("not bound")
				}
				book.Bind(q.Session, list[1].ID, t0)
			}
		})
	}
}

var sessionNames = [...]string{"ses_7", "ses_500", "ses_999", "ses_123"}

// BenchmarkWriteBehind is what a change of the quota book costs behind the calls,
// twice a second at most: the merge, the encoding and the replaced file.
func BenchmarkWriteBehind(b *testing.B) {
	for _, c := range []struct{ accounts, sessions int }{{20, 100}, {1000, maxSessions}} {
		b.Run(fmt.Sprintf("accounts=%d,sessions=%d", c.accounts, c.sessions), func(b *testing.B) {
			list, book, _ := manyAccounts(c.accounts)
			for i := range c.sessions {
				book.Bind(fmt.Sprint("ses_", i), list[1+i%2].ID, t0)
			}
			file, roster := benchBook(b, book), NewRoster(list)
			b.ReportAllocs()
			for b.Loop() {
				file.Bind(roster, "ses_1", list[1].ID, t0)
				if _, err := file.save(b.Context(), file.book.changes, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchBook is a book that another process wrote.
func benchBook(b *testing.B, book *Book) *BookFile {
	b.Helper()
	dir := b.TempDir()
	path := filepath.Join(dir, "quota-cache.json")
	data, err := encodeBook(book.snapshot())
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	file := OpenBook(BookOptions{Path: path, LockPath: filepath.Join(dir, "lock"), Now: func() time.Time { return t0 }})
	b.Cleanup(func() {
		if err := file.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return file
}

// BenchmarkOpen is the start of a process: both files of a pool in use, read and
// understood.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1, 1000} {
		dir, issuer := benchPool(b, n), newIssuer(b, time.Now)
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := OpenStore(Options{Dir: dir, Refresh: issuer.refresh})
				if err != nil {
					b.Fatal(err)
				}
				if list, err := s.Accounts(); err != nil || len(list) != n {
					b.Fatal(len(list), err)
				}
			}
		})
		list, book, _ := manyAccounts(n)
		for i := range min(4*n, maxSessions) {
			book.Bind(fmt.Sprint("ses_", i), list[i%n].ID, t0)
		}
		file := benchBook(b, book)
		b.Run(fmt.Sprintf("book,accounts=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if again := OpenBook(file.options); len(again.book.accounts) != n || again.warning != "" {
					b.Fatal(again.warning)
				}
			}
		})
	}
}

// benchPool writes the accounts file of so many accounts as it is after each has
// been refreshed, and gives its folder.
func benchPool(b *testing.B, n int) (dir string) {
	b.Helper()
	list := make([]Account, n)
	for i := range list {
		p := person{fmt.Sprintf("W%d", i), fmt.Sprintf("u%d", i), fmt.Sprintf("p%d@example.com", i)}
		list[i] = Account{AccountID: p.account, AccountUserID: p.user + "__" + p.account, UserID: p.user, Email: p.email, Label: fmt.Sprint("n", i),
			Enabled: true, Plan: "plus", Refresh: logging.NewSecret(fmt.Sprint("rt_", strings.Repeat("0123456789", 9), i)),
			Access:    logging.NewSecret(p.jwt(t0.Add(time.Hour), strings.Repeat("x", 1200))),
			ExpiresAt: t0.Add(time.Hour), RefreshedAt: t0, AddedAt: t0, Source: "browser"}
	}
	giveIDs(list, map[string]bool{})
	data, err := WriteAccounts(list)
	dir = b.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, accountsName), data, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	return dir
}
