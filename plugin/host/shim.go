package host

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// shimFiles is the OpenCode plugin as it is written to disk; opencode.js is what
// OpenCode loads, the others are its parts.
//
//go:embed opencode.js wire.js call.js
var shimFiles embed.FS

const shimMain = "opencode.js"

// shimNames are the files of the shim, the one that OpenCode loads last: it must
// not meet a shim that is half there.
var shimNames = [...]string{"wire.js", "call.js", shimMain}

// beside is a file of ours in OpenCode's config folder. Only from there can the
// host's own zod be imported (FACTS-hosts 1).
func (o *OpenCode) beside(name string) string {
	return filepath.Join(o.configDir, "codex-rota", name)
}

func (o *OpenCode) shimPath() string { return o.beside(shimMain) }

// shim gives one of its files with the constants filled in.
func (o *OpenCode) shim(name string) ([]byte, error) {
	source, err := shimFiles.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for placeholder, value := range map[string]string{
		"__CODEX_ROTA_BINARY__":       o.binary,
		"__CODEX_ROTA_BINARY_SHOWN__": unrepeated(o.binary),
		"__CODEX_ROTA_VERSION__":      o.version,
	} {
		source = bytes.ReplaceAll(source, []byte(strconv.Quote(placeholder)), []byte(quote(value)))
	}
	return source, nil
}

// unrepeated is a path as it may stand in a message to OpenCode: a number in it
// that would make OpenCode repeat the call is broken by a word joiner, which
// nobody sees.
func unrepeated(path string) string {
	// What OpenCode takes in an error's text for a status that is worth repeating
	// the call for (testdata/opencode-retry-pattern.json).
	repeatedNumber := regexp.MustCompile(`429|50[0234]|524`)
	for {
		at := repeatedNumber.FindStringIndex(path)
		if at == nil {
			return path
		}
		path = path[:at[0]+1] + "\u2060" + path[at[0]+1:]
	}
}

func (o *OpenCode) writeShim(r *Report) error {
	var stale []string
	files := map[string][]byte{}
	for _, name := range shimNames {
		want, err := o.shim(name)
		if err != nil {
			return fmt.Errorf("the embedded shim: %w", err)
		}
		have, err := os.ReadFile(o.beside(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the shim: %w", err)
		}
		if err != nil || !bytes.Equal(have, want) {
			stale = append(stale, name)
			files[name] = want
		}
	}
	if len(stale) > 0 {
		r.say("write the shim %s", o.shimPath())
	}
	for _, name := range stale {
		if err := r.write(o.beside(name), files[name], 0o600); err != nil {
			return fmt.Errorf("the shim: %w", err)
		}
	}
	return nil
}

// removeShim removes what Install wrote into our folder, and the folder unless
// there is something else in it.
func (o *OpenCode) removeShim(r *Report) error {
	folder := o.beside("")
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r.say("remove %s", folder)
	for _, name := range append(shimNames[:], recordName, backupName) {
		if err := r.remove(o.beside(name)); err != nil {
			return fmt.Errorf("the shim: %w", err)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		return err
	}
	return r.remove(folder)
}

// readShim gives the binary and the version that an installed shim was written
// with, "" for what is not there.
func readShim(path string) (binary, version string) {
	source, err := os.ReadFile(path)
	if err != nil {
		return "", ""
	}
	shimConstant := regexp.MustCompile(`(?m)^const (BINARY|VERSION) = ("[^\n]*")$`)
	for _, m := range shimConstant.FindAllSubmatch(source, -1) {
		var value string
		if json.Unmarshal(m[2], &value) != nil {
			continue
		}
		if string(m[1]) == "BINARY" {
			binary = value
		} else {
			version = value
		}
	}
	return binary, version
}
