package plugin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"codex-rota/pool"
)

// heldTooLong is longer than any honest hold of a lock: an exchange takes 30 s
// at most (DESIGN 5).
const heldTooLong = time.Minute

// checkStore reports whether the accounts can be read, after mending.
func (d *Doctor) checkStore(ctx context.Context) (readable bool) {
	const name = "store"
	broken := d.Store.Unreadable()
	if did, err := d.restore(ctx, broken); err != nil {
		d.fail(name, "", "the backup could not be restored: %v", err)
	} else if did != "" {
		d.fixed(name, did, "%s can be read again", d.Store.Path())
		broken = d.Store.Unreadable()
	}
	accounts, err := d.Store.Accounts()
	said := map[string]bool{}
	for _, b := range broken {
		said[b.Error()] = true
		d.fail(name, d.mendStore(b), "%s", b)
	}
	for _, notice := range d.Store.Notices() {
		if !said[notice] {
			d.warn(name, "stop the other tool, then run codex-rota list", "%s", notice)
		}
	}
	if err != nil {
		return false
	}
	if d.silent(name) {
		backup := "no backup yet"
		if path := d.Store.NewestGoodBackup(); path != "" {
			backup = "newest backup " + filepath.Base(path)
		}
		d.ok(name, "%s: %d accounts, %s", d.Store.Path(), len(accounts), backup)
	}
	return true
}

// mendStore is what to type against a file that cannot be read.
func (d *Doctor) mendStore(b *pool.UnreadableError) string {
	switch {
	case b.Newer:
		return "update codex-rota"
	case d.restorable(b):
		return fixCommand
	case b.Path == d.Store.Path():
		return "move it away, then log the accounts in again: codex-rota add"
	}
	return "move it away"
}

// restorable reports whether RestoreBackup has an answer to b. The flagged file
// holds no token, so it is begun anew.
func (d *Doctor) restorable(b *pool.UnreadableError) bool {
	if b.Newer {
		return false // a later release wrote it, and reads it
	}
	return b.Path == d.Store.Path() && b.Backup != "" || b.Path == d.Store.FlaggedPath()
}

// restore mends what Fix may mend, and says what it did.
func (d *Doctor) restore(ctx context.Context, broken []*pool.UnreadableError) (did string, err error) {
	mendable := 0
	for _, b := range broken {
		if b.Newer || b.Path == d.Store.Path() && b.Backup == "" {
			return "", nil // restoring does both files or none
		}
		if d.restorable(b) {
			mendable++
		}
	}
	if !d.Fix || mendable == 0 {
		return "", nil
	}
	restored, err := d.Store.RestoreBackup(ctx)
	if errors.Is(err, pool.ErrNothingToRestore) {
		return "", nil // somebody else was faster
	}
	if err != nil {
		return "", err
	}
	did = "began the file of accounts out of service anew"
	if restored.Backup != "" {
		did = fmt.Sprintf("restored %d accounts from %s", restored.Accounts, restored.Backup)
	}
	if len(restored.Damaged) > 0 {
		did += "; what could not be read is kept as " + strings.Join(restored.Damaged, " and ")
	}
	if n := len(restored.NeedLogin); n > 0 {
		did += fmt.Sprintf("; %d of them must be logged in again, as their newest login is in no backup", n)
	}
	return did, nil
}

// checkLocks looks for a process that keeps the others waiting.
func (d *Doctor) checkLocks(ctx context.Context) {
	const name = "locks"
	held, err := d.Store.HeldLocks(ctx, heldTooLong)
	if err != nil {
		d.fail(name, "", "%v", err)
	}
	for _, h := range held {
		file := filepath.Base(h.Path)
		if slices.Contains(d.LongLocks, file) {
			continue
		}
		switch {
		case h.Alive:
			d.fail(name, fmt.Sprintf("end that process if it hangs: kill %d", h.Holder.PID), "%s is held by process %d since %s, more than a minute",
				file, h.Holder.PID, h.Holder.Since.Local().Format("15:04:05 on 2 Jan"))
		case h.Holder.PID != 0:
			d.warn(name, "look for it where the folder is shared: another machine, or a container", "%s is held, and process %d, which took it, is not to be seen from here",
				file, h.Holder.PID)
		default:
			d.warn(name, "end other codex-rota processes, and look again", "%s is held by a process that did not say which it is", file)
		}
	}
	if d.silent(name) {
		d.ok(name, "none is held for more than a minute")
	}
}

// checkRefreshes looks for refreshes that a process began and did not end.
func (d *Doctor) checkRefreshes(ctx context.Context) {
	const name = "refreshes"
	left, err := d.Store.LeftIntents()
	if err != nil {
		d.fail(name, "", "%v", err)
	}
	for _, in := range left {
		d.checkRefresh(ctx, name, in)
	}
	if d.silent(name) {
		d.ok(name, "none was left unfinished")
	}
}

func (d *Doctor) checkRefresh(ctx context.Context, name string, in pool.LeftIntent) {
	who := "an account that is gone"
	if a, err := d.Store.Account(in.Account); err == nil {
		who = nameOf(&a, d.Sensitive)
	}
	began := ""
	if !in.At.IsZero() {
		began = " at " + in.At.Local().Format("15:04:05 on 2 Jan")
	}
	settleable := in.Answered || !in.Current
	if d.Fix && settleable {
		settled, err := d.Store.SettleIntent(ctx, in.Account)
		switch {
		case err != nil:
			d.fail(name, "", "the refresh of %s could not be settled: %v", who, err)
			return
		case settled && in.Answered && in.Current:
			d.fixed(name, "stored the token that it had got", "a refresh of %s was begun%s and not finished", who, began)
			return
		case settled:
			d.fixed(name, "removed what it left", "a refresh of %s was begun%s; its login is another one now", who, began)
			return
		}
	}
	switch {
	case settleable:
		d.warn(name, fixCommand, "a process died after it had refreshed the token of %s%s", who, began)
	case in.RetryAt.IsZero():
		d.warn(name, "nothing: the next call with this account sends its token once more",
			"a process died while it refreshed the token of %s%s, and nobody knows whether it was answered", who, began)
	default:
		d.warn(name, "nothing: it is tried again when a call comes after "+in.RetryAt.Local().Format("15:04:05"), "the last refresh of %s%s got no answer", who, began)
	}
}
