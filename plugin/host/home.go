package host

import (
	"fmt"
	"os"
	"path/filepath"
)

// folders are what OpenCode finds its own through, under a home of their own.
var folders = [...][2]string{
	{"XDG_CONFIG_HOME", ".config"},
	{"XDG_DATA_HOME", ".local/share"},
	{"XDG_STATE_HOME", ".local/state"},
	{"XDG_CACHE_HOME", ".cache"},
	{"TMPDIR", "tmp"}, // each run leaves a file of some MB there
}

// OpenCodeEnv is the environment for an OpenCode that lives under home alone and
// asks the network for nothing of its own. What it sets wins over extra, which
// must bring PATH.
func OpenCodeEnv(home string, extra ...string) []string {
	env := append([]string{}, extra...)
	env = append(env, "HOME="+home, "OPENCODE_DISABLE_MODELS_FETCH=1", "OPENCODE_DISABLE_AUTOUPDATE=1")
	for _, f := range folders {
		env = append(env, f[0]+"="+filepath.Join(home, filepath.FromSlash(f[1])))
	}
	return env
}

// PrepareHome makes a home that OpenCode can start in. With any plugin configured
// it installs its plugin library into the config folder first and, without a
// network, waits 71 s for it; a lock file that lists the library makes it believe
// that it did (FACTS-hosts 1). The library itself is then missing there.
func PrepareHome(home string) error {
	for _, f := range folders {
		if err := os.MkdirAll(filepath.Join(home, filepath.FromSlash(f[1])), 0o700); err != nil {
			return fmt.Errorf("prepare OpenCode's home: %w", err)
		}
	}
	config := filepath.Join(home, ".config", "opencode")
	if err := os.MkdirAll(filepath.Join(config, "node_modules"), 0o700); err != nil {
		return fmt.Errorf("prepare OpenCode's home: %w", err)
	}
	dependencies := `{"dependencies":{"@opencode-ai/plugin":"` + OpenCodeVersion + `"}}`
	for name, text := range map[string]string{
		"package.json":      dependencies,
		"package-lock.json": `{"lockfileVersion":3,"packages":{"":` + dependencies + `}}`,
	} {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("prepare OpenCode's home: %w", err)
		}
	}
	return nil
}
