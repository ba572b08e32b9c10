package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON, sensitive bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the accounts, and the hosts, sessions, settings and last errors",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				status, err := s.Status(cmd.Context(), plugin.StatusParams{IncludeSensitive: sensitive || !asJSON && !s.Settings().MaskEmail})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.Out, status)
				}
				return a.printStatus(status, sensitive)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	sensitiveFlag(cmd, &sensitive)
	return cmd
}

func (a *app) printStatus(status *plugin.Status, sensitive bool) error {
	if err := a.printAccounts(status.Accounts, sensitive); err != nil {
		return err
	}
	fmt.Fprintln(a.Out)
	for _, h := range status.Hosts {
		a.fact(h.Name, noInk, h.Detail)
	}
	a.fact("sessions", noInk, fmt.Sprintf("%d in the last 24 h", status.Sessions))
	a.fact("rotation", noInk, fmt.Sprintf("%s, transform %s, wait at most %d s", status.Settings.Rotation, status.Settings.Transform, status.Settings.MaxWaitSeconds))
	a.fact("files", noInk, status.Root)
	for _, w := range status.Warnings {
		a.fact("warning", yellow, w)
	}
	names, now := namesOf(status.Accounts), time.Now()
	for _, e := range status.Errors {
		about := ago(&e.At, now)
		if e.Account != "" {
			about += ", " + names.of(e.Account)
		}
		a.fact("error", red, about+": "+e.Reason)
	}
	return nil
}

// fact prints one line of status: a word, and what there is to say about it.
func (a *app) fact(word string, with ink, text string) {
	const wordWidth = 10
	s := a.style()
	for i, line := range wrap(printable(text), max(s.width-wordWidth-1, 0)) {
		if i > 0 {
			word = ""
		}
		fmt.Fprintf(a.Out, "%s %s\n", s.paint(with, fmt.Sprintf("%-*s", wordWidth, word)), line)
	}
}

// names tells accounts' names by their ids.
type names map[string]string

func namesOf(accounts []plugin.Account) names {
	out := make(names, len(accounts))
	for i := range accounts {
		acc := accounts[i]
		acc.Tags = nil
		out[acc.ID] = accountName(&acc)
	}
	return out
}

// of is the id itself for an account that is gone.
func (n names) of(id string) string {
	if name, ok := n[id]; ok {
		return name
	}
	return printable(id)
}

// hosts says which hosts have codex-rota registered.
func (a *app) hosts() []plugin.HostState {
	openCode := plugin.HostState{Name: plugin.HostOpenCode}
	if state, err := a.openCode().State(); err != nil {
		openCode.Detail = err.Error()
	} else {
		openCode.Registered, openCode.Detail = state.Registered, state.Detail
	}
	return []plugin.HostState{openCode, a.codexState()}
}

func (a *app) openCode() *host.OpenCode {
	return host.NewOpenCode(host.OpenCodeOptions{Home: a.Home, Env: a.Env, Binary: a.Executable, Version: plugin.Version})
}
