// Package host makes and unmakes what a host needs on disk to run codex-rota: for
// OpenCode the shim, an entry in its config and a placeholder in its auth.json
// (DESIGN 9, FACTS-hosts 1). It also finds or installs the host itself for tests
// and the demo. It starts no codex-rota and knows nothing of accounts; paths and
// environment come in as values.
package host

import (
	"os"
	"path/filepath"
)

// OpenCodeOptions says whose OpenCode and which codex-rota. Env reads the
// environment that OpenCode runs in: XDG_CONFIG_HOME and XDG_DATA_HOME, and for
// looking around OPENCODE_CONFIG_DIR and PWD, the project. Binary is the absolute
// path that the shim will start.
type OpenCodeOptions struct {
	Home    string
	Env     func(string) string
	Binary  string
	Version string
}

// OpenCode is one person's OpenCode, as found on disk.
type OpenCode struct {
	binary, version string
	configDir       string // OpenCode's own, not codex-rota's
	authPath        string
	searched        []string // folders that OpenCode reads configs and plugins from
}

// NewOpenCode works out OpenCode's folders as OpenCode does, on every system
// alike. OPENCODE_CONFIG_DIR is left out of it: OpenCode reads that folder beside
// its own, and only its own holds for every start.
func NewOpenCode(o OpenCodeOptions) *OpenCode {
	base := func(name string, otherwise ...string) string {
		if dir := o.Env(name); dir != "" {
			return filepath.Join(dir, "opencode")
		}
		return filepath.Join(append(append([]string{o.Home}, otherwise...), "opencode")...)
	}
	made := &OpenCode{
		binary:    o.Binary,
		version:   o.Version,
		configDir: base("XDG_CONFIG_HOME", ".config"),
		authPath:  filepath.Join(base("XDG_DATA_HOME", ".local", "share"), "auth.json"),
	}
	made.searched = []string{made.configDir}
	if dir := o.Env("OPENCODE_CONFIG_DIR"); dir != "" {
		made.searched = append(made.searched, dir)
	}
	if project := o.Env("PWD"); project != "" {
		made.searched = append(made.searched, project, filepath.Join(project, ".opencode"))
	}
	return made
}

// State is what is there. Binary is the path in the shim; Detail is a sentence
// for people on what is registered or amiss. Stale says that the shim is not
// what this version would write for that Binary.
type State struct {
	Registered  bool
	ConfigPath  string // the config file that names the shim, or would
	ShimPath    string
	ShimVersion string
	Binary      string
	Stale       bool
	Detail      string
}

// State reads and changes nothing. A config that does not parse is an error.
func (o *OpenCode) State() (State, error) {
	config, err := o.readConfig()
	if err != nil {
		return State{}, err
	}
	s := State{ConfigPath: config.path, ShimPath: o.shimPath(), Registered: config.entry >= 0}
	s.Binary, s.ShimVersion = readShim(o.shimPath())
	if s.Binary != "" {
		if s.Stale, err = o.stale(s.Binary); err != nil {
			return State{}, err
		}
	}
	switch {
	case !s.Registered:
		s.Detail = "not registered; codex-rota install opencode does it"
	case s.Binary == "":
		s.Detail = "registered in " + s.ConfigPath + ", but " + s.ShimPath + " is missing; codex-rota install opencode mends it"
	case !isFile(s.Binary):
		s.Detail = "registered, but " + s.Binary + " is missing; codex-rota install opencode mends it"
	case s.Binary != o.binary:
		s.Detail = "registered in " + s.ConfigPath + " with " + s.Binary
	default:
		s.Detail = "registered in " + s.ConfigPath
	}
	return s, nil
}

// Install registers the shim. Doing it again changes nothing, or renews the shim.
// Nothing is changed when a file that must be edited does not parse.
func (o *OpenCode) Install(dryRun bool) (Report, error) {
	r := Report{dryRun: dryRun}
	config, err := o.readConfig()
	if err != nil {
		return r, err
	}
	auth, err := readSentinelFile(o.authPath)
	if err != nil {
		return r, err
	}
	rec := record{Config: config.path, Existed: config.existed, Before: hash(config.before), MadeKey: config.plugins == nil}
	var after []byte
	if config.entry < 0 {
		if after, err = config.add(o.shimPath()); err != nil {
			return r, err
		}
		rec.After = hash(after)
		r.change(config.path, config.before, after)
	}
	if err := o.writeShim(&r); err != nil {
		return r, err
	}
	if after != nil {
		if err := o.writeRecord(&r, rec, config.before); err != nil {
			return r, err
		}
		if err := r.write(config.path, after, config.perm); err != nil {
			return r, err
		}
	}
	return r, auth.install(&r)
}

// Uninstall undoes Install: the config byte for byte if nobody touched it since,
// else only our entry goes; our placeholder in auth.json, and the shim.
func (o *OpenCode) Uninstall(dryRun bool) (Report, error) {
	r := Report{dryRun: dryRun}
	config, err := o.readConfig()
	if err != nil {
		return r, err
	}
	auth, err := readSentinelFile(o.authPath)
	if err != nil {
		return r, err
	}
	rec, err := o.readRecord()
	if err != nil {
		return r, err
	}
	if config.entry >= 0 {
		original, restore := o.original(rec, config)
		switch {
		case restore && !rec.Existed:
			r.say("remove %s, which install made", config.path)
			r.change(config.path, config.before, nil)
			err = r.remove(config.path)
		case restore:
			r.say("restore %s as it was", config.path)
			r.change(config.path, config.before, original)
			err = r.write(config.path, original, config.perm)
		default:
			var after []byte
			if after, err = config.drop(rec.MadeKey && rec.Config == config.path); err != nil {
				return r, err
			}
			r.say("take our entry out of %s", config.path)
			r.change(config.path, config.before, after)
			err = r.write(config.path, after, config.perm)
		}
		if err != nil {
			return r, err
		}
	}
	if err := auth.uninstall(&r); err != nil {
		return r, err
	}
	return r, o.removeShim(&r)
}

// original gives the config's bytes from before Install, if what is there is
// still what Install left.
func (o *OpenCode) original(rec record, config *configFile) ([]byte, bool) {
	if rec.Config != config.path || rec.After != hash(config.before) {
		return nil, false
	}
	if !rec.Existed {
		return nil, true
	}
	backup, err := os.ReadFile(o.beside(backupName))
	return backup, err == nil && hash(backup) == rec.Before
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
