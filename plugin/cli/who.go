package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

// whoHelp ends the help of each command that takes an account.
const whoHelp = "WHO is an account's id, label, e-mail or position in the list."

// whoCommand is a command whose first argument names an account. f gets it found
// already; more than one match is an error that lists them.
func (a *app) whoCommand(use, short string, args cobra.PositionalArgs, f func(context.Context, *plugin.Service, *plugin.Account, []string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ".\n" + whoHelp,
		Args:  args,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				acc, err := s.Lookup(args[0], !s.Settings().MaskEmail)
				if err != nil {
					return err
				}
				return f(cmd.Context(), s, acc, args[1:])
			})
		},
		ValidArgsFunction: a.completeWho,
	}
}

// completeWho offers the accounts as the first argument: by label where that is
// one word of its own, else by id. Whatever fails offers nothing.
func (a *app) completeWho(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var offers []string
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_ = a.withService(cmd.Context(), func(s *plugin.Service) error {
		result, err := s.AccountsList(cmd.Context(), plugin.AccountsListParams{})
		if err != nil {
			return err
		}
		for _, acc := range result.Accounts {
			word := acc.Label
			if found, err := s.Lookup(word, false); err != nil || found.ID != acc.ID || strings.ContainsAny(word, " '\"\\$:\t") {
				word = acc.ID
			}
			offers = append(offers, fmt.Sprintf("%s\t%s, %s", word, accountName(&acc), stateWord(acc.State)))
		}
		return nil
	})
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// byID names the account to the service, whatever becomes of the list meanwhile.
func byID(acc *plugin.Account) json.RawMessage {
	text, _ := json.Marshal(acc.ID) // a string always encodes
	return text
}

// say prints one sentence for the person.
func (a *app) say(format string, args ...any) error {
	_, err := fmt.Fprintf(a.Out, format+"\n", args...)
	return err
}

// plainName is the account's name without its tags.
func plainName(acc *plugin.Account) string {
	bare := *acc
	bare.Tags = nil
	return accountName(&bare)
}
