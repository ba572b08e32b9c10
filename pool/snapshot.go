package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"codex-rota/logging"
)

// UnreadableError says that a store file is there and cannot be understood.
// Such a file is never overwritten. Backup is the newest copy that can be
// read, "" when there is none.
type UnreadableError struct {
	Path   string
	Backup string
	Newer  bool // the file is of a later release's version
	Err    error
}

func (e *UnreadableError) Error() string {
	text := fmt.Sprintf("%s cannot be read and was left as it is: %v", e.Path, e.Err)
	if e.Newer {
		text += "; update codex-rota"
	}
	if e.Backup != "" {
		text += "; the newest good backup is " + e.Backup
	}
	if e.Backup != "" && !e.Newer {
		text += "; to restore it, type: codex-rota doctor --fix"
	}
	return text
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// stamp tells one content of a file from the next without reading it. The zero
// stamp is a missing file.
type stamp struct{ info fs.FileInfo }

func (s stamp) same(info fs.FileInfo) bool {
	if s.info == nil || info == nil {
		return s.info == nil && info == nil
	}
	return s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime()) && os.SameFile(s.info, info)
}

// snapshot is one content of the two files, made sense of. It never changes.
// The accounts in it are shared with every reader.
type snapshot struct {
	stamps [2]stamp // accounts file, flagged file
	roster *Roster  // nil where the accounts cannot be read

	active  document
	flagged document
	foreign [2][]byte // what another tool's format held, kept as a backup before the next write
	stale   bool      // the flagged file holds what it should not: rewrite it with the next change
	notices []string  // for the person
	// overwritten: another tool's format lies over ours, and the roster is what
	// came out of merging the two.
	overwritten bool

	err        error // *UnreadableError of the accounts file
	flaggedErr error // *UnreadableError of the flagged file: accounts can be read, flags not written
}

func (p *snapshot) byID(id string) (*Account, bool) {
	a := p.roster.ByID(id)
	return a, a != nil
}

// current gives the snapshot of what the files hold now, read again only if
// one of them changed or could not be read: the disk may give it by now.
func (s *Store) current() *snapshot {
	have := s.snap.Load()
	if have != nil && have.err == nil && have.flaggedErr == nil && s.unchanged(have) {
		return have
	}
	return s.reload()
}

// reload reads the files, whatever their stamps say.
func (s *Store) reload() *snapshot {
	fresh := s.readFiles()
	s.snap.Store(fresh)
	if fresh.err == nil {
		s.lastGood.Store(fresh)
	}
	return fresh
}

func (s *Store) unchanged(p *snapshot) bool {
	for i, path := range [2]string{s.accountsPath, s.flaggedPath} {
		info, err := s.disk.stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		if err != nil {
			info = nil
		}
		if !p.stamps[i].same(info) {
			return false
		}
	}
	return true
}

// readFiles reads both files. The accounts file comes first, because a seat
// that is flagged is written to the flagged file first; a seat that is healed
// goes the other way, so the pair is read again when the accounts file changed
// under us. Otherwise a seat could be seen in neither.
func (s *Store) readFiles() *snapshot {
	for attempt := 0; ; attempt++ {
		var p snapshot
		accounts := s.readFile(s.accountsPath, &p.stamps[0], &p.err)
		flagged := s.readFile(s.flaggedPath, &p.stamps[1], &p.flaggedErr)
		if attempt < 3 && !s.unchanged(&p) {
			continue
		}
		s.assemble(&p, accounts, flagged)
		return &p
	}
}

// readFile gives a file's decoded document and the raw bytes; a missing file
// is an empty document of our version.
func (s *Store) readFile(path string, st *stamp, failure *error) (f loadedFile) {
	data, info, err := s.disk.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return loadedFile{document: document{version: fileVersion}}
	}
	st.info = info
	if err == nil {
		f.document, err = decodeDocument(data)
	}
	if err == nil {
		f.data = data
		return f
	}
	var newer newerVersionError
	unreadable := &UnreadableError{Path: path, Err: err, Newer: errors.As(err, &newer)}
	if path == s.accountsPath {
		unreadable.Backup = s.NewestGoodBackup()
	}
	*failure = unreadable
	return loadedFile{}
}

type loadedFile struct {
	document
	data []byte
}

func (f *loadedFile) foreign() bool { return f.data != nil && f.version < fileVersion }

