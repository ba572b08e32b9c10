package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) removeCommand() *cobra.Command {
	return a.withdrawCommand("remove", "Forget an account: its record and its tokens, in every copy",
		"Forget %s and its tokens? It can only come back by a new login.", "%s and its tokens are gone, from the backups too.",
		func(ctx context.Context, s *plugin.Service, acc *plugin.Account) error {
			_, err := s.AccountsRemove(ctx, plugin.AccountsRemoveParams{Account: byID(acc)})
			return err
		})
}

func (a *app) logoutCommand() *cobra.Command {
	return a.withdrawCommand("logout", "Drop an account's tokens, in every copy, and keep its record",
		"Drop the tokens of %s? It can only be used again after a new login.", "The tokens of %s are gone, from the backups too. Its record is kept; codex-rota add logs it in again.",
		func(ctx context.Context, s *plugin.Service, acc *plugin.Account) error { return s.Logout(ctx, acc.ID) })
}

// withdrawCommand asks first: a dropped token does not come back.
func (a *app) withdrawCommand(name, short, question, done string, withdraw func(context.Context, *plugin.Service, *plugin.Account) error) *cobra.Command {
	var yes bool
	cmd := a.whoCommand(name+" WHO", short, cobra.ExactArgs(1),
		func(ctx context.Context, s *plugin.Service, acc *plugin.Account, _ []string) error {
			if err := a.confirm(yes, fmt.Sprintf(question, plainName(acc)), name+" "+acc.ID); err != nil {
				return err
			}
			if err := withdraw(ctx, s, acc); err != nil {
				return err
			}
			return a.say(done, plainName(acc))
		})
	yesFlag(cmd, &yes)
	return cmd
}

func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do not ask")
}
