package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) enableCommand() *cobra.Command {
	return a.whoCommand("enable WHO", "Take an account into service again", cobra.ExactArgs(1), a.setEnabled(true))
}

func (a *app) disableCommand() *cobra.Command {
	return a.whoCommand("disable WHO", "Take an account out of service; its tokens stay", cobra.ExactArgs(1), a.setEnabled(false))
}

func (a *app) setEnabled(on bool) func(context.Context, *plugin.Service, *plugin.Account, []string) error {
	return func(ctx context.Context, s *plugin.Service, acc *plugin.Account, _ []string) error {
		result, err := s.AccountsUpdate(ctx, plugin.AccountsUpdateParams{Account: byID(acc), Enabled: &on})
		if err != nil {
			return err
		}
		now := &result.Account
		switch held := heldWords(now.State, now.Reason, now.Until, time.Now()); {
		case !on:
			return a.say("%s is not used until you type: codex-rota enable %d", plainName(acc), now.Position)
		case held != "":
			return a.say("%s is enabled, but cannot serve now: %s.", plainName(acc), held)
		}
		return a.say("%s is in service.", plainName(acc))
	}
}
