package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) installCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:       "install opencode",
		Short:     "Register with a host; --dry-run shows the change",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{plugin.HostOpenCode},
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.openCode().Install(dryRun)
			if err != nil {
				return fmt.Errorf("install opencode: %w", err)
			}
			fmt.Fprint(a.Out, report)
			if dryRun || !a.InTerminal {
				return nil
			}
			return a.offerImport(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the change and make none")
	return cmd
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
	var dryRun bool
	cmd := &cobra.Command{
		Use:       "uninstall opencode",
		Short:     "Undo install",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{plugin.HostOpenCode},
		RunE: func(*cobra.Command, []string) error {
			report, err := a.openCode().Uninstall(dryRun)
			if err != nil {
				return fmt.Errorf("uninstall opencode: %w", err)
			}
			fmt.Fprint(a.Out, report)
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the change and make none")
	return cmd
}
