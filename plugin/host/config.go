package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tailscale/hujson"
)

// configNames are the files that OpenCode merges, the one to edit first.
var configNames = [...]string{"opencode.jsonc", "opencode.json", "config.json"}

// configFile is the config to edit: the one that names the shim, else the first
// that exists, else the one to make.
type configFile struct {
	path    string
	existed bool
	perm    fs.FileMode
	before  []byte
	doc     *document
	plugins *hujson.Array // nil without the key
	entry   int           // our element of plugins, -1 without
}

func (o *OpenCode) readConfig() (*configFile, error) {
	var first *configFile
	for _, name := range configNames {
		c := &configFile{path: filepath.Join(o.configDir, name), perm: 0o600, entry: -1}
		var err error
		if c.before, err = os.ReadFile(c.path); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("OpenCode's config: %w", err)
		}
		c.existed = true
		if info, err := os.Stat(c.path); err == nil {
			c.perm = info.Mode().Perm()
		}
		if err := c.parse(o.shimPath()); err != nil {
			return nil, err
		}
		if c.entry >= 0 {
			return c, nil
		}
		if first == nil {
			first = c
		}
	}
	if first != nil {
		return first, nil
	}
	made := &configFile{path: filepath.Join(o.configDir, "opencode.json"), perm: 0o600, entry: -1}
	return made, made.parse(o.shimPath())
}

func (c *configFile) parse(shim string) error {
	var err error
	if c.doc, err = parseDocument(c.path, c.before); err != nil {
		return err
	}
	member := c.doc.member("plugin")
	if member == nil {
		return nil
	}
	array, ok := member.Value.Value.(*hujson.Array)
	if !ok {
		line, column := c.doc.position(member.Value.StartOffset)
		return fmt.Errorf("%s: line %d, column %d: plugin is not an array; make it one, then run this again", c.path, line, column)
	}
	c.plugins = array
	c.entry = slices.IndexFunc(array.Elements, func(v hujson.Value) bool { return names(v, shim, filepath.Dir(c.path)) })
	return nil
}

// names reports whether an element of `plugin` is this file.
func names(v hujson.Value, shim, dir string) bool { return pluginPath(v, dir) == filepath.Clean(shim) }

// add gives the config with the shim's path in `plugin`.
func (c *configFile) add(shim string) ([]byte, error) {
	if c.plugins != nil {
		return c.doc.insert(c.doc.array("plugin"), quote(shim))
	}
	if len(bytes.TrimSpace(c.doc.text)) == 0 {
		// With $schema in it OpenCode, which adds it, leaves the file alone.
		return []byte("{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"plugin\": [" + quote(shim) + "]\n}\n"), nil
	}
	return c.doc.insert(c.doc.object(), `"plugin": [`+quote(shim)+"]")
}

// drop gives the config without our entry; without `plugin` too when install made
// the key and nothing else came into it.
func (c *configFile) drop(madeKey bool) ([]byte, error) {
	if madeKey && len(c.plugins.Elements) == 1 {
		return c.doc.cut(c.doc.object(), c.doc.index("plugin"))
	}
	return c.doc.cut(c.doc.array("plugin"), c.entry)
}
