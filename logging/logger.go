package logging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
)

// PluginLog is the name of the log file in the log folder.
const PluginLog = "plugin.log"

// Options says where the log goes. Exactly one of Stderr and Dir is used: Dir
// when it is not "".
type Options struct {
	Name   string // precedes every message, "codex-rota" when ""
	Level  hclog.Level
	Stderr io.Writer // nil discards
	Dir    string    // the log folder, DESIGN 6: lines go to PluginLog in it
}

// New makes the one logger of a process. Everything it writes passes through
// Redact first. It never writes to stdout, which carries the protocol. Close
// the closer at the end, so that the last line is out.
func New(o Options) (hclog.Logger, io.Closer, error) {
	if o.Stderr == io.Writer(os.Stdout) {
		return nil, nil, errors.New("the log must not go to stdout: it carries the protocol")
	}
	out, file := o.Stderr, (*rotatingFile)(nil)
	if o.Dir != "" {
		var err error
		if file, err = openRotatingFile(filepath.Join(o.Dir, PluginLog), maxFileSize); err != nil {
			return nil, nil, fmt.Errorf("open the log: %w", err)
		}
		out = file
	}
	if out == nil {
		out = io.Discard
	}
	if o.Name == "" {
		o.Name = "codex-rota"
	}
	redacting := NewRedactingWriter(out)
	logger := hclog.New(&hclog.LoggerOptions{
		Name:   o.Name,
		Level:  o.Level, // NoLevel is hclog's default, info
		Output: redacting,
		Color:  hclog.ColorOff,
	})
	return logger, &logCloser{redacting, file}, nil
}

type logCloser struct {
	lines *RedactingWriter
	file  *rotatingFile // nil when the lines go to stderr
}

func (c *logCloser) Close() error {
	err := c.lines.Flush()
	if c.file != nil {
		err = errors.Join(err, c.file.Close())
	}
	return err
}
