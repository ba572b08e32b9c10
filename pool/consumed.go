package pool

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"sync"

	"codex-rota/logging"
)

// consumedList remembers, as hashes, the refresh tokens that must never be
// presented again: those that were exchanged, refused, or replaced by a newer
// login (DESIGN 5). One hash a line, appended; blank lines are allowed, so
// that an append after a torn one starts on a line of its own.
type consumedList struct {
	path string
	disk disk

	mu    sync.Mutex
	stamp stamp
	known map[string]bool
}

const (
	hashLength  = 64        // hex SHA-256
	maxConsumed = 1 << 20   // bytes: some 16,000 hashes, years of use
	keepHashes  = 8 * 1_024 // what is left of a list that grew past it
)

// has reports whether the token is on the list. The empty token never is.
func (c *consumedList) has(token logging.Secret) (bool, error) {
	if token.IsZero() {
		return false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(); err != nil {
		return false, err
	}
	return c.known[token.Hash()], nil
}

func (c *consumedList) load() error {
	info, err := c.disk.stat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		c.stamp, c.known = stamp{}, nil
		return nil
	}
	if err != nil {
		return err
	}
	if c.known != nil && c.stamp.same(info) {
		return nil
	}
	data, info, err := c.disk.read(c.path)
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for hash := range strings.FieldsSeq(string(data)) {
		if len(hash) == hashLength {
			known[hash] = true
		}
	}
	c.stamp, c.known = stamp{info}, known
	return nil
}

// add puts a hash on the list, durably. The caller holds the store's lock.
func (c *consumedList) add(hash string) error {
	if hash == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(); err != nil {
		return err
	}
	if c.known[hash] {
		return nil
	}
	if err := c.disk.append(c.path, []byte("\n"+hash+"\n")); err != nil {
		return err
	}
	return c.compact()
}

// compact drops the oldest half once the list is long.
func (c *consumedList) compact() error {
	if info, err := c.disk.stat(c.path); err != nil || info.Size() <= maxConsumed {
		return err
	}
	data, _, err := c.disk.read(c.path)
	if err != nil {
		return err
	}
	hashes := bytes.Fields(data)
	hashes = hashes[max(0, len(hashes)-keepHashes):]
	return c.disk.replace(c.path, append(bytes.Join(hashes, []byte("\n")), '\n'))
}
