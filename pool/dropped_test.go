package pool

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// drops reports which of the hashes a session drops.
func drops(b *BookFile, session string, now time.Time, hashes ...string) (known []string) {
	b.Look(now)
	has := b.Dropped(session, now)
	for _, h := range hashes {
		if has != nil && has(h) {
			known = append(known, h)
		}
	}
	return known
}

func wantDrops(t *testing.T, b *BookFile, session string, now time.Time, want ...string) {
	t.Helper()
	if got := drops(b, session, now, "1", "2", "3", "4"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("session %q drops %v, want %v", session, got, want)
	}
}

func TestDroppedItemsStayWithTheSession(t *testing.T) {
	dir, now := t.TempDir(), t0
	b := bookAt(t, dir, still(&now))
	b.Bind(nil, "s", "a", now)
	b.Bind(nil, "t", "a", now)
	if b.Dropped("s", now) != nil || b.Dropped("", now) != nil {
		t.Error("something is dropped from a session that lost nothing")
	}
	b.Drop("s", []string{"1", "2"}, now)
	held := b.Dropped("s", now)
	b.Drop("s", []string{"2", "3"}, now)
	b.Drop("unknown", []string{"4"}, now)
	b.Drop("", []string{"4"}, now)
	wantDrops(t, b, "s", now, "1", "2", "3")
	wantDrops(t, b, "t", now)
	wantDrops(t, b, "unknown", now)
	wantDrops(t, b, "", now)
	if !held("1") || held("3") {
		t.Error("an answer that was given changed")
	}
	// A fail-over and the way home keep them, and so does a restart.
	b.Bind(nil, "s", "b", now)
	if err := b.Forget(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	wantDrops(t, b, "s", now, "1", "2", "3")
	closeBook(t, b)
	wantDrops(t, bookAt(t, dir, still(&now)), "s", now, "1", "2", "3")
	// They go with the session.
	now = now.Add(24 * time.Hour)
	wantDrops(t, b, "s", now)
	b.Bind(nil, "s", "b", now)
	wantDrops(t, b, "s", now)
}

// A guest's home is removed: its session stays, with what it dropped.
func TestDroppedItemsOfAGuestStay(t *testing.T) {
	now := t0
	b := bookAt(t, t.TempDir(), still(&now))
	b.Bind(nil, "s", "a", now)
	b.Drop("s", []string{"1"}, now)
	learn(t, b, limitedFor("a", time.Minute))
	b.Bind(nil, "s", "b", now)
	if err := b.Forget(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	wantDrops(t, b, "s", now, "1")
}

func TestDroppedItemsAreWrittenBehind(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		one, two := bookAt(t, dir, time.Now), bookAt(t, dir, time.Now)
		one.Bind(nil, "s", "a", time.Now())
		time.Sleep(time.Second)
		one.Drop("s", []string{"1"}, time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		wantDrops(t, two, "s", time.Now(), "1")
	})
}

// Whichever process used the session last, what any of them dropped counts.
func TestDroppedItemsOfAllProcessesCount(t *testing.T) {
	for name, mine := range map[string]time.Time{"the file's is newer": in(-time.Minute), "the file's is older": in(time.Minute), "as old": t0} {
		file := NewBook()
		file.Bind("s", "a", t0)
		file.session("s", t0).drop(nil, []string{"1", "2"})
		book := NewBook()
		book.Bind("s", "a", mine)
		book.session("s", mine).drop(nil, []string{"2", "3"})
		book.absorb(file.snapshot(), in(time.Hour))
		has := book.dropped("s", in(time.Hour))
		if has == nil || !has("1") || !has("2") || !has("3") || len(book.sessions["s"].Dropped) != 3 {
			t.Errorf("%s: %v", name, book.sessions["s"].Dropped)
		}
	}
}

func TestAFileWithTooManyDroppedItems(t *testing.T) {
	file := bookFormat{Sessions: map[string]session{"s": {Account: "a", Home: "a", UsedAt: t0}}}
	s := file.Sessions["s"]
	for i := range 3 * maxDropped {
		s.Dropped = append(s.Dropped, fmt.Sprint(i/2)) // each of them twice
	}
	file.Sessions["s"] = s
	book := NewBook()
	book.absorb(file, t0)
	if kept := book.sessions["s"].Dropped; len(kept) != maxDropped || kept[0] == kept[1] {
		t.Errorf("%d are kept", len(kept))
	}
}

func TestOnlyTheNewestDroppedItemsAreKept(t *testing.T) {
	dir, now := t.TempDir(), t0
	b := bookAt(t, dir, still(&now))
	b.Bind(nil, "s", "a", now)
	number := func(i int) string { return fmt.Sprint("h", i) }
	var all []string
	for i := range 2*maxDropped + 1 {
		all = append(all, number(i))
	}
	b.Drop("s", all[:maxDropped], now)
	b.Drop("s", append(all[maxDropped:], all[0]), now) // the first one once more
	closeBook(t, b)
	for _, b := range []*BookFile{b, bookAt(t, dir, still(&now))} {
		got := drops(b, "s", now, all...)
		if len(got) != maxDropped || got[0] != all[0] || got[len(got)-1] != all[len(all)-1] {
			t.Errorf("%d are kept, from %v to %v", len(got), got[0], got[len(got)-1])
		}
	}
}

func TestDropAndAskAtOnce(t *testing.T) {
	b := bookAt(t, t.TempDir(), time.Now)
	b.Bind(nil, "s", "a", time.Now())
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				b.Drop("s", []string{fmt.Sprint(i, "-", j)}, time.Now())
				if has := b.Dropped("s", time.Now()); !has(fmt.Sprint(i, "-", j)) {
					t.Error("not dropped at once")
				}
				b.Bind(nil, "s", "a", time.Now())
			}
		})
	}
	all.Wait()
}

// Asking is on the way of every call.
func TestAskingForDroppedItemsCopiesNothing(t *testing.T) {
	now := t0
	b := bookAt(t, t.TempDir(), still(&now))
	b.Bind(nil, "s", "a", now)
	var all []string
	for i := range maxDropped {
		all = append(all, fmt.Sprint(i))
	}
	b.Drop("s", all, now)
	b.mu.Lock() // without the one stat of each question
	defer b.mu.Unlock()
	if n := testing.AllocsPerRun(100, func() { b.book.dropped("s", now)("1") }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
