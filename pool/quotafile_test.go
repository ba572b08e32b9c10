package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bookAt opens the book of a folder; two of one folder stand for two processes,
// since the file's lock excludes them too.
func bookAt(t *testing.T, dir string, now func() time.Time) *BookFile {
	t.Helper()
	b := OpenBook(BookOptions{Path: filepath.Join(dir, "quota-cache.json"), LockPath: filepath.Join(dir, "locks", "quota-cache.lock"), Now: now})
	t.Cleanup(func() { closeBook(t, b) })
	return b
}

func closeBook(t *testing.T, b *BookFile) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// still is a clock that the test turns by hand.
func still(at *time.Time) func() time.Time { return func() time.Time { return *at } }

func learn(t *testing.T, b *BookFile, events ...Event) {
	t.Helper()
	if err := b.Learn(context.Background(), events...); err != nil {
		t.Fatal(err)
	}
}

func stateIn(b *BookFile, id string, now time.Time) State {
	a, f := account(id), b.Facts(id)
	return StateOf(&a, &f, "", now)
}

func TestABlockIsOnDiskWhenItWasLearned(t *testing.T) {
	dir, now := t.TempDir(), t0
	one, two := bookAt(t, dir, still(&now)), bookAt(t, dir, still(&now))
	if c := two.Choose(NewRoster(accounts("a", "b")), Query{}, now); c.Account != "a" {
		t.Fatalf("before: %+v", c)
	}
	learn(t, one, limitedFor("a", time.Hour))
	if c := two.Choose(NewRoster(accounts("a", "b")), Query{}, now); c.Account != "b" {
		t.Errorf("another process still gets %+v", c)
	}
	if s := stateIn(bookAt(t, dir, still(&now)), "a", now); s.Name != StateLimited {
		t.Errorf("a new process sees %+v", s)
	}
	info, err := os.Stat(filepath.Join(dir, "quota-cache.json"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestPercentagesAreWrittenBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "quota-cache.json")
	synctest.Test(t, func(t *testing.T) {
		b := bookAt(t, dir, time.Now)
		var writes atomic.Int32
		b.options.disk = writesOf(func(path string, data []byte) error {
			writes.Add(1)
			return osDisk{}.replaceUnsynced(path, data)
		})
		for range 100 {
			learn(t, b, seen("a", time.Now(), "secondary", 40, weekly, time.Now().Add(time.Hour)))
			b.Take(NewRoster(accounts("a")), Query{Session: "s"}, time.Now())
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("a call waited for the disk")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := writes.Load(); n != 1 {
			t.Errorf("%d writes", n)
		}
		if f := bookAt(t, dir, time.Now).Facts("a"); len(f.Windows) != 1 || f.Windows[0].UsedPercent != 40 {
			t.Errorf("the file holds %+v", f)
		}
		time.Sleep(time.Hour)
		if n := writes.Load(); n != 1 {
			t.Errorf("%d writes after an idle hour", n)
		}
	}) // the bubble fails if a goroutine outlives Close
}

func TestSessionsAreWrittenBehind(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		one, two := bookAt(t, dir, time.Now), bookAt(t, dir, time.Now)
		one.Take(NewRoster(accounts("a", "b")), Query{Session: "s"}, time.Now())
		two.Bind(nil, "t", "b", time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		for _, b := range []*BookFile{one, two} {
			if n := b.Sessions(); n != 2 {
				t.Errorf("%d sessions", n)
			}
		}
	})
}

func TestNothingIsWrittenBehindAfterClose(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bookAt(t, dir, time.Now)
		closeBook(t, b)
		b.Bind(nil, "s", "a", time.Now())
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := os.Stat(filepath.Join(dir, "quota-cache.json")); err == nil {
			t.Error("written after Close")
		}
	})
}

