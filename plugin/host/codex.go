package host

import (
	"path/filepath"
)

// CodexOptions says whose Codex CLI and which codex-rota. Env reads the
// environment that Codex runs in (CODEX_HOME), Environ gives all of it for
// starting Codex. Binary is the absolute path that Codex will start, Root the
// pool that it is pinned to, and Port where the front end listens, 0 when that is
// not known. Program is the path of codex; "" looks it up in PATH. ServerEnv names what
// our MCP server needs of the environment: Codex withholds from it all but HOME,
// PATH and a few of their kind, unlike from the token command.
type CodexOptions struct {
	Home    string
	Env     func(string) string
	Environ []string
	Binary  string
	Root    string
	Port    int
	Program string

	ServerEnv []string
}

// Codex is one person's Codex CLI, as found on disk.
type Codex struct {
	binary, root string
	port         int
	program      string
	environ      []string
	serverEnv    []string
	home         string // CODEX_HOME
	env          func(string) string
}

// NewCodex works out Codex's folder as Codex does.
func NewCodex(o CodexOptions) *Codex {
	home := o.Env("CODEX_HOME")
	if home == "" {
		home = filepath.Join(o.Home, ".codex")
	}
	return &Codex{binary: o.Binary, root: o.Root, port: o.Port, program: o.Program, environ: o.Environ, serverEnv: o.ServerEnv, home: home, env: o.Env}
}

// CodexProfile is the name under which `--profile-only` registers: codex -p NAME.
const CodexProfile = codexName

func (c *Codex) configPath() string  { return filepath.Join(c.home, "config.toml") }
func (c *Codex) profilePath() string { return filepath.Join(c.home, codexName+profileSuffix) }

const profileSuffix = ".config.toml"

// CodexEntry is one file in which codex-rota is registered, and what it says.
type CodexEntry struct {
	Path   string
	Binary string
	Root   string // "" when none is pinned
	Port   int    // 0 when it cannot be told
	// Provider is the model provider that the file makes the default, "" for none.
	Provider string
	// Differs are the keys whose values this version would not write for that
	// binary, root and port.
	Differs []string
}

// Default reports whether Codex uses the pool by itself with this file.
func (e *CodexEntry) Default() bool { return e.Provider == codexName }

// CodexState is what is there. Config is nil when config.toml does not name
// codex-rota's provider, Profile when there is no profile that does. Foreign says
// what bears the name without being ours. Detail is a sentence for people.
type CodexState struct {
	Config  *CodexEntry
	Profile *CodexEntry
	Foreign string
	Detail  string
}

// Registered reports whether there is any registration.
func (s *CodexState) Registered() bool { return s.Config != nil || s.Profile != nil }

// State reads and changes nothing, and starts no Codex. A file that does not
// parse is an error.
func (c *Codex) State() (CodexState, error) {
	var s CodexState
	config, err := readCodexFile(c.configPath())
	if err != nil {
		return s, err
	}
	profile, err := readCodexFile(c.profilePath())
	if err != nil {
		return s, err
	}
	s.Config, s.Profile, s.Foreign = c.entry(config), c.entry(profile), config.foreign()
	switch {
	case !s.Registered() && s.Foreign != "":
		s.Detail = "not registered; " + s.Foreign
	case !s.Registered():
		s.Detail = "not registered; codex-rota install codex does it"
	case s.Config == nil:
		s.Detail = "registered in " + s.Profile.Path + ": codex -p " + CodexProfile + s.Profile.amiss(c)
	case !s.Config.Default():
		s.Detail = "registered in " + s.Config.Path + ", but not as the default; codex-rota install codex makes it that"
	default:
		s.Detail = "registered in " + s.Config.Path + s.Config.amiss(c)
	}
	return s, nil
}

// amiss is the end of a sentence on a registration.
func (e *CodexEntry) amiss(c *Codex) string {
	switch {
	case !isFile(e.Binary):
		return ", but " + e.Binary + " is missing; codex-rota install codex mends it"
	case e.Binary != c.binary:
		return ", with " + e.Binary
	case e.Root != c.root:
		return ", with the pool in " + e.Root
	}
	return ""
}

// entry is what a file registers, nil when its provider is missing or not ours.
func (c *Codex) entry(f *codexFile) *CodexEntry {
	if !f.hasProvider() {
		return nil
	}
	e := &CodexEntry{Path: f.path, Provider: f.defaultProvider(), Binary: f.binary(), Root: f.root(), Port: f.port()}
	own := *c
	own.binary, own.root, own.port = e.Binary, e.Root, e.Port
	for _, s := range f.differing(own.Settings()) {
		if s.Key != keyDefault {
			e.Differs = append(e.Differs, s.Key)
		}
	}
	return e
}
