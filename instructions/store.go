package instructions

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"codex-rota/pool/atomicfile"

	"github.com/hashicorp/go-hclog"
)

const (
	metaFile    = "codex-instructions-meta.json"
	metaVersion = 1
	maxFile     = 8 << 20 // of any cached file and of any answer
)

// meta is the file codex-instructions-meta.json: what is cached, of which
// release, and when GitHub last confirmed it. It is written after the texts it
// names; a text whose hash differs counts as absent, so that processes need no
// lock between them.
type meta struct {
	Version       int                `json:"version"`
	Tag           string             `json:"tag"`
	ReleaseETag   string             `json:"releaseEtag,omitempty"`
	FetchedAt     time.Time          `json:"fetchedAt"`
	CatalogueETag string             `json:"catalogueEtag,omitempty"`
	Models        []cachedModel      `json:"models,omitempty"`  // in the catalogue's order
	Prompts       map[string]textRef `json:"prompts,omitempty"` // by file name in codex-rs/core
}

type cachedModel struct {
	Model
	Text *textRef `json:"text,omitempty"`
}

// textRef names a cached text. File "" says that the release has no such file.
type textRef struct {
	File   string `json:"file,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	ETag   string `json:"etag,omitempty"`
	Tag    string `json:"tag"`
}

// snapshot is a meta file in memory, with the texts read so far. A nil
// *snapshot is an empty cache.
type snapshot struct {
	meta
	models map[string]Model
	slugs  []string // of the models that have a text

	mu    sync.Mutex
	texts map[string]string // by file name
}

// fresh reports whether GitHub confirmed it within the TTL. A time in the
// future comes of a clock that was set back, and counts as old.
func (s *snapshot) fresh(now time.Time) bool {
	if s == nil {
		return false
	}
	age := now.Sub(s.FetchedAt)
	return age >= 0 && age < ttl
}

func (s *snapshot) catalogue() map[string]Model {
	if s == nil {
		return nil
	}
	return s.models
}

func newSnapshot(m meta, texts map[string]string) *snapshot {
	s := &snapshot{meta: m, texts: texts}
	for _, model := range m.Models {
		if s.models == nil {
			s.models = make(map[string]Model, len(m.Models))
		}
		s.models[model.Slug] = model.Model
		if model.Text != nil {
			s.slugs = append(s.slugs, model.Slug)
		}
	}
	return s
}

// store is the cache folder, and in memory what was last read of it.
type store struct {
	dir string
	log hclog.Logger

	mu   sync.Mutex
	snap *snapshot
	info fs.FileInfo // of the meta file that snap stands for; nil: there was none
	read bool        // snap and info hold what load found
	at   time.Time   // of the last look
}

// lookEvery is how long what was seen of the folder stands: every call asks a few
// times, and what changes there changes four times an hour.
const lookEvery = time.Second

// seen is load for a reader that can do with what was there a moment before now.
func (s *store) seen(now time.Time) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.at); s.read && age >= 0 && age < lookEvery {
		return s.snap
	}
	s.at = now
	return s.look()
}

// load gives what is cached, nil when nothing usable is. When the meta file has
// not changed that costs one stat.
func (s *store) load() *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.look()
}

// look is load for a caller that holds mu.
func (s *store) look() *snapshot {
	info := s.stat()
	if s.read && sameFile(info, s.info) {
		return s.snap
	}
	s.snap, s.info, s.read = nil, info, true
	if info == nil {
		return nil
	}
	m, err := s.readMeta()
	if err != nil {
		s.log.Warn("the cached instructions cannot be read and will be fetched again", "error", err)
		return nil
	}
	s.snap = newSnapshot(m, map[string]string{})
	return s.snap
}

// stat is nil when the meta file cannot be had, for whatever reason.
func (s *store) stat() fs.FileInfo {
	info, err := os.Stat(filepath.Join(s.dir, metaFile))
	if err != nil {
		return nil
	}
	return info
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (s *store) readMeta() (meta, error) {
	data, err := readBounded(filepath.Join(s.dir, metaFile))
	if err != nil {
		return meta{}, err
	}
	var m meta
	if err := json.Unmarshal(data, &m); err != nil {
		return meta{}, fmt.Errorf("%s: %w", metaFile, err)
	}
	if m.Version != metaVersion || !isPlain(m.Tag, longestTag) {
		return meta{}, fmt.Errorf("%s: version %d of tag %q is not one of ours", metaFile, m.Version, m.Tag)
	}
	return m, nil
}

// text is the content a reference stands for, if it is there and unchanged.
func (s *store) text(snap *snapshot, ref textRef) (string, bool) {
	if ref.File == "" || filepath.Base(ref.File) != ref.File {
		return "", false
	}
	snap.mu.Lock()
	defer snap.mu.Unlock()
	if text, ok := snap.texts[ref.File]; ok {
		return text, true
	}
	data, err := readBounded(filepath.Join(s.dir, ref.File))
	if err != nil || hash(data) != ref.SHA256 {
		return "", false
	}
	snap.texts[ref.File] = string(data)
	return snap.texts[ref.File], true
}

// resolution is a model's text, or what has to be fetched to find it. Neither
// means that GitHub has none.
type resolution struct {
	ok   bool
	text string
	ref  textRef

	catalogue bool   // fetch models.json, whatever its ETag
	prompt    string // fetch this file of codex-rs/core
}

// settled reports whether nothing has to be fetched.
func (r resolution) settled() bool { return r.ok || !r.catalogue && r.prompt == "" }

// resolve finds a model's text in a snapshot: the first of its places that is
// known to exist, or the first that nobody has asked for yet.
func (s *store) resolve(snap *snapshot, model string) resolution {
	if snap == nil {
		return resolution{catalogue: true}
	}
	for _, place := range candidates(model, snap.slugs) {
		var ref textRef
		if place.prompt != "" {
			known := false
			if ref, known = snap.Prompts[place.prompt]; known && ref.File == "" {
				continue
			}
		} else {
			i := slices.IndexFunc(snap.Models, func(m cachedModel) bool { return m.Slug == place.slug })
			ref = *snap.Models[i].Text
		}
		if text, ok := s.text(snap, ref); ok {
			return resolution{ok: true, text: text, ref: ref}
		}
		return resolution{catalogue: place.slug != "", prompt: place.prompt}
	}
	return resolution{}
}

// change is what a renewal adds to the cache.
type change struct {
	meta  meta
	texts map[string]string // by file name, only those that are new
}

// changeOf begins a change on top of snap.
func changeOf(snap *snapshot) change {
	c := change{texts: map[string]string{}}
	if snap != nil {
		c.meta = snap.meta
		c.meta.Prompts = maps.Clone(snap.Prompts)
	}
	c.meta.Version = metaVersion
	if c.meta.Prompts == nil {
		c.meta.Prompts = map[string]textRef{}
	}
	return c
}

// add puts a text into the change and gives its reference.
func (c *change) add(name, text, etag string) textRef {
	file := "codex-instructions-" + fileName(name) + ".txt"
	c.texts[file] = text
	return textRef{File: file, SHA256: hash([]byte(text)), ETag: etag, Tag: c.meta.Tag}
}

// commit writes a change, the texts first. A disk that fails costs only the
// other processes: this one goes on with what it has in memory.
func (s *store) commit(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.write(c)
	if err == nil {
		s.read = false
		return
	}
	s.log.Warn("the instructions cannot be cached", "error", err)
	if s.snap != nil {
		s.snap.mu.Lock()
		defer s.snap.mu.Unlock()
		for file, text := range s.snap.texts {
			if _, newer := c.texts[file]; !newer {
				c.texts[file] = text
			}
		}
	}
	s.snap, s.info, s.read = newSnapshot(c.meta, c.texts), s.stat(), true
}

// dropLostTexts takes out of m the catalogue's texts that cannot be read.
func (s *store) dropLostTexts(m *meta) {
	snap := newSnapshot(*m, map[string]string{})
	m.Models = slices.Clone(m.Models)
	for i, model := range m.Models {
		if model.Text == nil {
			continue
		}
		if _, ok := s.text(snap, *model.Text); !ok {
			m.Models[i].Text = nil
		}
	}
}

func (s *store) write(c change) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	for file, text := range c.texts {
		if err := atomicfile.WriteNoSync(filepath.Join(s.dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(c.meta, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteNoSync(filepath.Join(s.dir, metaFile), append(data, '\n'), 0o600)
}

const plainLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

// isPlain reports whether a name from outside is at most so long and made of
// letters, digits, dots, dashes and underscores, a letter or digit first: it then
// names nothing but itself in a path.
func isPlain(name string, most int) bool {
	return name != "" && len(name) <= most && strings.IndexByte("._-", name[0]) < 0 && strings.Trim(name, plainLetters) == ""
}

// longestFileName leaves room for what is put around a name.
const longestFileName = 100

// fileName keeps a name that comes from outside from naming another folder.
func fileName(name string) string {
	if isPlain(name, longestFileName) {
		return name
	}
	return hash([]byte(name))[:16]
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New(path + " is too large")
	}
	return data, err
}
