package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) labelCommand() *cobra.Command {
	return a.whoCommand("label WHO LABEL", `Name an account; "" takes the name away`, cobra.MinimumNArgs(2),
		func(ctx context.Context, s *plugin.Service, acc *plugin.Account, words []string) error {
			label := strings.Join(words, " ")
			result, err := s.AccountsUpdate(ctx, plugin.AccountsUpdateParams{Account: byID(acc), Label: &label})
			if err != nil {
				return err
			}
			if label == "" {
				return a.say("%s has no label any more.", printable(nameWithout(acc)))
			}
			if found, err := s.Lookup(label, false); err != nil || found.ID != acc.ID {
				fmt.Fprintf(a.Err, "codex-rota: %q also names another account; this one is told apart by its id %s\n", label, acc.ID)
			}
			return a.say("%s is called %s.", printable(nameWithout(acc)), plainName(&result.Account))
		})
}

// nameWithout is how an account is named apart from its label.
func nameWithout(acc *plugin.Account) string {
	if acc.Email != "" {
		return acc.Email
	}
	return acc.ID
}
