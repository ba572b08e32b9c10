package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) instructionsCommand() *cobra.Command {
	var asJSON, refresh bool
	var model string
	cmd := &cobra.Command{
		Use:   "instructions",
		Short: "Print the Codex instructions for a model, or refresh them",
		Long: "Print the Codex instructions for a model, as they are cached. --refresh asks GitHub first.\n" +
			"Where they came from is said on stderr.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				get := s.CachedInstructions
				if refresh {
					get = s.RefreshInstructions
				}
				text, err := get(cmd.Context(), model)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.Out, struct {
						Schema int    `json:"schema"`
						Model  string `json:"model,omitempty"`
						*plugin.InstructionsResult
					}{1, model, text})
				}
				fmt.Fprintf(a.Err, "codex-rota: %s\n", originOf(text, time.Now()))
				_, err = io.WriteString(a.Out, strings.TrimRight(text.Text, "\n")+"\n")
				return err
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&model, "model", "", "for this model; without it, the first of the catalogue")
	cmd.Flags().BoolVar(&refresh, "refresh", false, "ask GitHub now")
	return cmd
}

// originOf says where a text came from and how old it is.
func originOf(text *plugin.InstructionsResult, now time.Time) string {
	switch {
	case text.FetchedAt == nil:
		return "GitHub could not be asked: this is the text that came with codex-rota"
	case text.Source == "stale":
		return fmt.Sprintf("openai/codex %s, last confirmed %s; a newer one is asked for in the background of the next call", text.Tag, ago(text.FetchedAt, now))
	}
	return fmt.Sprintf("openai/codex %s, confirmed %s", text.Tag, ago(text.FetchedAt, now))
}
