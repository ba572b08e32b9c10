package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// provider is OpenCode's name for whose calls the shim takes over.
const provider = "openai"

// credential is one entry of OpenCode's auth.json, as far as it is ours to know.
// Access and Refresh are read only to tell the sentinel from a login.
type credential struct {
	Type    string `json:"type"`
	Refresh string `json:"refresh"`
	Access  string `json:"access"`
	Expires int64  `json:"expires"` // ms since 1970
}

// sentinel is what Install puts there: OpenCode asks a plugin's loader only when
// there is an entry, and of type oauth it makes the right shape of request
// (FACTS-hosts 1). It is no token; without the plugin every call fails. The shim
// makes the same entry when it finds none.
var sentinel = credential{Type: "oauth", Refresh: Placeholder, Access: Placeholder, Expires: 253_402_300_799_000}

// sentinelFile is OpenCode's auth.json. OpenCode takes no lock for it.
type sentinelFile struct {
	path    string
	existed bool
	perm    fs.FileMode
	doc     *document
	entry   *credential // nil without
}

func readSentinelFile(path string) (*sentinelFile, error) {
	f := &sentinelFile{path: path, perm: 0o600}
	b, err := os.ReadFile(path)
	if err == nil {
		f.existed = true
		if info, err := os.Stat(path); err == nil {
			f.perm = info.Mode().Perm()
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("OpenCode's logins: %w", err)
	}
	if f.doc, err = parseDocument(path, b); err != nil {
		return nil, err
	}
	member := f.doc.member(provider)
	if member == nil {
		return f, nil
	}
	f.entry = &credential{}
	// A copy: Standardize works in the value's own memory. An entry of another
	// shape leaves zero fields, which are no sentinel.
	value := member.Value.Clone()
	value.Standardize()
	_ = json.Unmarshal(value.Pack(), f.entry)
	return f, nil
}

func (f *sentinelFile) install(r *Report) error {
	switch {
	case f.entry == nil:
		r.say("put a placeholder for %s into %s: no token", provider, f.path)
	case *f.entry == sentinel:
		return nil
	case f.entry.Type == "api":
		r.note("OpenCode has an API key for %s, which is left alone: with it the plugin takes no part. To use the pool, run: opencode auth logout", provider)
		return nil
	default:
		r.note("OpenCode has a ChatGPT login of its own, which is left as it is; with the plugin its calls go through the pool instead. To take that login over, run: codex-rota import opencode")
		return nil
	}
	entry, err := json.Marshal(sentinel)
	if err != nil {
		return err
	}
	member := quote(provider) + ": " + string(entry)
	after := []byte("{\n  " + member + "\n}\n")
	if f.doc.span.end > 0 {
		if after, err = f.doc.insert(f.doc.object(), member); err != nil {
			return err
		}
	}
	if err := r.write(f.path, after, f.perm); err != nil {
		return fmt.Errorf("OpenCode's logins: %w", err)
	}
	return nil
}

func (f *sentinelFile) uninstall(r *Report) error {
	if f.entry == nil || *f.entry != sentinel {
		return nil
	}
	r.say("take the placeholder for %s out of %s", provider, f.path)
	// Holding nothing else, the file was made for the placeholder; OpenCode takes
	// none for an empty one.
	if len(f.doc.root.Members) == 1 {
		return r.remove(f.path)
	}
	after, err := f.doc.cut(f.doc.object(), f.doc.index(provider))
	if err != nil {
		return err
	}
	if err := r.write(f.path, after, f.perm); err != nil {
		return fmt.Errorf("OpenCode's logins: %w", err)
	}
	return nil
}
