package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// codexRecord is what Install did, kept under CODEX_HOME/codex-rota for Uninstall.
// The config's former bytes lie next to it, mode 0600 as they may hold keys.
type codexRecord struct {
	Schema   int     `json:"schema"`
	Config   bool    `json:"config"`             // config.toml was edited
	Made     bool    `json:"made"`               // Install made it
	Before   string  `json:"before,omitempty"`   // SHA-256 of its bytes before and after
	After    string  `json:"after,omitempty"`    //
	Provider *string `json:"provider,omitempty"` // model_provider before; nil: there was none
	Profile  string  `json:"profile,omitempty"`  // SHA-256 of the profile as Install left it
	Program  string  `json:"program"`            // the codex whose editor was used
}

// note keeps what an edit of f made of it. Fresh says that nothing of ours was in
// it before, takes that ours became the default provider in place of another.
func (rec *codexRecord) note(f *codexFile, after string, fresh, takes bool) {
	switch {
	case fresh:
		rec.Config, rec.Made, rec.Before, rec.After = true, !f.existed, hash(f.text), after
	case takes:
		rec.After = "" // the default of now is to come back, and the backup has an older one
	case rec.After == hash(f.text):
		rec.After = after
	}
	if !takes {
		return
	}
	rec.Provider = nil
	if provider := f.defaultProvider(); provider != "" {
		rec.Provider = &provider
	}
}

// beside is a file of ours in Codex's folder.
func (c *Codex) beside(name string) string { return filepath.Join(c.home, codexName, name) }

// readRecord gives the zero record when there is none, and when it cannot be
// understood: Uninstall then takes out what is ours by its name.
func (c *Codex) readRecord() (codexRecord, error) {
	var rec codexRecord
	b, err := os.ReadFile(c.beside(recordName))
	if errors.Is(err, fs.ErrNotExist) {
		return rec, nil
	}
	if err != nil {
		return rec, fmt.Errorf("the record of the installation: %w", err)
	}
	if json.Unmarshal(b, &rec) != nil || rec.Schema != 1 {
		return codexRecord{}, nil
	}
	return rec, nil
}

func (c *Codex) writeRecord(r *Report, rec codexRecord) error {
	rec.Schema = 1
	b, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	if err := r.write(c.beside(recordName), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("the record of the installation: %w", err)
	}
	return nil
}

// backup is the config's bytes from before Install, if text is still what Install
// left; without them nil, when Install made the file.
func (c *Codex) backup(rec codexRecord, text []byte) (before []byte, ok bool) {
	if rec.After == "" || rec.After != hash(text) {
		return nil, false
	}
	if rec.Made {
		return nil, true
	}
	before, err := os.ReadFile(c.beside(backupName))
	return before, err == nil && hash(before) == rec.Before
}

// forget removes the record and the backup, and their folder unless there is
// something else in it.
func (c *Codex) forget(r *Report) error {
	folder := c.beside("")
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r.say("remove %s", folder)
	for _, name := range []string{recordName, backupName} {
		if err := r.remove(c.beside(name)); err != nil {
			return err
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		return err
	}
	return r.remove(folder)
}
