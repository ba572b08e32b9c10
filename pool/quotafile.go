package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// BookOptions says where a BookFile lives. Now and Log may be nil.
type BookOptions struct {
	Path     string // quota-cache.json
	LockPath string // held while the file is rewritten
	Now      func() time.Time
	Log      hclog.Logger
	// Delay is how long changes that may be lost are gathered before they are
	// written; 0 is half a second. Where a write takes long it is fifty times as
	// long as the last one took, up to 5 s.
	Delay time.Duration
	// Holding gives what tells whether the store has an account (Store.Holding);
	// what is known of one that it has not is no longer written. Nil holds every
	// account.
	Holding func() func(id string) bool

	disk disk // tests: a file layer that fails
}

// BookFile is the Book that all processes share through quota-cache.json. Its
// methods may be called concurrently. A choice costs one stat; the file is read
// again when another process replaced it. Losing the file costs one refused
// call per blocked account and the sessions' places.
type BookFile struct {
	options BookOptions
	saving  chan struct{} // holds a value while one save runs
	swept   sync.Once

	mu      sync.Mutex
	book    *Book
	seen    fs.FileInfo // of the content looked at last, nil when there was no file
	garbage error       // why that content was not merged
	warning string      // for `status` and `doctor`
	latest  time.Time   // by the clock, so that setting it back is noticed

	timer    *time.Timer    // not nil while a write behind is due or running
	behind   sync.WaitGroup // that write
	pause    time.Duration  // until the next one: Delay, longer after failures and long writes
	took     time.Duration  // what the last write took
	failures int            // of the writes behind, in a row
	closed   bool
}

const (
	defaultDelay = 500 * time.Millisecond
	longestPause = 30 * time.Second

	gatherFactor  = 50
	longestGather = 5 * time.Second

	bookLockWait = 2 * time.Second
	asideKept    = 5
)

// OpenBook reads the file if there is one. It writes nothing; one that cannot be
// read is reported and moved aside by the first write.
func OpenBook(o BookOptions) *BookFile {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Delay <= 0 {
		o.Delay = defaultDelay
	}
	if o.disk == nil {
		o.disk = osDisk{}
	}
	b := &BookFile{options: o, saving: make(chan struct{}, 1), book: NewBook(), pause: o.Delay}
	b.look(o.Now())
	return b
}

// Look sees what other processes wrote, for the price of one stat when they wrote
// nothing.
func (b *BookFile) Look(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
}

// Choose answers a query and changes nothing: for looking ahead. A call that
// will be sent uses Take, or Bind after it.
func (b *BookFile) Choose(accounts *Roster, q Query, now time.Time) Choice {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
	return Choose(accounts, b.book, q, now)
}

// Take chooses and binds in one step, so that calls that begin together do not
// get the same turn.
func (b *BookFile) Take(accounts *Roster, q Query, now time.Time) Choice {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
	c := Choose(accounts, b.book, q, now)
	if c.Account != "" {
		b.book.stayAway(accounts, q.Session, c.Account, now)
		b.book.Bind(q.Session, c.Account, now)
		b.later()
	}
	return c
}

// Bind notes that a call of a session goes to account, one of accounts; session
// "" is a call without one.
func (b *BookFile) Bind(accounts *Roster, session, account string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.book.stayAway(accounts, session, account, now)
	b.book.Bind(session, account, now)
	b.later()
}

// Explain is Choose with every account's numbers.
func (b *BookFile) Explain(accounts *Roster, q Query, now time.Time) (Choice, []Candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
	return Explain(accounts, b.book, q, now)
}

// Facts gives what is known of an account; the zero value knows nothing.
func (b *BookFile) Facts(account string) Facts {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(b.options.Now())
	if f := b.book.facts(account); f != nil {
		return *f
	}
	return Facts{}
}

// FactsOf is Facts for each of the accounts, as of one moment and for the price
// of one look.
func (b *BookFile) FactsOf(accounts *Roster) []Facts {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(b.options.Now())
	all := accounts.All()
	out := make([]Facts, len(all))
	for i := range all {
		if f := b.book.facts(all[i].ID); f != nil {
			out[i] = *f
		}
	}
	return out
}

