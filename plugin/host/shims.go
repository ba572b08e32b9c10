package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/tailscale/hujson"
)

// Shim is a copy of the shim that OpenCode loads. In is the config file that
// names it, or the folder of plugins that it lies in.
type Shim struct {
	Path    string
	Version string
	Binary  string
	In      string
}

// pluginFolders are what OpenCode loads every file from, in each of its config
// folders.
var pluginFolders = [...]string{"plugin", "plugins"}

// OtherShims gives the copies of the shim that OpenCode loads beside the one
// that Install writes: in its own config folder, in OPENCODE_CONFIG_DIR and in
// the project. A config that does not parse is an error.
func (o *OpenCode) OtherShims() ([]Shim, error) {
	var found []Shim
	add := func(path, in string) {
		binary, version := readShim(path)
		if version == "" || sameFile(path, o.shimPath()) {
			return
		}
		if !slices.ContainsFunc(found, func(s Shim) bool { return sameFile(s.Path, path) }) {
			found = append(found, Shim{Path: path, Version: version, Binary: binary, In: in})
		}
	}
	for _, dir := range o.searched {
		for _, name := range configNames {
			config := filepath.Join(dir, name)
			entries, err := pluginEntries(config)
			if err != nil {
				return found, err
			}
			for _, path := range entries {
				add(path, config)
			}
		}
		for _, name := range pluginFolders {
			folder := filepath.Join(dir, name)
			entries, err := os.ReadDir(folder)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return found, fmt.Errorf("OpenCode's plugins: %w", err)
			}
			for _, e := range entries {
				add(filepath.Join(folder, e.Name()), folder)
			}
		}
	}
	return found, nil
}

// pluginEntries gives the files that a config names in `plugin`.
func pluginEntries(config string) ([]string, error) {
	text, err := os.ReadFile(config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("OpenCode's config: %w", err)
	}
	doc, err := parseDocument(config, text)
	if err != nil {
		return nil, err
	}
	member := doc.member("plugin")
	if member == nil {
		return nil, nil
	}
	array, ok := member.Value.Value.(*hujson.Array)
	if !ok {
		return nil, nil // readConfig tells of it
	}
	var paths []string
	for _, v := range array.Elements {
		if path := pluginPath(v, filepath.Dir(config)); path != "" {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// pluginPath is the file that an element of `plugin` names: a path, absolute or
// from the config's folder, or a file URL; alone or with options behind it. ""
// is no string at all.
func pluginPath(v hujson.Value, dir string) string {
	if pair, ok := v.Value.(*hujson.Array); ok && len(pair.Elements) > 0 {
		v = pair.Elements[0]
	}
	literal, ok := v.Value.(hujson.Literal)
	if !ok || literal.Kind() != '"' {
		return ""
	}
	path := literal.String()
	if u, err := url.Parse(path); err == nil && u.Scheme == "file" {
		path = filepath.FromSlash(u.Path)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path)
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// stale reports whether the shim on disk is not what this version writes for
// that binary: it is of another version, was edited, or only half of it is there.
func (o *OpenCode) stale(binary string) (bool, error) {
	own := *o
	own.binary = binary
	for _, name := range shimNames {
		want, err := own.shim(name)
		if err != nil {
			return false, fmt.Errorf("the embedded shim: %w", err)
		}
		have, err := os.ReadFile(o.beside(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("the shim: %w", err)
		}
		if err != nil || !bytes.Equal(have, want) {
			return true, nil
		}
	}
	return false, nil
}
