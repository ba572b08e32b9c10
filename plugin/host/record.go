package host

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// record is what Install did to the config, kept beside the shim for Uninstall.
// The config's former bytes lie next to it, mode 0600 as they may hold keys.
type record struct {
	Schema  int    `json:"schema"`
	Config  string `json:"config"`  // the file that was edited
	Existed bool   `json:"existed"` // false: Install made it
	MadeKey bool   `json:"madeKey"` // `plugin` was not in it
	Before  string `json:"before"`  // SHA-256 of its bytes before and after
	After   string `json:"after"`
}

const (
	recordName = "install.json"
	backupName = "config.backup"
)

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// readRecord gives the zero record when there is none, and when it cannot be
// understood: Uninstall then takes out our entry only.
func (o *OpenCode) readRecord() (record, error) {
	var rec record
	b, err := os.ReadFile(o.beside(recordName))
	if errors.Is(err, fs.ErrNotExist) {
		return rec, nil
	}
	if err != nil {
		return rec, fmt.Errorf("the record of the installation: %w", err)
	}
	if json.Unmarshal(b, &rec) != nil || rec.Schema != 1 {
		return record{}, nil
	}
	return rec, nil
}

func (o *OpenCode) writeRecord(r *Report, rec record, before []byte) error {
	rec.Schema = 1
	if rec.Existed {
		r.say("add the shim to plugin in %s, with a backup in %s", rec.Config, o.beside(backupName))
		if err := r.write(o.beside(backupName), before, 0o600); err != nil {
			return fmt.Errorf("the backup: %w", err)
		}
	} else {
		r.say("make %s with the shim in plugin", rec.Config)
	}
	b, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	if err := r.write(o.beside(recordName), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("the record of the installation: %w", err)
	}
	return nil
}
