package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) explainCommand() *cobra.Command {
	var asJSON, sensitive bool
	var p plugin.StatusParams
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Show which account would be chosen now, and why not the others",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				p.IncludeSensitive = sensitive || !asJSON && !s.Settings().MaskEmail
				explanation, err := s.Explain(cmd.Context(), p)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.Out, explanation)
				}
				return a.printExplanation(explanation)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	sensitiveFlag(cmd, &sensitive)
	cmd.Flags().StringVar(&p.Model, "model", "", "for a call with this model")
	cmd.Flags().StringVar(&p.Session, "session", "", "for a call of this session")
	return cmd
}

func (a *app) printExplanation(e *plugin.Explanation) error {
	now, s := time.Now(), a.style()
	if len(e.Candidates) == 0 {
		_, err := fmt.Fprintln(a.Out, emptyPool)
		return err
	}
	switch {
	case e.Chosen != "":
		for i := range e.Candidates {
			if c := &e.Candidates[i]; c.Chosen {
				fmt.Fprintf(a.Out, "%s would be used: %s\n\n", s.paint(bold, printable(c.Label)), e.Reason)
			}
		}
	case e.RetryAt != nil:
		fmt.Fprintf(a.Out, "No account can be used now, the first one again %s: %s\n\n", until(*e.RetryAt, now), e.Reason)
	default:
		fmt.Fprintf(a.Out, "No account can be used: %s\n\n", e.Reason)
	}
	t := newTable(a.Out, s, column{}, column{head: "ACCOUNT", flex: true}, column{head: "STATE"},
		column{head: "WINDOW"}, column{head: "QUOTA", drop: 1}, column{right: true}, column{head: "RESETS", drop: 5},
		column{head: "HEALTH", right: true, drop: 4}, column{head: "IDLE", drop: 3}, column{head: "RUNNING", right: true, drop: 2})
	for i := range e.Candidates {
		c := &e.Candidates[i]
		mark, idle := "", "unused"
		if c.Chosen {
			mark = "→"
		}
		if c.IdleSeconds != nil {
			idle = span(time.Duration(*c.IdleSeconds) * time.Second)
		}
		quota := []cell{{"not seen yet", dim}, {}, {}, {}}
		if c.UsedPercent != nil {
			quota = append([]cell{{text: c.Window}}, windowCells(*c.UsedPercent, c.ResetAt, now)...)
		}
		row := append([]cell{{mark, green}, {printable(c.Label), bold}, {stateWord(c.State), stateInk(c.State)}}, quota...)
		t.row(append(row, cell{text: fmt.Sprint(c.Health)}, cell{text: idle}, cell{text: fmt.Sprint(c.Running)})...)
		for _, note := range candidateNotes(c, now) {
			t.note(note, dim)
		}
	}
	return t.flush()
}

func candidateNotes(c *plugin.ExplainedAccount, now time.Time) []string {
	var notes []string
	switch held := heldWords(c.State, c.WhyNot, c.Until, now); {
	case held != "":
		notes = append(notes, held)
	case c.WhyNot != "":
		notes = append(notes, printable(c.WhyNot))
	}
	if len(c.NotFor) > 0 {
		notes = append(notes, "not for "+printable(strings.Join(c.NotFor, ", "))+" now")
	}
	return notes
}
