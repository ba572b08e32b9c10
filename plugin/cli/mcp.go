package cli

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/mcp"
)

func (a *app) mcpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Offer the pool's tools to an MCP client on stdin and stdout; started by Codex",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.InTerminal && a.Terminal {
				fmt.Fprint(a.Err, mcpOnTerminal)
				return usagef("mcp is started by an MCP client, not by hand")
			}
			return a.onStreams(cmd.Context(), "", func(ctx context.Context, s *plugin.Service, log hclog.Logger) error {
				return mcp.Serve(ctx, a.In, a.Out, mcp.Options{Tools: s, Version: plugin.Version, Log: log})
			})
		},
	}
	a.rootFlag(cmd)
	return cmd
}

const mcpOnTerminal = `This is codex-rota's server for the Model Context Protocol: it speaks on stdin and stdout.
Codex starts it by itself once it is registered:  codex-rota install codex
Any other MCP client is told the command:         codex-rota mcp
Its tools: list_accounts, quota, switch_account, explain.

`
