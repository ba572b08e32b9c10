package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
)

func (a *app) installCommand() *cobra.Command {
	var o installFlags
	cmd := &cobra.Command{
		Use:       "install opencode|codex",
		Short:     "Register with a host; --dry-run shows the change",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{plugin.HostOpenCode, plugin.HostCodex},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context()) // Codex's editor has a copy to clear away
			report, err := o.of(args[0], a.installOpenCode, a.installCodex)(ctx, o)
			stop()
			if err != nil {
				return fmt.Errorf("install %s: %w", args[0], err)
			}
			fmt.Fprint(a.Out, report)
			if o.dryRun || !a.InTerminal || args[0] != plugin.HostOpenCode {
				return nil
			}
			return a.offerImport(cmd.Context())
		},
	}
	o.on(cmd)
	return cmd
}

// installFlags are those of install and uninstall.
type installFlags struct {
	dryRun      bool
	profileOnly bool // Codex alone has profiles
	keepDefault bool // Codex's default provider stays what it is
}

func (o *installFlags) on(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show the change and make none")
	cmd.Flags().BoolVar(&o.profileOnly, "profile-only", false, "codex: the profile codex-rota alone, for codex -p codex-rota; config.toml is left as it is")
}

type hostAction func(context.Context, installFlags) (host.Report, error)

// of chooses what to do for a host.
func (o *installFlags) of(name string, openCode, codex hostAction) hostAction {
	switch {
	case name == plugin.HostCodex:
		return codex
	case o.profileOnly:
		return func(context.Context, installFlags) (host.Report, error) {
			return host.Report{}, usagef("--profile-only is for codex: OpenCode has no profiles")
		}
	}
	return openCode
}

func (a *app) installOpenCode(_ context.Context, o installFlags) (host.Report, error) {
	return a.openCode().Install(o.dryRun)
}

func (a *app) uninstallOpenCode(_ context.Context, o installFlags) (host.Report, error) {
	return a.openCode().Uninstall(o.dryRun)
}

// offerImport asks whether OpenCode's own login shall go into the pool; then the
// placeholder takes its place, so that one program alone holds it (DESIGN 9).
func (a *app) offerImport(ctx context.Context) error {
	own, err := a.openCode().OwnLogin()
	if err != nil || own.IsZero() {
		return err
	}
	if a.confirm(false, "Take OpenCode's own ChatGPT login into the pool?", "import opencode") != nil {
		return nil // no is an answer
	}
	return a.withService(ctx, func(s *plugin.Service) error {
		if err := a.runImport(ctx, s, plugin.FromOpenCode, importFlags{yes: true}); err != nil {
			return err
		}
		report, err := a.openCode().TakeOver(own)
		if err != nil {
			return fmt.Errorf("install opencode: %w", err)
		}
		fmt.Fprint(a.Out, report)
		return nil
	})
}

func (a *app) uninstallCommand() *cobra.Command {
	var o installFlags
	cmd := &cobra.Command{
		Use:       "uninstall opencode|codex",
		Short:     "Undo install",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{plugin.HostOpenCode, plugin.HostCodex},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context()) // Codex's editor has a copy to clear away
			report, err := o.of(args[0], a.uninstallOpenCode, a.uninstallCodex)(ctx, o)
			stop()
			if err != nil {
				return fmt.Errorf("uninstall %s: %w", args[0], err)
			}
			fmt.Fprint(a.Out, report)
			return nil
		},
	}
	o.on(cmd)
	return cmd
}
