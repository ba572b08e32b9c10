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
				return a.printAccounts(result.Accounts, sensitive)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	sensitiveFlag(cmd, &sensitive)
	return cmd
}

func jsonFlag(cmd *cobra.Command, on *bool) {
	cmd.Flags().BoolVar(on, "json", false, "print one JSON object")
}

func sensitiveFlag(cmd *cobra.Command, on *bool) {
	cmd.Flags().BoolVar(on, "include-sensitive", false, "show e-mails unmasked and the upstream's ids")
}

const emptyPool = "There is no account in the pool yet. Type: codex-rota add"

// printAccounts is the table that list, status, quota and the host's tools show.
func (a *app) printAccounts(accounts []plugin.Account, sensitive bool) error {
	if len(accounts) == 0 {
		_, err := fmt.Fprintln(a.Out, emptyPool)
		return err
	}
	t := newTable(a.Out, a.style(), column{}, column{head: "ACCOUNT", flex: true}, column{head: "PLAN", drop: 3}, column{head: "STATE"},
		column{head: "LAST USED", drop: 1}, column{head: "WINDOW", flex: true}, column{head: "QUOTA", drop: 4}, column{right: true}, column{head: "RESETS", drop: 5})
	now := time.Now()
	for i := range accounts {
		acc := &accounts[i]
		who := []cell{{text: strconv.Itoa(acc.Position)}, {accountName(acc), bold}, {text: printable(acc.Plan)},
			{stateWord(acc.State), stateInk(acc.State)}, {text: ago(acc.LastUsed, now)}}
		for _, quota := range quotaCells(acc.Windows, now) {
			t.row(append(who, quota...)...)
			who = make([]cell, len(who)) // further windows stand below the first
		}
		for _, note := range accountNotes(acc, sensitive, now) {
			t.note(note, dim)
		}
	}
	return t.flush()
}

// accountName is how an account is named to a person: its label, else its e-mail
// (masked or not, as it was given), else its id.
func accountName(acc *plugin.Account) string {
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
	return printable(name)
}

func stateWord(state string) string { return strings.ReplaceAll(state, "_", " ") }

func stateInk(state string) ink {
	switch state {
	case "ready":
		return green
	case "limited", "cooling":
		return yellow
	case "disabled":
		return dim
	}
	return red
}

// accountNotes is what does not fit into columns.
func accountNotes(acc *plugin.Account, sensitive bool, now time.Time) []string {
	var notes []string
	switch {
	case acc.Pinned:
		notes = append(notes, "pinned: no other account is used")
	case acc.Preferred:
		notes = append(notes, "used first for new sessions")
	}
	if held := heldWords(acc.State, acc.Reason, acc.Until, now); held != "" {
		notes = append(notes, held)
	}
	if acc.Note != "" {
		notes = append(notes, printable(acc.Note))
	}
	if sensitive {
		notes = append(notes, printable(strings.Join(strings.Fields(strings.Join([]string{acc.Email, acc.ID, acc.AccountID, acc.UserID}, " ")), "  ")))
	}
	return notes
}

// heldWords says why an account is not ready and when it will be, "" when it is.
func heldWords(state, reason string, end *time.Time, now time.Time) string {
	if state == "ready" {
		return ""
	}
	words := stateWord(state)
	if end != nil && end.After(now) {
		words += ", ready " + until(*end, now)
	}
	if reason != "" {
		words += ": " + printable(reason)
	}
	if state == "needs_login" {
		words += "; codex-rota add logs it in again"
	}
	return words
}

// quotaCells gives a row of cells for each window, and one for an account whose
// windows are not known.
func quotaCells(windows []plugin.Window, now time.Time) [][]cell {
	var rows [][]cell
	for _, w := range windows {
		if w.WindowMinutes == 0 {
			continue // disabled on the plan
		}
		name := w.Label
		if w.Name != "primary" && w.Name != "secondary" {
			name = printable(w.Name) + " " + name
		}
		rows = append(rows, append([]cell{{text: name}}, windowCells(w.UsedPercent, w.ResetAt, now)...))
	}
	if rows == nil {
		return [][]cell{{{"not seen yet", dim}, {}, {}, {}}}
	}
	return rows
}

// windowCells are a window's bar, percentage and reset.
func windowCells(used float64, resetAt *time.Time, now time.Time) []cell {
	resets := ""
	switch {
	case resetAt != nil && !resetAt.After(now):
		used = 0 // the window has begun anew since it was seen
	case resetAt != nil:
		resets = until(*resetAt, now)
	}
	with := green
	switch {
	case used >= 100:
		with = red
	case used >= 80:
		with = yellow
	}
	return []cell{{bar(used), with}, {percent(used), with}, {text: resets}}
}
