package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) switchCommand() *cobra.Command {
	var clear bool
	cmd := a.whoCommand("switch WHO", "Use an account first for new sessions", func(cmd *cobra.Command, args []string) error {
		if clear {
			return cobra.ExactArgs(0)(cmd, args)
		}
		return cobra.ExactArgs(1)(cmd, args)
	}, a.switchTo)
	cmd.Long += "\nA running session stays with its account. While the account cannot serve, the rotation goes on with the others."
	cmd.Flags().BoolVar(&clear, "clear", false, "leave new sessions to the rotation again")
	toAccount := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !clear {
			return toAccount(cmd, args)
		}
		return a.withService(cmd.Context(), func(s *plugin.Service) error {
			if err := s.Switch(cmd.Context(), ""); err != nil {
				return err
			}
			return a.say("New sessions are left to the rotation again.")
		})
	}
	return cmd
}

func (a *app) switchTo(ctx context.Context, s *plugin.Service, acc *plugin.Account, _ []string) error {
	if err := s.Switch(ctx, acc.ID); err != nil {
		return err
	}
	if err := a.say("New sessions use %s first from now on.", plainName(acc)); err != nil {
		return err
	}
	if held := heldWords(acc.State, acc.Reason, acc.Until, time.Now()); held != "" {
		if err := a.say("It cannot serve now, so the rotation chooses until it can: %s.", held); err != nil {
			return err
		}
	}
	pinned, err := s.Pinned(!s.Settings().MaskEmail)
	if err != nil || pinned == nil || pinned.ID == acc.ID {
		return err
	}
	return a.say("But %s is pinned, and a pin comes first. Type: codex-rota unpin", plainName(pinned))
}
