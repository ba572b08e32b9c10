package pool

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A call that finds nothing new looks at each file once, however much it asks.
func TestACallLooksAtEachFileOnce(t *testing.T) {
	r, d := newRig(t), &faultyDisk{}
	kept := r.add(anna, time.Hour)
	s := r.open(Options{disk: d})
	b := OpenBook(BookOptions{Path: filepath.Join(r.dir, "quota-cache.json"), LockPath: filepath.Join(r.dir, "locks", "quota-cache.lock"),
		Now: time.Now, Holding: s.Holding, disk: d})
	t.Cleanup(func() { closeBook(t, b) })
	call := func() {
		accounts, err := s.Look()
		if err != nil || accounts.Position(kept.ID) != 0 || accounts.ByID(kept.ID).ID != kept.ID || accounts.Pinned() != nil {
			t.Fatal(accounts, err)
		}
		if c := b.Take(accounts, Query{Session: "s", Model: "m"}, time.Now()); c.Account != kept.ID {
			t.Fatalf("%+v", c)
		}
		if token, err := s.Token(t.Context(), kept.ID, TokenOptions{Seen: accounts}); err != nil || token.Renewed {
			t.Fatal(token, err)
		}
		b.Bind(accounts, "s", kept.ID, time.Now())
		b.Dropped("s", time.Now())
	}
	call() // the first looks for what a process that died left
	d.reset(0, false, nil)
	call()
	want := []string{"look of " + accountsName, "look of " + flaggedName, "look of quota-cache.json"}
	if got := d.taken(); !slices.Equal(got, want) {
		t.Errorf("a call took %q, want %q", got, want)
	}
}

// What nobody knows of a file costs one look, not one for each account and
// session that is written down.
func TestAWriteBehindLooksAtTheAccountsOnce(t *testing.T) {
	r, d := newRig(t), &faultyDisk{}
	one, two := r.add(anna, time.Hour), r.add(bert, time.Hour)
	s := r.open(Options{disk: d})
	b := OpenBook(BookOptions{Path: filepath.Join(r.dir, "quota-cache.json"), LockPath: filepath.Join(r.dir, "locks", "quota-cache.lock"),
		Now: time.Now, Delay: time.Hour, Holding: s.Holding, disk: d})
	t.Cleanup(func() { closeBook(t, b) })
	accounts, err := s.Look()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first write finds no file
		for _, session := range []string{"s", "t", "u"} {
			b.Bind(accounts, session, one.ID, time.Now())
			b.Bind(accounts, session, two.ID, time.Now())
		}
		d.reset(0, false, nil)
		if _, err := b.save(t.Context(), b.book.changes, nil); err != nil {
			t.Fatal(err)
		}
	}
	looks := 0
	for _, step := range d.taken() {
		if step == "look of "+accountsName {
			looks++
		}
	}
	if looks != 1 {
		t.Errorf("%d looks at the accounts file in %q", looks, d.taken())
	}
}
