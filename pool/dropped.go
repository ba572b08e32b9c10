package pool

import (
	"slices"
	"time"
)

// maxDropped bounds what a session remembers; forgetting one costs one refused
// call.
const maxDropped = 512

// Drop remembers, with the session, hashes of encrypted items that upstream
// refused in it, so that later turns leave the same items out (DESIGN 4, row
// invalid_encrypted_content). It is written behind, survives a restart, and is
// forgotten with the session. A session that is not bound remembers nothing.
func (b *BookFile) Drop(session string, hashes []string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(now)
	if s := b.book.session(session, now); s != nil && s.drop(nil, hashes) {
		s.change = b.book.changed()
		b.later()
	}
}

// Dropped tells the items that a session leaves out by their hashes; nil when
// there are none. What it returns does not change, and may be used without any
// lock. It is as of the last look at the file, which a choice, Look and all else
// that reads the book take.
func (b *BookFile) Dropped(session string, now time.Time) func(hash string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.book.dropped(session, now)
}

func (b *Book) dropped(id string, now time.Time) func(hash string) bool {
	s := b.session(id, now)
	if s == nil || len(s.Dropped) == 0 {
		return nil
	}
	if s.index == nil {
		s.index = make(map[string]bool, len(s.Dropped))
		for _, hash := range s.Dropped {
			s.index[hash] = true
		}
	}
	index := s.index
	return func(hash string) bool { return index[hash] }
}

// drop puts older and newer hashes around those there are, and reports whether
// that changed anything.
func (s *session) drop(older, newer []string) bool {
	joined := joinHashes(older, joinHashes(s.Dropped, newer))
	if slices.Equal(joined, s.Dropped) {
		return false
	}
	s.Dropped, s.index = joined, nil
	return true
}

// joinHashes joins two lists, of which newer holds the later ones, without
// repeats: a hash is as new as it was seen last. The lists stay as they are.
func joinHashes(older, newer []string) []string {
	if len(older)+len(newer) == 0 {
		return nil
	}
	merged := make([]string, 0, min(len(older)+len(newer), maxDropped))
	seen := make(map[string]bool, cap(merged))
	for _, list := range [][]string{newer, older} {
		for _, hash := range slices.Backward(list) {
			if len(merged) < maxDropped && !seen[hash] {
				seen[hash] = true
				merged = append(merged, hash)
			}
		}
	}
	slices.Reverse(merged)
	return merged
}
