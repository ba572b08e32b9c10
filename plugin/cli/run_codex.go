package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
)

// Exit codes of a shell for a program that is not there, and for one that cannot
// be started.
const (
	exitNoProgram  = 127
	exitNotStarted = 126
)

// runCommand is one run of Codex on the pool: what install codex writes into a file
// is given to this run alone, as -c.
func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run -- codex [ARGUMENT]...",
		Short:   "Run the Codex CLI once on the pool, without changing a file of its",
		Example: "  codex-rota run -- codex\n  codex-rota run -- codex exec \"say hello\"",
		Args: func(cmd *cobra.Command, args []string) error {
			switch dash := cmd.ArgsLenAtDash(); {
			case dash < 0:
				return errors.New("the program stands behind --, as in: codex-rota run -- codex exec \"say hello\"")
			case dash > 0:
				return fmt.Errorf("nothing stands between run and --, and %q does", args[0])
			case len(args) == 0:
				return errors.New("there is no program behind --, as in: codex-rota run -- codex")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args[0], args[1:]) },
	}
	a.rootFlag(cmd)
	return cmd
}

// run makes sure that the front end runs and becomes the program, or, where a
// process cannot become another, waits for it and ends as it did.
func (a *app) run(ctx context.Context, program string, args []string) error {
	if !isCodex(program) {
		return usagef("run is for the Codex CLI, which alone takes its settings from arguments: %q is not codex", program)
	}
	path, err := exec.LookPath(program)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &programError{exitNotStarted, fmt.Errorf("%s cannot be started: %w", program, err)}
	case err != nil:
		return &programError{exitNoProgram, fmt.Errorf("%s was not found (%w). Codex comes with: npm install -g @openai/codex", program, err)}
	}
	overrides, err := a.codexOverrides(ctx)
	if err != nil {
		return err
	}
	return becomeProgram(path, slices.Concat([]string{program}, overrides, args), host.Direct(a.Environ(), a.Env))
}

// codexOverrides is the registration of install codex as Codex's -c, with a front
// end that runs. Before a subcommand they hold for it too.
func (a *app) codexOverrides(ctx context.Context) ([]string, error) {
	port, _, err := a.ensureFrontEnd(ctx)
	var stranger *strangerError
	if errors.As(err, &stranger) {
		// Codex is not started yet: it will know the new port from the first.
		if _, err = a.leavePort(ctx, stranger); err == nil {
			port, _, err = a.ensureFrontEnd(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	codex, err := a.codex(port)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range codex.Settings() {
		out = append(out, "-c", s.String())
	}
	return out, nil
}

// isCodex tells the Codex CLI by its base name: as npm, Homebrew and the releases
// on GitHub call it. That leaves out codex-rota, and everything that would take -c
// for something else.
func isCodex(program string) bool {
	name := strings.ToLower(filepath.Base(program))
	for _, suffix := range []string{".exe", ".cmd", ".bat", ".ps1", ".js", ".mjs"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name == plugin.HostCodex || strings.HasPrefix(name, "codex-x86_64-") || strings.HasPrefix(name, "codex-aarch64-")
}

// programError is that the program ended with a code, which is ours to end with,
// or why there was none.
type programError struct {
	code int
	error
}

func (e *programError) Unwrap() error { return e.error }