// Refusals that come together share a write: those that wait for the one that
// runs are all in the next.
func TestBlocksShareAWrite(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bookAt(t, dir, time.Now)
		var writes atomic.Int32
		release := make(chan struct{})
		b.options.disk = writesOf(func(path string, data []byte) error {
			if writes.Add(1) == 1 {
				<-release
			}
			return osDisk{}.replaceUnsynced(path, data)
		})
		until := time.Now().Add(time.Hour)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if err := b.Learn(t.Context(), blocked(fmt.Sprint(i), time.Now(), Block{Kind: BlockQuota, Until: until})); err != nil {
					t.Error(err)
				}
			})
			if i == 0 {
				synctest.Wait() // the first one's write has begun
			}
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if n := writes.Load(); n > 2 { // one, if all had come before the first write began
			t.Errorf("%d writes for 20 blocks", n)
		}
	})
}

func TestTheFileStaysSmall(t *testing.T) {
	dir, now := t.TempDir(), t0
	b := bookAt(t, dir, still(&now))
	for i := range 2 * maxSessions {
		b.Bind(nil, fmt.Sprint(i), "a", now)
	}
	closeBook(t, b)
	data, err := os.ReadFile(filepath.Join(dir, "quota-cache.json"))
	if err != nil {
		t.Fatal(err)
	}
	if file, err := decodeBook(data); err != nil || len(file.Sessions) != maxSessions {
		t.Errorf("%d sessions in the file (%v)", len(file.Sessions), err)
	}
}

