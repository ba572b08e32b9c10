package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) tagCommand() *cobra.Command {
	var remove, clear bool
	cmd := a.whoCommand("tag WHO TAG…", "Tag an account, or take tags away", func(cmd *cobra.Command, args []string) error {
		switch {
		case clear && remove:
			return errors.New("--remove names tags, --clear takes all; give one of them")
		case clear:
			return cobra.MinimumNArgs(1)(cmd, args)
		}
		return cobra.MinimumNArgs(2)(cmd, args)
	}, func(ctx context.Context, s *plugin.Service, acc *plugin.Account, words []string) error {
		for i := range words {
			words[i] = strings.TrimPrefix(words[i], "#")
		}
		change := plugin.Tags{Clear: clear, Add: words}
		if remove {
			change.Add, change.Remove = nil, words
		}
		tags, err := s.Tag(ctx, acc.ID, change)
		if err != nil {
			return err
		}
		if len(tags) == 0 {
			return a.say("%s has no tags.", plainName(acc))
		}
		return a.say("%s is tagged #%s.", plainName(acc), strings.Join(tags, " #"))
	})
	cmd.Flags().BoolVar(&remove, "remove", false, "take these tags away")
	cmd.Flags().BoolVar(&clear, "clear", false, "take all tags away first")
	return cmd
}
