package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) pinCommand() *cobra.Command {
	return a.whoCommand("pin WHO", "Use only this account, whatever else is set", cobra.ExactArgs(1),
		func(ctx context.Context, s *plugin.Service, acc *plugin.Account, _ []string) error {
			if err := s.Pin(ctx, acc.ID); err != nil {
				return err
			}
			if err := a.say("Only %s is used from now on. To end that: codex-rota unpin", plainName(acc)); err != nil {
				return err
			}
			if held := heldWords(acc.State, acc.Reason, acc.Until, time.Now()); held != "" {
				return a.say("It cannot serve now, so calls fail until it can: %s.", held)
			}
			return nil
		})
}

func (a *app) unpinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unpin",
		Short: "End a pin: the rotation uses all accounts again",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				pinned, err := s.Pinned(!s.Settings().MaskEmail)
				if err != nil {
					return err
				}
				if pinned == nil {
					return a.say("No account is pinned.")
				}
				if err := s.Pin(cmd.Context(), ""); err != nil {
					return err
				}
				return a.say("%s is no longer pinned: the rotation uses all accounts again.", plainName(pinned))
			})
		},
	}
}