// assemble makes the one list of accounts out of the two documents: older
// formats migrated, what another tool overwrote brought back, missing fields
// taken from the tokens, one record per seat, one pin.
func (s *Store) assemble(p *snapshot, accounts, flagged loadedFile) {
	if p.err != nil {
		return
	}
	p.active, p.flagged = accounts.document, flagged.document
	for i := range p.flagged.accounts {
		settleFlagged(&p.flagged.accounts[i], flagged.version)
	}
	for i := range p.active.accounts {
		p.active.accounts[i].Flag = nil // in both, the accounts file wins
	}
	s.derive(p.active.accounts)
	s.derive(p.flagged.accounts)
	if accounts.foreign() {
		p.foreign[0] = accounts.data
		if s.bringBack(p); p.err != nil {
			return
		}
	}
	if flagged.foreign() {
		p.foreign[1], p.stale = flagged.data, true
	}
	taken := make(map[string]bool, len(p.active.accounts))
	giveIDs(p.active.accounts, taken)
	p.active.accounts = s.mergeSeats(p.active.accounts)
	stillFlagged := without(p.flagged.accounts, p.active.accounts)
	p.stale = p.stale || len(stillFlagged) < len(p.flagged.accounts)
	p.flagged.accounts = stillFlagged
	giveIDs(p.flagged.accounts, taken)

	all := slices.Concat(p.active.accounts, p.flagged.accounts)
	onlyOne(all)
	for i := range all {
		a := &all[i]
		if a.Flag == nil && a.Refresh.IsZero() && !a.hasAccess() {
			a.Flag = &Flag{Kind: FlagNeedsLogin, Reason: nonEmpty(a.Problem, "no tokens are stored for it")}
		}
	}
	p.roster = NewRoster(all)
	p.roster.from = p
}

// onlyOne keeps the first pin and the first preference, whatever a hand or a
// merge put into the files.
func onlyOne(accounts []Account) {
	pinned, preferred := false, false
	for i := range accounts {
		a := &accounts[i]
		a.Pinned, pinned = a.Pinned && !pinned, pinned || a.Pinned
		a.Preferred, preferred = a.Preferred && !preferred, preferred || a.Preferred
	}
}

// settleFlagged brings a record of the flagged file into our shape. The Node
// tools keep the refused token itself there; we keep its hash.
func settleFlagged(a *Account, version int) {
	if a.Flag == nil {
		a.Flag = &Flag{Kind: FlagNeedsLogin, Reason: "no reason was stored"}
	}
	if version < fileVersion {
		a.Flag.RefusedHash = a.Refresh.Hash()
		a.dropTokens()
	}
}

// dropTokens forgets every credential of the record, those in unknown fields
// too.
func (a *Account) dropTokens() {
	a.Refresh, a.Access = logging.Secret{}, logging.Secret{}
	a.ExpiresAt, a.RefreshedAt = time.Time{}, time.Time{}
	a.extra = withoutCredentials(a.extra)
}

// withoutCredentials drops the unknown fields that may hold a credential.
func withoutCredentials(extra map[string]json.RawMessage) map[string]json.RawMessage {
	kept := maps.Clone(extra)
	maps.DeleteFunc(kept, func(name string, _ json.RawMessage) bool {
		return strings.Contains(strings.ToLower(name), "token")
	})
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// derive fills in from the access token what a hand-written or migrated record
// leaves out (FACTS-upstream 2). A record that went through a refresh of ours
// and whose seat is known has it all, and its token is the issuer's own,
// whatever its form. Any other access token that does not say whose seat it is
// counts as expired (DESIGN 5): a refresh will tell.
func (s *Store) derive(accounts []Account) {
	for i := range accounts {
		a := &accounts[i]
		if a.Access.IsZero() || !a.RefreshedAt.IsZero() && a.identified() {
			continue
		}
		claims, err := s.claims(a.Access, logging.Secret{})
		if err == nil {
			err = claims.RequireSeat()
		}
		if err == nil {
			err = a.objection(claims)
		}
		if err != nil {
			a.Problem = "the stored access token cannot be used: " + err.Error()
			a.ExpiresAt = time.Time{}
			continue
		}
		a.setClaims(claims)
		if a.ExpiresAt.IsZero() {
			a.ExpiresAt = claims.ExpiresAt
		}
	}
}

// without gives the flagged accounts whose seat is not among the active ones.
func without(flagged, active []Account) []Account {
	kept := make([]Account, 0, len(flagged))
	for i := range flagged {
		f := &flagged[i]
		if f.ID != "" && findID(active, f.ID) >= 0 || findSeat(active, f) >= 0 {
			continue
		}
		kept = append(kept, *f)
	}
	return kept
}