func TestCloseWritesWhatIsDue(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bookAt(t, dir, time.Now)
		b.Take(NewRoster(accounts("a", "b")), Query{Session: "s", Rotation: RotationRoundRobin}, time.Now())
		closeBook(t, b)
		again := bookAt(t, dir, time.Now)
		if c := again.Choose(NewRoster(accounts("b", "a")), Query{Session: "s"}, time.Now()); c.Account != "a" || !c.Bound {
			t.Errorf("the session is not where it was: %+v", c)
		}
		if c := again.Choose(NewRoster(accounts("a", "b")), Query{Session: "new", Rotation: RotationRoundRobin}, time.Now()); c.Account != "b" {
			t.Errorf("the turn was lost: %+v", c)
		}
		if n := again.Sessions(); n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

func TestWritesMerge(t *testing.T) {
	dir, now := t.TempDir(), t0
	one, two, three := bookAt(t, dir, still(&now)), bookAt(t, dir, still(&now)), bookAt(t, dir, still(&now))
	learn(t, one, limitedFor("a", time.Hour))
	learn(t, two, limitedFor("b", 2*time.Hour))
	learn(t, one, limitedFor("a", 30*time.Minute)) // a shorter one hides nothing
	for _, b := range []*BookFile{one, two, three} {
		if s := stateIn(b, "a", now); !s.Until.Equal(in(time.Hour)) {
			t.Errorf("a: %+v", s)
		}
		if s := stateIn(b, "b", now); !s.Until.Equal(in(2 * time.Hour)) {
			t.Errorf("b: %+v", s)
		}
	}
	// two lifts a's block by newer evidence; what one still believes must not
	// bring it back.
	now = in(10 * time.Minute)
	learn(t, two, seen("a", now, "secondary", 2, weekly, in(100*time.Hour)))
	closeBook(t, two)
	learn(t, one, limitedFor("c", time.Hour))
	for _, b := range []*BookFile{one, three, bookAt(t, dir, still(&now))} {
		if s := stateIn(b, "a", now); s.Name != StateReady {
			t.Errorf("the lifted block came back: %+v", s)
		}
	}
}

func TestForgottenStaysForgotten(t *testing.T) {
	dir, now := t.TempDir(), t0
	one, two := bookAt(t, dir, still(&now)), bookAt(t, dir, still(&now))
	one.Bind(nil, "s", "a", now)
	learn(t, one, limitedFor("a", time.Hour), limitedFor("b", time.Hour))
	if two.Sessions() != 1 { // two knows it as well
		t.Error("no session")
	}
	if err := one.Forget(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	learn(t, two, limitedFor("c", time.Hour))
	for _, b := range []*BookFile{one, two, bookAt(t, dir, still(&now))} {
		if f := b.Facts("a"); len(f.Blocks) != 0 {
			t.Errorf("it is back: %+v", f)
		}
		if s := stateIn(b, "b", now); s.Name != StateLimited {
			t.Errorf("b went with it: %+v", s)
		}
		if b.Sessions() != 0 {
			t.Error("its session stayed")
		}
	}
}

func TestALostFileIsWrittenAgain(t *testing.T) {
	dir, now := t.TempDir(), t0
	b := bookAt(t, dir, still(&now))
	learn(t, b, limitedFor("a", time.Hour))
	if err := os.Remove(filepath.Join(dir, "quota-cache.json")); err != nil {
		t.Fatal(err)
	}
	if s := stateIn(b, "a", now); s.Name != StateLimited {
		t.Errorf("this process forgot: %+v", s)
	}
	learn(t, b, limitedFor("b", time.Hour))
	if s := stateIn(bookAt(t, dir, still(&now)), "a", now); s.Name != StateLimited {
		t.Errorf("the file is not whole: %+v", s)
	}
}

func TestALostFileIsNoRemoval(t *testing.T) {
	dir, now := t.TempDir(), t0
	one, two := bookAt(t, dir, still(&now)), bookAt(t, dir, still(&now))
	one.Bind(nil, "s", "a", now)
	learn(t, one, limitedFor("a", time.Hour))
	if err := os.Remove(filepath.Join(dir, "quota-cache.json")); err != nil {
		t.Fatal(err)
	}
	one.Choose(NewRoster(accounts("a")), Query{}, now)
	learn(t, two, limitedFor("b", time.Hour)) // two never saw a
	if s := stateIn(one, "a", now); s.Name != StateLimited || one.Sessions() != 1 {
		t.Errorf("forgotten with the file: %+v", s)
	}
}

// What a process left that was killed while it wrote is taken away by the next
// one that writes, and by who clears everything.
func TestHalfWrittenFilesAreSwept(t *testing.T) {
	for name, run := range map[string]func(b *BookFile) error{
		"a write": func(b *BookFile) error { return b.Learn(t.Context(), limitedFor("a", time.Hour)) },
		"clear":   func(b *BookFile) error { return b.Clear(t.Context()) },
	} {
		dir, now := t.TempDir(), t0
		left, others := filepath.Join(dir, ".quota-cache.json.tmp-1"), filepath.Join(dir, ".settings.json.tmp-1")
		for _, path := range []string{left, others} {
			if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := run(bookAt(t, dir, still(&now))); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s: it is still there", name)
		}
		if _, err := os.Stat(others); err != nil {
			t.Errorf("%s: what is not ours is gone: %v", name, err)
		}
	}
}

// What was in a file that became garbage was lost, not removed.
func TestGarbageIsNoRemoval(t *testing.T) {
	dir, now := t.TempDir(), t0
	one, two := bookAt(t, dir, still(&now)), bookAt(t, dir, still(&now))
	one.Bind(nil, "s", "a", now)
	learn(t, one, limitedFor("a", time.Hour))
	if err := os.WriteFile(filepath.Join(dir, "quota-cache.json"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	one.Choose(NewRoster(accounts("a")), Query{}, now)
	learn(t, two, limitedFor("b", time.Hour)) // two never saw a
	if s := stateIn(one, "a", now); s.Name != StateLimited || one.Sessions() != 1 {
		t.Errorf("forgotten with the file: %+v", s)
	}
}

func TestAFileThatIsNotOursIsKept(t *testing.T) {
	tests := []struct{ name, content string }{
		{"garbage", "{\"version\":2,\"acc"},
		{"empty", ""},
		{"a newer version", `{"version":3,"accounts":{"a":{"blocks":"of another kind"}}}`},
		{"a Node tool's", `{"version":1,"byAccountId":{},"byEmail":{}}`},
		{"right version, wrong content", `{"version":2,"accounts":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, now := t.TempDir(), t0
			path := filepath.Join(dir, "quota-cache.json")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			b := bookAt(t, dir, still(&now))
			if !strings.Contains(b.Warning(), "quota-cache.json") {
				t.Errorf("warning %q", b.Warning())
			}
			if c := b.Choose(NewRoster(accounts("a")), Query{}, now); c.Account != "a" {
				t.Errorf("work does not go on: %+v", c)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != tt.content {
				t.Errorf("looking changed the file to %q (%v)", got, err)
			}
			learn(t, b, limitedFor("a", time.Hour))
			kept, err := filepath.Glob(path + ".unreadable-*")
			if err != nil || len(kept) != 1 {
				t.Fatalf("kept: %v (%v)", kept, err)
			}
			if got, err := os.ReadFile(kept[0]); err != nil || string(got) != tt.content {
				t.Errorf("kept is %q (%v)", got, err)
			}
			if !strings.Contains(b.Warning(), filepath.Base(kept[0])) {
				t.Errorf("warning %q does not name %s", b.Warning(), kept[0])
			}
			if s := stateIn(bookAt(t, dir, still(&now)), "a", now); s.Name != StateLimited {
				t.Errorf("the new file does not hold the block: %+v", s)
			}
		})
	}
}

func TestGarbageWhileWeRun(t *testing.T) {
	dir, now := t.TempDir(), t0
	path := filepath.Join(dir, "quota-cache.json")
	b := bookAt(t, dir, still(&now))
	for i := range 2 * asideKept {
		now = in(time.Duration(i) * time.Second)
		learn(t, b, limitedFor("a", time.Hour))
		if err := os.WriteFile(path, []byte(fmt.Sprintf("garbage %d", i)), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := stateIn(b, "a", now); s.Name != StateLimited {
			t.Fatalf("the block was lost: %+v", s)
		}
	}
	learn(t, b, limitedFor("a", time.Hour))
	kept, err := filepath.Glob(path + ".unreadable-*")
	if err != nil || len(kept) != asideKept {
		t.Errorf("%d files are kept (%v)", len(kept), err)
	}
}

func TestAFileThatCannotBeReadIsNotReplaced(t *testing.T) {
	dir, now := t.TempDir(), t0
	path := filepath.Join(dir, "quota-cache.json")
	if err := os.Mkdir(path, 0o700); err != nil { // modes prove nothing as root
		t.Fatal(err)
	}
	b := OpenBook(BookOptions{Path: path, LockPath: filepath.Join(dir, "quota-cache.lock"), Now: still(&now)})
	err := b.Learn(context.Background(), limitedFor("a", time.Hour))
	if err == nil || !strings.Contains(err.Error(), "quota-cache.json") {
		t.Errorf("error %v", err)
	}
	if s := stateIn(b, "a", now); s.Name != StateLimited {
		t.Errorf("this process forgot: %+v", s)
	}
	if err := b.Close(context.Background()); err == nil {
		t.Error("closed without saying what was lost")
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.Error("it was replaced")
	}
}

func TestAFileTooLargeToReadIsNotReplaced(t *testing.T) {
	dir, now := t.TempDir(), t0
	path := filepath.Join(dir, "quota-cache.json")
	err := os.WriteFile(path, nil, 0o600)
	if err == nil {
		err = os.Truncate(path, maxFile+1) // takes no room on the disk
	}
	if err != nil {
		t.Fatal(err)
	}
	b := OpenBook(BookOptions{Path: path, LockPath: filepath.Join(dir, "quota-cache.lock"), Now: still(&now)})
	if err := b.Learn(context.Background(), limitedFor("a", time.Hour)); err == nil || !strings.Contains(b.Warning(), "cannot be read") {
		t.Errorf("error %v, warning %q", err, b.Warning())
	}
	if info, err := os.Stat(path); err != nil || info.Size() != maxFile+1 {
		t.Error("it was replaced")
	}
	if err := b.Close(context.Background()); err == nil {
		t.Error("closed without saying what was lost")
	}
}

func TestAFailedWriteIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bookAt(t, dir, time.Now)
		full := errors.New("no space left on device")
		var tries atomic.Int32
		b.options.disk = writesOf(func(path string, data []byte) error {
			if tries.Add(1) < 20 {
				return full
			}
			return osDisk{}.replaceUnsynced(path, data)
		})
		start := time.Now()
		limit := blocked("a", start, Block{Kind: BlockQuota, Window: "secondary", Until: start.Add(10 * time.Hour)})
		if err := b.Learn(context.Background(), limit); !errors.Is(err, full) {
			t.Errorf("error %v", err)
		}
		if s := stateIn(b, "a", time.Now()); s.Name != StateLimited {
			t.Errorf("this process forgot: %+v", s)
		}
		time.Sleep(time.Minute)
		if n := tries.Load(); n > 10 {
			t.Errorf("%d tries within a minute", n)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if n := tries.Load(); n != 20 {
			t.Errorf("%d tries", n)
		}
		if s := stateIn(bookAt(t, dir, time.Now), "a", time.Now()); s.Name != StateLimited {
			t.Errorf("it was never written: %+v", s)
		}
	})
}

func TestLearnGivesUpWithItsCaller(t *testing.T) {
	dir, now := t.TempDir(), t0
	b := bookAt(t, dir, still(&now))
	unlock, err := lockFile(context.Background(), filepath.Join(dir, "locks", "quota-cache.lock"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Learn(ctx, limitedFor("a", time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	unlock()
	closeBook(t, b)
	if s := stateIn(bookAt(t, dir, still(&now)), "a", now); s.Name != StateLimited {
		t.Errorf("the block was not written later: %+v", s)
	}
}

func TestAnEventNeedsAnAccount(t *testing.T) {
	now := t0
	b := bookAt(t, t.TempDir(), still(&now))
	if err := b.Learn(context.Background(), Event{Success: true}); err == nil {
		t.Error("accepted")
	}
}

func TestTakeGivesParallelSessionsTheirTurns(t *testing.T) {
	now := t0
	b := bookAt(t, t.TempDir(), still(&now))
	list := accounts("a", "b", "c", "d")
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range 40 {
		wg.Go(func() {
			c := b.Take(NewRoster(list), Query{Session: fmt.Sprint(i), Rotation: RotationRoundRobin}, now)
			mu.Lock()
			defer mu.Unlock()
			got[c.Account]++
		})
	}
	wg.Wait()
	for _, a := range list {
		if got[a.ID] != 10 {
			t.Fatalf("turns: %v", got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	books := []*BookFile{bookAt(t, dir, time.Now), bookAt(t, dir, time.Now)}
	list := accounts("0", "1", "2", "3", "4", "5", "6", "7")
	start := time.Now()
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() {
			b, id := books[i%2], list[i].ID
			for j := range 10 {
				b.Take(NewRoster(list), Query{Session: fmt.Sprint(i)}, time.Now())
				until := start.Add(time.Duration(j+1) * time.Hour)
				if err := b.Learn(t.Context(), seen(id, time.Now(), "primary", 5, fiveHours, until),
					blocked(id, time.Now(), Block{Kind: BlockRateLimit, Until: until})); err != nil {
					t.Error(err)
				}
				b.Explain(NewRoster(list), Query{}, time.Now())
				b.DueProbes(NewRoster(list), time.Now())
			}
		})
	}
	wg.Wait()
	for _, b := range append(books, bookAt(t, dir, time.Now)) {
		for _, a := range list {
			if s := stateIn(b, a.ID, start); s.Name != StateCooling || !s.Until.Equal(start.Add(10*time.Hour)) {
				t.Fatalf("%s: %+v", a.ID, s)
			}
		}
	}
}
