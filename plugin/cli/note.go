package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) noteCommand() *cobra.Command {
	return a.whoCommand("note WHO TEXT…", `Keep a line of text with an account; "" takes it away`, cobra.MinimumNArgs(2),
		func(ctx context.Context, s *plugin.Service, acc *plugin.Account, words []string) error {
			note := strings.Join(words, " ")
			if _, err := s.AccountsUpdate(ctx, plugin.AccountsUpdateParams{Account: byID(acc), Note: &note}); err != nil {
				return err
			}
			if note == "" {
				return a.say("%s has no note any more.", plainName(acc))
			}
			return a.say("Noted with %s: %s", plainName(acc), note)
		})
}
