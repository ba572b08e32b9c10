package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the accounts, and the hosts, sessions, settings and last errors",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				status, err := s.Status(cmd.Context(), plugin.StatusParams{})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.Out, status)
				}
				return a.printStatus(status)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (a *app) printStatus(status *plugin.Status) error {
	a.printAccounts(status.Accounts, false)
	fmt.Fprintln(a.Out)
	for _, h := range status.Hosts {
		fmt.Fprintf(a.Out, "%-10s %s\n", h.Name, h.Detail)
	}
	fmt.Fprintf(a.Out, "%-10s %d in the last 24 h\n", "sessions", status.Sessions)
	fmt.Fprintf(a.Out, "%-10s %s, transform %s, wait at most %d s\n", "rotation", status.Settings.Rotation, status.Settings.Transform, status.Settings.MaxWaitSeconds)
	fmt.Fprintf(a.Out, "%-10s %s\n", "files", status.Root)
	for _, w := range status.Warnings {
		fmt.Fprintf(a.Out, "%-10s %s\n", "warning", w)
	}
	for _, e := range status.Errors {
		fmt.Fprintf(a.Out, "%-10s %s %s %s\n", "error", e.At.Local().Format("2006-01-02 15:04"), e.Account, e.Reason)
	}
	return nil
}

// hosts says which hosts have codex-rota registered.
func (a *app) hosts() []plugin.HostState {
	state, err := a.openCode().State()
	if err != nil {
		return []plugin.HostState{{Name: plugin.HostOpenCode, Detail: err.Error()}}
	}
	return []plugin.HostState{{Name: plugin.HostOpenCode, Registered: state.Registered, Detail: state.Detail}}
}

func (a *app) openCode() *host.OpenCode {
	return host.NewOpenCode(host.OpenCodeOptions{Home: a.Home, Env: a.Env, Binary: a.Executable, Version: plugin.Version})
}
