package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// codexEditLimit bounds one run of Codex's config editor, which takes 0.2 s.
const codexEditLimit = 20 * time.Second

// ErrNoCodex says that there is no Codex CLI whose editor could be used.
var ErrNoCodex = errors.New("the Codex CLI is not in PATH; to have it, run: npm install -g @openai/codex")

// codexTooOld is a Codex that cannot do what a registration needs.
type codexTooOld struct{ program, why string }

func (e *codexTooOld) Error() string {
	return fmt.Sprintf("%s cannot be used: %s; to update it, run: npm install -g @openai/codex@latest", e.program, e.why)
}

// edited is what Codex's config editor made of a text. Overridden is Codex's
// sentence on what keeps the text from having effect, "" for nothing.
type edited struct {
	text       []byte
	overridden string
}

// edit lets Codex's own editor change a config, so that comments and formatting
// survive and Codex itself has judged the result. It works on a copy in a
// temporary CODEX_HOME: with the person's own, Codex would renew its login, look
// for plugins on the network and start the front end, all to change one file.
// Without text there is no file yet. path is what errors name.
func (c *Codex) edit(ctx context.Context, program, path string, text []byte, edits []CodexSetting) (edited, error) {
	scratch, err := os.MkdirTemp("", "codex-rota-")
	if err != nil {
		return edited{}, err
	}
	out, err := c.editIn(ctx, scratch, program, path, text, edits)
	return out, errors.Join(err, os.RemoveAll(scratch))
}

func (c *Codex) editIn(ctx context.Context, scratch, program, path string, text []byte, edits []CodexSetting) (edited, error) {
	config := filepath.Join(scratch, "config.toml")
	if text != nil {
		if err := os.WriteFile(config, text, 0o600); err != nil {
			return edited{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, codexEditLimit)
	defer cancel()
	server, err := c.startAppServer(ctx, scratch, program)
	if err != nil {
		return edited{}, err
	}
	out, err := server.change(ctx, config, edits)
	server.end()
	if err != nil {
		return edited{}, server.explain(ctx, err, config, path)
	}
	out.text = likeLines(out.text, text)
	return out, nil
}

// change makes the edits in config, which is the server's own, and reads it.
func (s *appServer) change(ctx context.Context, config string, edits []CodexSetting) (out edited, err error) {
	if err := s.initialize(ctx); err != nil {
		return out, err
	}
	if out.overridden, err = s.write(ctx, edits); err != nil {
		return out, err
	}
	if out.text, err = os.ReadFile(config); err != nil {
		return out, err
	}
	return out, s.probeAuth(ctx, edits)
}

// likeLines gives text the line ends of was, if those were all CRLF: Codex writes
// LF.
func likeLines(text, was []byte) []byte {
	lines := bytes.Count(was, []byte("\n"))
	if lines == 0 || bytes.Count(was, []byte("\r\n")) != lines {
		return text
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// probeAuth finds out whether Codex knows the command that gives a provider its
// token: then it refuses another credential beside it (FACTS-hosts 2). One that
// does not know it would send every prompt without any.
func (s *appServer) probeAuth(ctx context.Context, edits []CodexSetting) error {
	if !slices.ContainsFunc(edits, func(e CodexSetting) bool { return e.Key == keyAuthCommand }) {
		return nil
	}
	_, err := s.write(ctx, []CodexSetting{{keyProvider + ".env_key", "CODEX_ROTA_PROBE"}})
	var refusal *codexRefusal
	switch {
	case errors.As(err, &refusal) && refusal.understood():
		return nil
	case err != nil:
		return err
	}
	return &codexTooOld{s.program, "it knows no token command for a provider"}
}

// explain makes an error for the person, once the process has ended. Codex's own
// words name the copy, the person's their file.
func (s *appServer) explain(ctx context.Context, err error, config, path string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s app-server was stopped without an answer: %w", s.program, ctx.Err())
	}
	var refusal *codexRefusal
	switch {
	case errors.As(err, &refusal) && refusal.understood():
		said := refusal.Error()
		if real, err := filepath.EvalSymlinks(filepath.Dir(config)); err == nil {
			said = strings.ReplaceAll(said, filepath.Join(real, filepath.Base(config)), path)
		}
		return fmt.Errorf("the Codex CLI does not take %s: %s; mend it first", path, strings.ReplaceAll(said, config, path))
	case errors.As(err, &refusal):
		return &codexTooOld{s.program, "it has no config editor"}
	case errors.Is(err, errCodexSilent):
		return &codexTooOld{s.program, "its app-server ended: " + complaint(s.said.String())}
	}
	return fmt.Errorf("%s app-server: %w", s.program, err)
}

// complaint is the line of what a process said that names the error, else the
// first that is no warning; bounded.
func complaint(said string) string {
	best := "it said nothing"
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		isError := strings.HasPrefix(strings.ToLower(line), "error")
		if line == "" || strings.HasPrefix(line, "WARNING") || best != "it said nothing" && !isError {
			continue
		}
		if best = line; len(best) > 200 {
			best = best[:200] + "…"
		}
		if isError {
			break
		}
	}
	return best
}
