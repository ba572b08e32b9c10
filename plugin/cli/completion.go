package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a shell's completion script",
		Long: `Print a shell's completion script. To have it in every new shell:

  bash:  codex-rota completion bash > ~/.local/share/bash-completion/completions/codex-rota
  zsh:   codex-rota completion zsh > "${fpath[1]}/_codex-rota"
  fish:  codex-rota completion fish > ~/.config/fish/completions/codex-rota.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			}
			return root.GenFishCompletion(a.Out, true)
		},
	}
}
