package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) explainCommand() *cobra.Command {
	var asJSON bool
	var p plugin.StatusParams
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Show which account would be chosen now, and why not the others",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				explanation, err := s.Explain(cmd.Context(), p)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.Out, explanation)
				}
				a.printExplanation(explanation)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&p.Model, "model", "", "for a call with this model")
	cmd.Flags().StringVar(&p.Session, "session", "", "for a call of this session")
	return cmd
}

func (a *app) printExplanation(e *plugin.Explanation) {
	now := time.Now()
	switch {
	case e.Chosen != "":
		for _, c := range e.Candidates {
			if c.ID == e.Chosen {
				fmt.Fprintf(a.Out, "%s would be used: %s\n\n", c.Label, e.Reason)
			}
		}
	case e.RetryAt != nil:
		fmt.Fprintf(a.Out, "No account can be used before %s: %s\n\n", clock(*e.RetryAt, now), e.Reason)
	default:
		fmt.Fprintf(a.Out, "No account can be used: %s\n\n", e.Reason)
	}
	if len(e.Candidates) == 0 {
		return
	}
	t := newTable(a.Out, a.style(), "", "ACCOUNT", "STATE", "WINDOW", "HEALTH", "IDLE", "RUNNING", "WHY NOT")
	for _, c := range e.Candidates {
		mark, window, idle := "", "unknown", "unused"
		if c.Chosen {
			mark = "→"
		}
		if c.UsedPercent != nil {
			window = fmt.Sprintf("%s %.0f%%", c.Window, *c.UsedPercent)
			if c.ResetAt != nil {
				window += " resets " + clock(*c.ResetAt, now)
			}
		}
		if c.IdleSeconds != nil {
			idle = span(time.Duration(*c.IdleSeconds) * time.Second)
		}
		state := c.State
		if c.Until != nil {
			state += " until " + clock(*c.Until, now)
		}
		t.row(mark, c.Label, state, window, fmt.Sprint(c.Health), idle, fmt.Sprint(c.Running), c.WhyNot)
	}
	t.flush()
}