// StatesOf gives StateOf for each of the accounts, for every model, as of one
// moment and for the price of one look.
func (b *BookFile) StatesOf(accounts *Roster, now time.Time) []State {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
	out := make([]State, len(accounts.All()))
	for i := range out {
		a := &accounts.accounts[i]
		out[i] = StateOf(a, b.book.facts(a.ID), "", now)
	}
	return out
}

// SessionAccount is the account that a session's last call went to, "" for a
// session that is new.
func (b *BookFile) SessionAccount(session string, now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
	if s := b.book.session(session, now); s != nil {
		return s.Account
	}
	return ""
}

// Sessions is the number of sessions bound in the last 24 h.
func (b *BookFile) Sessions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(b.options.Now())
	b.book.trim(b.options.Now())
	return len(b.book.sessions)
}

// Warning says what is wrong with the file, "" when nothing is.
func (b *BookFile) Warning() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.warning
}

// Learn applies events as received now. When one of them is a block it is on
// disk, not yet fsynced, when Learn returns nil; all else is written behind.
// After an error the facts hold in this process, and the write is tried again.
func (b *BookFile) Learn(ctx context.Context, events ...Event) error {
	var need uint64
	b.mu.Lock()
	b.follow(b.options.Now())
	for _, e := range events {
		if e.Account == "" {
			b.mu.Unlock()
			return errors.New("an event of no account")
		}
		b.book.Learn(e, b.options.Now())
		if e.Block != nil {
			need = b.book.changes
		}
	}
	b.later()
	b.mu.Unlock()
	if need == 0 {
		return nil
	}
	_, err := b.save(ctx, need, nil)
	return err
}

// Forget drops what is known of an account, here and in the file.
func (b *BookFile) Forget(ctx context.Context, account string) error {
	_, err := b.save(ctx, 0, func(book *Book) bool {
		book.forget(account)
		return true
	})
	return err
}

// Close writes what is not written yet and ends the writing behind.
func (b *BookFile) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	if b.timer != nil && b.timer.Stop() {
		b.timer = nil
		b.behind.Done()
	}
	need := b.book.changes
	b.mu.Unlock()
	_, err := b.save(ctx, need, nil)
	b.behind.Wait()
	return err
}

// follow notices a clock that was set back: what was learned before would hide
// everything that is learned until the clock is there again. The caller holds mu.
func (b *BookFile) follow(now time.Time) {
	now = wall(now)
	if b.latest.Sub(now) > clockSkew {
		b.book.doubt(now)
		b.latest = now
	}
	b.latest = latest(b.latest, now)
}

// look is refresh for readers: what they cannot read is in Warning, and they go
// on with what this process knows.
func (b *BookFile) look(now time.Time) { _ = b.refresh(now) }

// refresh merges the file when another process has replaced it. The error says
// that there is a file and that it cannot be read; one that can be read and not
// understood is garbage instead. The caller holds mu.
func (b *BookFile) refresh(now time.Time) error {
	b.follow(now)
	info, err := b.options.disk.stat(b.options.Path)
	if err == nil && b.seen != nil && sameFile(info, b.seen) {
		return nil
	}
	var data []byte
	if err == nil {
		data, info, err = b.options.disk.read(b.options.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if b.seen != nil {
			b.book.unsaved()
			b.seen, b.garbage = nil, nil
		}
		return nil
	}
	name := filepath.Base(b.options.Path)
	if err != nil {
		b.warn(fmt.Sprintf("%s cannot be read, so other processes' limits are not seen: %v", name, err))
		return err
	}
	file, err := decodeBook(data)
	b.seen, b.garbage = info, err
	if err != nil {
		b.book.unsaved() // what it held before is lost, not removed
		b.warn(fmt.Sprintf("%s is not used and will be moved aside: %v", name, err))
		return nil
	}
	b.warning = ""
	b.book.absorb(file, wall(now))
	return nil
}

// warn reports a problem once.
func (b *BookFile) warn(text string) {
	if b.warning != text {
		b.warning = text
		b.options.Log.Warn(text)
	}
}

// sameFile tells a file that was replaced from one that was not. An inode may
// come back, the time and the size with it hardly.
func sameFile(a, b fs.FileInfo) bool {
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}
