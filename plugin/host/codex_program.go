package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// findProgram is the path of codex: the one that was given, else the first in
// PATH, else the one that Install used; a front end may run with any PATH.
func (c *Codex) findProgram(rec codexRecord) (string, error) {
	if c.program != "" {
		return c.program, nil
	}
	if path, err := exec.LookPath("codex"); err == nil {
		return filepath.Abs(path)
	}
	if rec.Program != "" && isFile(rec.Program) {
		return rec.Program, nil
	}
	return "", ErrNoCodex
}

// codexVersionLimit bounds asking Codex for its version, which takes 10 ms, or
// 100 with npm's wrapper.
const codexVersionLimit = 5 * time.Second

// Program gives the path of codex and what it says its version is.
func (c *Codex) Program(ctx context.Context) (path, version string, err error) {
	rec, err := c.readRecord()
	if err != nil {
		return "", "", err
	}
	if path, err = c.findProgram(rec); err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(ctx, codexVersionLimit)
	defer cancel()
	scratch, err := os.MkdirTemp("", "codex-rota-")
	if err != nil {
		return path, "", err
	}
	defer os.RemoveAll(scratch)
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Dir, cmd.Env, cmd.WaitDelay = scratch, codexScratchEnv(c.environ, scratch), time.Second
	out, err := cmd.Output()
	if err != nil {
		return path, "", fmt.Errorf("%s --version: %w", path, err)
	}
	words := strings.Fields(string(out))
	if len(words) == 0 {
		return path, "", fmt.Errorf("%s --version says nothing", path)
	}
	return path, words[len(words)-1], nil
}

// AuthPath is Codex's auth.json, whether it is there or not.
func (c *Codex) AuthPath() string { return filepath.Join(c.home, "auth.json") }

// noteLogin tells what becomes of a ChatGPT login of Codex's own. The file is
// never written: Codex owns it (FACTS-hosts 2).
func (c *Codex) noteLogin(r *Report) error {
	var auth struct {
		Tokens struct {
			Refresh string `json:"refresh_token"`
		} `json:"tokens"`
	}
	b, err := os.ReadFile(c.AuthPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("codex's login: %w", err)
	}
	if json.Unmarshal(b, &auth) == nil && auth.Tokens.Refresh != "" {
		r.note("Codex has a ChatGPT login of its own in %s, which is left as it is and not used with this provider. To take it into the pool, run: codex-rota import codex; then move that file away, as a refresh token that two programs hold logs one of them out", c.AuthPath())
	}
	return nil
}

// noteDetours tells of what goes round the pool though it is the default.
func (c *Codex) noteDetours(r *Report, config *codexFile) error {
	if profile := config.str("profile"); profile != "" {
		r.note("%s chooses the profile %s, with which Codex %s does not start", config.path, profile, CodexVersion)
	}
	entries, err := os.ReadDir(c.home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		profile, ok := strings.CutSuffix(e.Name(), profileSuffix)
		if !ok {
			continue
		}
		f, err := readCodexFile(filepath.Join(c.home, e.Name()))
		if err != nil {
			r.note("the profile %s", err)
			continue
		}
		if provider := f.defaultProvider(); provider != "" && provider != codexName {
			r.note("with codex -p %s the provider is %s, and not the pool", profile, provider)
		}
	}
	return nil
}
