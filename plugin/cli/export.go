package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/pool/atomicfile"
)

func (a *app) exportCommand() *cobra.Command {
	var plain, yes, asJSON bool
	var passphraseFile string
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the accounts with their tokens into an encrypted file",
		Long: `Write the accounts with their tokens into a file (mode 0600), encrypted with a
passphrase in the format of age (age -d opens it too). import reads it.

A refresh token works only once: use the export to move to another machine or to
keep a copy, not to run two pools side by side.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if plain && passphraseFile != "" {
				return usagef("--plain takes no passphrase")
			}
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				export, err := s.ExportAccounts()
				if err != nil {
					return err
				}
				path := args[0]
				if err := mayWrite(path, yes); err != nil {
					return err
				}
				data := export.Data
				if !plain {
					if data, err = a.seal(cmd.Context(), data, passphraseFile); err != nil {
						return err
					}
				}
				if err := writeExport(path, data, yes); err != nil {
					return fmt.Errorf("export: %w", err)
				}
				return a.printExport(path, export, plain, asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	passphraseFlag(cmd, &passphraseFile)
	cmd.Flags().BoolVar(&plain, "plain", false, "do not encrypt: whoever reads the file can use the accounts")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "write over a file that is there")
	return cmd
}

func (a *app) seal(ctx context.Context, data []byte, passphraseFile string) ([]byte, error) {
	passphrase, err := a.passphrase(ctx, passphraseFile, "passphrase for the export: ", true)
	if err != nil {
		return nil, err
	}
	return plugin.Seal(data, passphrase)
}

// mayWrite refuses a path that is taken, before anybody types a passphrase.
func mayWrite(path string, yes bool) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && yes:
		return nil
	case err != nil:
		return fmt.Errorf("export: %w", err)
	}
	return fmt.Errorf("%s is there already and was left as it is; name another file, or add --yes to write over it", path)
}

// writeExport makes the file, or replaces it in one step.
func writeExport(path string, data []byte, replace bool) error {
	if replace {
		return atomicfile.Write(path, data, 0o600)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // half an export is of no use
	}
	return nil
}

func (a *app) printExport(path string, export *plugin.Export, plain, asJSON bool) error {
	if asJSON {
		return printJSON(a.Out, struct {
			Schema    int      `json:"schema"`
			Path      string   `json:"path"`
			Encrypted bool     `json:"encrypted"`
			Accounts  int      `json:"accounts"`
			LeftOut   []string `json:"leftOut"`
		}{1, path, !plain, export.Accounts, export.LeftOut})
	}
	fmt.Fprintf(a.Out, "%s written to %s\n", plural(export.Accounts, "account"), path)
	if len(export.LeftOut) > 0 {
		fmt.Fprintf(a.Out, "left out, because they need a login: %s\n", strings.Join(export.LeftOut, ", "))
	}
	if plain {
		fmt.Fprintln(a.Err, "warning: the tokens in it are in clear text; whoever reads the file can use the accounts")
	}
	fmt.Fprintln(a.Err, "A refresh token works once: import this where this pool is no longer used, then delete it.")
	return nil
}
