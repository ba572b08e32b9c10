package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"codex-rota/pool/atomicfile"
)

// Report says in sentences and a diff what was done, or would be.
type Report struct {
	dryRun bool
	lines  []string // what is done, each beginning with a verb
	notes  []string // what the person should know
	diffs  []string
}

// Changed reports whether anything was, or would be, changed.
func (r Report) Changed() bool { return len(r.lines) > 0 }

// Done is what was done, in one line.
func (r Report) Done() string { return strings.Join(r.lines, "; ") }

// String is for a terminal. The diff shows the person's own config, the lines no
// token.
func (r Report) String() string {
	var b strings.Builder
	if !r.Changed() {
		b.WriteString("nothing to do\n")
	} else if r.dryRun {
		b.WriteString("a dry run, nothing was changed; this would\n")
	}
	for _, line := range r.lines {
		b.WriteString(line + "\n")
	}
	for _, note := range r.notes {
		b.WriteString("note: " + note + "\n")
	}
	for _, diff := range r.diffs {
		b.WriteString("\n" + diff)
	}
	return b.String()
}

func (r *Report) say(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *Report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *Report) change(path string, before, after []byte) {
	r.diffs = append(r.diffs, udiff.Unified(path, path, string(before), string(after)))
}

func (r *Report) write(path string, data []byte, perm fs.FileMode) error {
	if r.dryRun {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, data, perm)
}

func (r *Report) remove(path string) error {
	if r.dryRun {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
