package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) listCommand() *cobra.Command {
	var asJSON, sensitive bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the accounts, their state, quota and resets",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				result, err := s.AccountsList(cmd.Context(), plugin.AccountsListParams{IncludeSensitive: sensitive || !asJSON && !s.Settings().MaskEmail})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.Out, struct {
						Schema   int              `json:"schema"`
						Accounts []plugin.Account `json:"accounts"`
					}{1, result.Accounts})
				}
				a.printAccounts(result.Accounts, sensitive)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&sensitive, "include-sensitive", false, "show e-mails unmasked and the upstream's ids")
	return cmd
}

// printAccounts is the table that list, status and the host's tool show.
func (a *app) printAccounts(accounts []plugin.Account, sensitive bool) {
	if len(accounts) == 0 {
		fmt.Fprintln(a.Out, "There is no account in the pool yet. Type: codex-rota add")
		return
	}
	t := newTable(a.Out, a.style(), "", "ACCOUNT", "PLAN", "STATE", "QUOTA")
	now := time.Now()
	for _, acc := range accounts {
		t.row(marker(acc), accountName(acc), acc.Plan, stateWords(acc, now), quotaWords(acc.Windows, now))
		if sensitive {
			t.row("", acc.ID, acc.AccountID, acc.UserID, acc.Email)
		}
	}
	t.flush()
}

func marker(acc plugin.Account) string {
	switch {
	case acc.Pinned:
		return strconv.Itoa(acc.Position) + " pinned"
	case acc.Preferred:
		return strconv.Itoa(acc.Position) + " first"
	}
	return strconv.Itoa(acc.Position)
}

func accountName(acc plugin.Account) string {
	name := acc.Label
	switch {
	case name == "" && acc.Email != "":
		name = acc.Email
	case name == "":
		name = acc.ID
	}
	if len(acc.Tags) > 0 {
		name += " #" + strings.Join(acc.Tags, " #")
	}
	return name
}

func stateWords(acc plugin.Account, now time.Time) string {
	words := strings.ReplaceAll(acc.State, "_", " ")
	if acc.Until != nil && acc.Until.After(now) {
		words += " until " + clock(*acc.Until, now)
	}
	if acc.Reason != "" && acc.State != "ready" {
		words += " (" + acc.Reason + ")"
	}
	return words
}

func quotaWords(windows []plugin.Window, now time.Time) string {
	var parts []string
	for _, w := range windows {
		if w.WindowMinutes == 0 {
			continue
		}
		used := w.UsedPercent
		if w.ResetAt != nil && !w.ResetAt.After(now) {
			used = 0 // the window has begun anew since it was seen
		}
		name := w.Label
		if w.Name != "primary" && w.Name != "secondary" {
			name = w.Name + " " + name
		}
		part := fmt.Sprintf("%s %s %.0f%%", name, bar(used), used)
		if w.ResetAt != nil && w.ResetAt.After(now) {
			part += " resets " + clock(*w.ResetAt, now)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "not seen yet"
	}
	return strings.Join(parts, "   ")
}
