package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) purgeCommand() *cobra.Command {
	var logs, cache, all, yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "purge --logs|--cache|--all",
		Short: "Delete local data: logs, caches, or everything, tokens included",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var kind plugin.PurgeKind
			var flags []string
			for _, f := range []struct {
				on   bool
				kind plugin.PurgeKind
				name string
			}{{logs, plugin.PurgeLogs, "--logs"}, {cache, plugin.PurgeCache, "--cache"}, {all, plugin.PurgeAll, "--all"}} {
				if f.on {
					kind |= f.kind
					flags = append(flags, f.name)
				}
			}
			if kind == 0 {
				return usagef("say what to delete: --logs, --cache (instructions, which are fetched again), or --all (the accounts and their tokens too)")
			}
			if err := a.confirm(yes, a.purgeQuestion(kind), "purge "+strings.Join(flags, " ")); err != nil {
				return err
			}
			if kind == plugin.PurgeAll {
				if err := a.stopFrontEnd(cmd.Context()); err != nil {
					return err
				}
			}
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				result, err := s.Purge(cmd.Context(), kind)
				if err != nil {
					return err
				}
				return a.printPurged(result, kind, asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&logs, "logs", false, "the request log")
	cmd.Flags().BoolVar(&cache, "cache", false, "the cached Codex instructions")
	cmd.Flags().BoolVar(&all, "all", false, "everything: accounts, tokens, backups, settings, usage, logs and caches")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) purgeQuestion(kind plugin.PurgeKind) string {
	if kind != plugin.PurgeAll {
		return "Delete this under " + a.root() + "?"
	}
	return "Delete every account with its tokens, and all backups, settings, usage, logs and caches under " + a.root() + "? There is no way back."
}

func (a *app) printPurged(result *plugin.PurgeResult, kind plugin.PurgeKind, asJSON bool) error {
	if asJSON {
		return printJSON(a.Out, struct {
			Schema int `json:"schema"`
			*plugin.PurgeResult
		}{1, result})
	}
	if len(result.Deleted) == 0 {
		fmt.Fprintf(a.Out, "there was nothing to delete under %s\n", a.root())
	}
	for _, name := range result.Deleted {
		fmt.Fprintf(a.Out, "deleted %s\n", printable(name))
	}
	if len(result.LeftAlone) > 0 {
		fmt.Fprintf(a.Out, "left in %s, because it is not ours: %s\n", a.root(), printable(strings.Join(result.LeftAlone, ", ")))
	}
	if kind == plugin.PurgeAll {
		for _, h := range a.hosts() {
			if h.Registered {
				fmt.Fprintf(a.Out, "%s is still registered; codex-rota uninstall %s undoes that\n", h.Name, h.Name)
			}
		}
	}
	return nil
}
