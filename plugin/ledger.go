package plugin

import (
	"encoding/json"
	"os"
	"path/filepath"
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
	f, err := os.OpenFile(filepath.Join(l.dir, e.Time.Format("2006-01")+".jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
