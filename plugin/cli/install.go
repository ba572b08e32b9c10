package cli

import (
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
		RunE: func(*cobra.Command, []string) error {
			report, err := a.openCode().Install(dryRun)
			if err != nil {
				return fmt.Errorf("install opencode: %w", err)
			}
			fmt.Fprint(a.Out, report)
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the change and make none")
	return cmd
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
