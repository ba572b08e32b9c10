// Package cli is the command line: it alone builds the objects, and reads argv,
// the environment and the terminal. Each command has a file of its own; what a
// command does is package plugin's.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"codex-rota/plugin"
)

// Exit codes of DESIGN 7.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2
	exitLogin      = 3
	exitLimited    = 4
	exitUnreadable = 5
)

// System is everything a command may touch of the process it runs in.
type System struct {
	In         io.Reader
	Out        io.Writer
	Err        io.Writer
	Env        func(string) string
	Environ    func() []string
	Home       string
	Executable string
	Terminal   bool // Out is a terminal
	InTerminal bool // In is one
	// Size is the terminal's width and height now, 0 and 0 when there is none.
	Size func() (columns, lines int)
}

// OS is the real process.
func OS() System {
	sys := System{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Environ: os.Environ,
		Terminal: term.IsTerminal(int(os.Stdout.Fd())), InTerminal: term.IsTerminal(int(os.Stdin.Fd()))}
	sys.Size = func() (columns, lines int) {
		columns, lines, err := term.GetSize(int(os.Stdout.Fd()))
		if err != nil {
			return 0, 0
		}
		return columns, lines
	}
	// A missing home or executable path is told by the command that needs it.
	sys.Home, _ = os.UserHomeDir()
	sys.Executable, _ = os.Executable()
	return sys
}

// Most commands end before their garbage is worth collecting: with a thousand
// accounts that took a third of their time. What goes on for long calls stay when
// it has started. GOGC in the environment counts as ever.
const (
	startGC = 400
	stayGC  = 100
)

func setGC(sys System, percent int) {
	if sys.Env("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// stay is for a command that goes on for long: from now on memory counts for more
// than time.
func (a *app) stay() { setGC(a.System, stayGC) }

// Run runs one command line and gives the process's exit code.
func Run(ctx context.Context, args []string, sys System) int {
	setGC(sys, startGC)
	root := newRoot(&app{System: sys})
	root.SetArgs(normalise(args[1:]))
	root.SetIn(sys.In)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintf(sys.Err, "codex-rota: %s\n", err)
	}
	return exitCode(err)
}

// normalise lets --self-test, which DESIGN 7 gives as a flag, be the command.
func normalise(args []string) []string {
	if len(args) > 0 && args[0] == "--self-test" {
		return append([]string{"self-test"}, args[1:]...)
	}
	return args
}

// errSaid ends a command with exit code 1 whose output has said why already.
var errSaid = errors.New("failed")

// usageError is the caller's mistake: exit code 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	var usage usageError
	var known *plugin.Error
	var child *childError
	var program *programError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &child):
		return child.code
	case errors.As(err, &program):
		return program.code
	case !errors.As(err, &known):
		return exitFailed
	case known.Params:
		return exitUsage
	}
	switch known.Code {
	case plugin.CodePinnedUnavailable:
		return pinnedExit(known)
	case plugin.CodeNoAccounts, plugin.CodeLoginRequired:
		return exitLogin
	case plugin.CodeAllLimited:
		return exitLimited
	case plugin.CodeStoreUnreadable:
		return exitUnreadable
	}
	return exitFailed
}

// pinnedExit tells a limit, which ends, from a login and from a hand that is
// needed.
func pinnedExit(e *plugin.Error) int {
	switch e.PinnedState() {
	case "needs_login", "suspended":
		return exitLogin
	case "disabled":
		return exitFailed
	}
	return exitLimited
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "codex-rota",
		Short:         "One local pool of your own ChatGPT accounts for OpenCode and the Codex CLI",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          wrapArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true // ours is completionCommand
	root.AddCommand(
		a.addCommand(), a.listCommand(), a.statusCommand(), a.explainCommand(), a.doctorCommand(), a.tokenCommand(), a.exchangeCommand(),
		a.switchCommand(), a.pinCommand(), a.unpinCommand(), a.labelCommand(), a.tagCommand(), a.noteCommand(),
		a.enableCommand(), a.disableCommand(), a.removeCommand(), a.logoutCommand(),
		a.quotaCommand(), a.usageCommand(), a.logsCommand(), a.instructionsCommand(),
		a.installCommand(), a.uninstallCommand(), a.importCommand(), a.exportCommand(), a.purgeCommand(),
		a.serveCommand(), a.proxyCommand(), a.runCommand(), a.mcpCommand(), a.manifestCommand(), a.versionCommand(), a.selfTestCommand(), a.demoCommand(), a.completionCommand(),
	)
	for _, cmd := range root.Commands() {
		cmd.Args = wrapArgs(cmd.Args)
	}
	return root
}

// wrapArgs makes a wrong number of arguments exit code 2.
func wrapArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		check = cobra.NoArgs
	}
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// interruptible ends ctx at Ctrl-C and SIGTERM.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
