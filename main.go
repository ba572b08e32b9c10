// Command codex-rota keeps one local pool of ChatGPT accounts for OpenCode and
// the Codex CLI.
package main

import (
	"context"
	"os"

	"codex-rota/plugin/cli"
)

func main() { os.Exit(cli.Run(context.Background(), os.Args, cli.OS())) }
