package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and the protocol",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(a.Out, struct {
					Schema   int    `json:"schema"`
					Name     string `json:"name"`
					Version  string `json:"version"`
					Protocol int    `json:"protocol"`
				}{1, plugin.Name, plugin.Version, plugin.Protocol})
			}
			_, err := fmt.Fprintf(a.Out, "%s %s, protocol %d\n", plugin.Name, plugin.Version, plugin.Protocol)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
