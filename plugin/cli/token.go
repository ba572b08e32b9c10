package cli

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

// tokenCommand prints one access token. Its caller may kill it at any time, so a
// refresh that is due runs in a child with a session of its own, which finishes
// and stores what it began.
func (a *app) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token [WHO]",
		Short: "Print one access token for a command-backed provider",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				id, fresh, err := s.TokenAccount(firstOf(args))
				if err != nil {
					return err
				}
				if !fresh {
					if err := a.exchangeApart(cmd.Context(), id); err != nil {
						return err
					}
				}
				token, err := s.StoredToken(id)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(a.Out, token)
				return err
			})
		},
	}
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// exchangeApart runs `codex-rota exchange ID` in a session of its own and waits
// for it; when we are killed it goes on.
func (a *app) exchangeApart(ctx context.Context, id string) error {
	child := exec.CommandContext(ctx, a.Executable, "exchange", id)
	child.Cancel = func() error { return nil } // the exchange is finished whatever becomes of us
	child.Env = a.Environ()
	child.SysProcAttr = ownSession()
	child.Stderr = a.Err
	if err := child.Run(); err != nil {
		return fmt.Errorf("the token could not be renewed: %w", err)
	}
	return nil
}

// exchangeCommand is the child of token: it renews one account's token and
// prints nothing.
func (a *app) exchangeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "exchange ID",
		Short:  "Renew one account's token; used by token",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				return s.RenewToken(cmd.Context(), args[0])
			})
		},
	}
}
