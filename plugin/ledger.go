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
	"runtime"
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
// processes do not mix theirs. The file stays open from call to call.
type ledger struct {
	dir string

	mu   sync.Mutex
	file *os.File    // that was written last, nil when none is open
	info fs.FileInfo // of file
}

// keepsOpen: on Windows an open file could not be deleted by another process's
// purge.
const keepsOpen = runtime.GOOS != "windows"

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
	if err := l.open(filepath.Join(l.dir, e.Time.UTC().Format(monthLayout)+ledgerSuffix)); err != nil {
		return err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil || !keepsOpen {
		return errors.Join(err, l.shut())
	}
	return nil
}

// open makes sure that the open file is the one path names: not that of the month
// before, nor one that was purged or moved away. The caller holds mu.
func (l *ledger) open(path string) error {
	if l.file != nil {
		if info, err := os.Stat(path); err == nil && os.SameFile(info, l.info) {
			return nil
		}
		if err := l.shut(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.info = f, info
	return nil
}

// shut closes the file that is open, if there is one. The caller holds mu.
func (l *ledger) shut() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}

// close ends the writing; a later entry would begin it again.
func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shut()
}

// A month's file is named by it, in UTC.
const (
	monthLayout  = "2006-01"
	ledgerSuffix = ".jsonl"
)

// read gives every entry since a time, the oldest first as far as the months go;
// within a month in the order written, without its verdicts and only until each
// returns. Lines that are no entry, such as one that
// a full disk cut, are counted and left out. No ledger is an empty one.
func (l *ledger) read(ctx context.Context, since time.Time, each func(*LedgerEntry)) (unreadable int, err error) {
	months, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	first, known := since.UTC().Format(monthLayout), names{}
	for _, file := range months { // in the order of their names
		month, ok := strings.CutSuffix(file.Name(), ledgerSuffix)
		if _, err := time.Parse(monthLayout, month); err != nil || !ok || month < first {
			continue
		}
		bad, err := readMonth(ctx, filepath.Join(l.dir, file.Name()), since, known, each)
		if err != nil {
			return unreadable, err
		}
		unreadable += bad
	}
	return unreadable, nil
}

func readMonth(ctx context.Context, path string, since time.Time, known names, each func(*LedgerEntry)) (unreadable int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // purged meanwhile
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 64<<10)
	var e LedgerEntry
	for ctx.Err() == nil {
		line, err := readLine(lines)
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if !e.parse(line, known) {
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
