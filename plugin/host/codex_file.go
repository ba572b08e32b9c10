package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// codexFile is Codex's config.toml or a profile, read and never written: that is
// left to Codex's own editor. Its keys are looked up by path, as the list of
// settings names them.
type codexFile struct {
	path    string
	existed bool
	perm    fs.FileMode
	text    []byte
	tree    map[string]any
}

func readCodexFile(path string) (*codexFile, error) {
	f := &codexFile{path: path, perm: 0o600}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("codex's config: %w", err)
	}
	f.existed, f.text = true, text
	if info, err := os.Stat(path); err == nil {
		f.perm = info.Mode().Perm()
	}
	if err := toml.Unmarshal(text, &f.tree); err != nil {
		var at toml.ParseError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("%s: line %d, column %d: %s; mend it first", path, at.Position.Line, at.Position.Col, at.Message)
		}
		return nil, fmt.Errorf("%s: %w; mend it first", path, err)
	}
	// Codex's editor would put tables in place of these.
	for _, key := range []string{"model_providers", "mcp_servers"} {
		if _, ok := f.value(key).(map[string]any); !ok && f.value(key) != nil {
			return nil, fmt.Errorf("%s: %s is no table; mend it first", path, key)
		}
	}
	return f, nil
}

// value is what stands at a dotted path, nil when nothing does.
func (f *codexFile) value(key string) any {
	var at any = f.tree
	for name := range strings.SplitSeq(key, ".") {
		table, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = table[name]
	}
	return at
}

func (f *codexFile) str(key string) string {
	s, _ := f.value(key).(string)
	return s
}

// list is an array of strings, nil for anything else.
func (f *codexFile) list(key string) []string {
	array, ok := f.value(key).([]any)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(array))
	for _, v := range array {
		s, ok := v.(string)
		if !ok {
			return nil
		}
		out = append(out, s)
	}
	return out
}

// defaultProvider is the model provider that the file chooses, "" for none.
func (f *codexFile) defaultProvider() string { return f.str(keyDefault) }

func (f *codexFile) binary() string { return f.str(keyAuthCommand) }

// hasProvider reports whether our provider is there. A provider is ours by the
// command that it runs, or by the place that it calls: another tool could bear
// the same name.
func (f *codexFile) hasProvider() bool {
	if args := f.list(keyAuthArgs); len(args) >= 2 && args[0] == "token" && args[1] == "--front-end" {
		return true
	}
	return f.str(keyProvider+".name") == codexName && f.port() != 0
}

// hasServer reports whether our MCP server is there: the command that our
// provider runs, or one of our name.
func (f *codexFile) hasServer() bool {
	args, command := f.list(keyServerArgs), f.str(keyServerBinary)
	if len(args) == 0 || args[0] != "mcp" || command == "" {
		return false
	}
	name := strings.TrimSuffix(filepath.Base(command), ".exe")
	return name == codexName || command == f.binary() && f.hasProvider()
}

// foreign says in a sentence what bears our name and is not ours, "" for nothing.
func (f *codexFile) foreign() string {
	switch {
	case f.value(keyProvider) != nil && !f.hasProvider():
		return fmt.Sprintf("%s has a [%s] that is not ours", f.path, keyProvider)
	case f.value(keyServer) != nil && !f.hasServer():
		return fmt.Sprintf("%s has a [%s] that is not ours", f.path, keyServer)
	}
	return ""
}

// root is the pool that the token command is pinned to.
func (f *codexFile) root() string {
	args := f.list(keyAuthArgs)
	if i := slices.Index(args, "--root"); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

// port is where base_url expects the front end, 0 when that is not a front end's
// address.
func (f *codexFile) port() int {
	u, err := url.Parse(f.str(keyBaseURL))
	if err != nil || u.Scheme != "http" || u.Hostname() != "127.0.0.1" || u.Path != codexBasePath {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return port
}

// differing are those of the settings that the file does not have so.
func (f *codexFile) differing(settings []CodexSetting) []CodexSetting {
	var out []CodexSetting
	for _, s := range settings {
		have := f.value(s.Key)
		if list := f.list(s.Key); list != nil {
			have = list
		}
		if n, ok := have.(int64); ok {
			have = int(n)
		}
		if !reflect.DeepEqual(have, s.Value) {
			out = append(out, s)
		}
	}
	return out
}

// undo are the edits that take out what is ours, and put back the default
// provider of before (nil: there was none) unless the person has chosen another.
func (f *codexFile) undo(before *string) []CodexSetting {
	var edits []CodexSetting
	provider := f.hasProvider()
	if f.defaultProvider() == codexName && (provider || f.value(keyProvider) == nil) {
		edit := CodexSetting{Key: keyDefault}
		if before != nil {
			edit.Value = *before
		}
		edits = append(edits, edit)
	}
	if provider {
		edits = append(edits, CodexSetting{Key: keyProvider})
	}
	if f.hasServer() {
		edits = append(edits, CodexSetting{Key: keyServer})
	}
	return edits
}

// unchanged fails when the file is no longer what was read: Codex or the person
// may have written it meanwhile.
func (f *codexFile) unchanged() error {
	now, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) && !f.existed {
		return nil
	}
	if err != nil {
		return err
	}
	if !f.existed || !bytes.Equal(now, f.text) {
		return fmt.Errorf("%s was changed by another program just now; run it again", f.path)
	}
	return nil
}
