package plugin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// LedgerEntry is one line of usage/YYYY-MM.jsonl: one delivered call, without
// content (DESIGN 6).
type LedgerEntry struct {
	Time         time.Time `json:"time"`
	Account      string    `json:"account"`
	Model        string    `json:"model"`
	Session      string    `json:"session,omitempty"`
	InputTokens  int64     `json:"inputTokens"`
	CachedTokens int64     `json:"cachedTokens"`
	OutputTokens int64     `json:"outputTokens"`
	DurationMs   int64     `json:"durationMs"`
	Verdicts     []string  `json:"verdicts"`
	End          string    `json:"end"`
}

// ledger appends to the month's file. Each entry is one write of one line, so
// processes do not mix theirs.
type ledger struct {
	dir string
	mu  sync.Mutex
}

// add never fails a call: what could not be written is logged.
func (l *ledger) add(log hclog.Logger, e LedgerEntry) {
	if err := l.write(e); err != nil {
		log.Warn("the usage ledger was not written", "reason", err)
	}
}

func (l *ledger) write(e LedgerEntry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, e.Time.UTC().Format(monthLayout)+ledgerSuffix), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// A month's file is named by it, in UTC.
const (
	monthLayout  = "2006-01"
	ledgerSuffix = ".jsonl"
)

// read gives every entry since a time, the oldest first as far as the months go;
// within a month in the order written. Lines that are no entry, such as one that
// a full disk cut, are counted and left out. No ledger is an empty one.
func (l *ledger) read(ctx context.Context, since time.Time, each func(*LedgerEntry)) (unreadable int, err error) {
	months, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	first := since.UTC().Format(monthLayout)
	for _, file := range months { // in the order of their names
		month, ok := strings.CutSuffix(file.Name(), ledgerSuffix)
		if _, err := time.Parse(monthLayout, month); err != nil || !ok || month < first {
			continue
		}
		bad, err := readMonth(ctx, filepath.Join(l.dir, file.Name()), since, each)
		if err != nil {
			return unreadable, err
		}
		unreadable += bad
	}
	return unreadable, nil
}

func readMonth(ctx context.Context, path string, since time.Time, each func(*LedgerEntry)) (unreadable int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // purged meanwhile
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for ctx.Err() == nil {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var e LedgerEntry
			if json.Unmarshal(line, &e) != nil || e.Time.IsZero() {
				unreadable++
			} else if !e.Time.Before(since) {
				each(&e)
			}
		}
		if errors.Is(err, io.EOF) {
			return unreadable, nil
		}
		if err != nil {
			return unreadable, err
		}
	}
	return unreadable, ctx.Err()
}
