package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
	"codex-rota/pool"
)

// importFlags are those of the import command.
type importFlags struct {
	yes, dryRun, json, sensitive bool
	passphraseFile               string
}

func (a *app) importCommand() *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import FILE|opencode|codex|auto",
		Short: "Take logins over from OpenCode, the Codex CLI, a Node tool or an export",
		Long: `Take logins over into the pool, the newest of each seat.

auto looks into OpenCode's and the Codex CLI's auth.json and the pools of the
Node tools, those of single projects too. opencode and codex look into theirs
only. FILE is an export of codex-rota or a copy of any of these; a file that is
called like one of the words is given as ./auto.

Nothing is ever written into these files. A refresh token works only once: who
else holds one that is imported is told.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				return a.runImport(cmd.Context(), s, args[0], flags)
			})
		},
	}
	jsonFlag(cmd, &flags.json)
	sensitiveFlag(cmd, &flags.sensitive)
	passphraseFlag(cmd, &flags.passphraseFile)
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "show what would be imported and import nothing")
	cmd.Flags().BoolVarP(&flags.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) runImport(ctx context.Context, s *plugin.Service, source string, flags importFlags) error {
	files := a.importFiles()
	wanted := func(f plugin.ImportFile) bool { return source == "auto" || f.From == source }
	if source != "auto" && source != plugin.FromOpenCode && source != plugin.FromCodex {
		named, err := a.namedImport(ctx, source, flags.passphraseFile)
		if err != nil {
			return err
		}
		files = append(files, named)
		wanted = func(f plugin.ImportFile) bool { return f.From == plugin.FromFile }
	}
	plan, err := s.PlanImport(plugin.ImportOptions{Files: files, Wanted: wanted, Placeholder: host.Placeholder,
		IncludeSensitive: flags.sensitive || !flags.json && !s.Settings().MaskEmail})
	if err != nil {
		return err
	}
	if !flags.json {
		if err := a.printImportPlan(plan); err != nil {
			return err
		}
	}
	if take := toTake(plan); take > 0 && !flags.dryRun {
		if a.InTerminal {
			if err := a.confirm(flags.yes, fmt.Sprintf("Import %s?", plural(take, "login")), "import "+source); err != nil {
				return err
			}
		}
		err = s.Import(ctx, plan)
	}
	if flags.json {
		err = errors.Join(err, a.printImportJSON(plan))
	} else if !flags.dryRun {
		a.printImported(plan)
	}
	if err != nil {
		return err
	}
	return importVerdict(plan, source)
}

// namedImport reads the file that the person named, decrypted if need be.
func (a *app) namedImport(ctx context.Context, path, passphraseFile string) (plugin.ImportFile, error) {
	data, err := readBounded(path)
	if err != nil {
		return plugin.ImportFile{}, fmt.Errorf("import: %w", err)
	}
	if plugin.Sealed(data) {
		passphrase, err := a.passphrase(ctx, passphraseFile, "passphrase of "+path+": ", false)
		if err != nil {
			return plugin.ImportFile{}, err
		}
		if data, err = plugin.Unseal(data, passphrase); err != nil {
			return plugin.ImportFile{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	return plugin.ImportFile{From: plugin.FromFile, Path: path, Data: data}, nil
}

func toTake(plan *plugin.ImportPlan) (n int) {
	for i := range plan.Logins {
		if plan.Logins[i].Action == plugin.ImportTake {
			n++
		}
	}
	return n
}

// importVerdict is exit code 1 when the pool has none of what was asked for.
func importVerdict(plan *plugin.ImportPlan, source string) error {
	refused := 0
	for i := range plan.Logins {
		if plan.Logins[i].Action == plugin.ImportRefuse {
			refused++
		}
	}
	switch {
	case len(plan.Logins) == 0 && len(plan.Unreadable) == 0:
		return fmt.Errorf("there is no login to import from %s; codex-rota add logs one in", source)
	case refused == len(plan.Logins):
		return errSaid
	}
	return nil
}

func (a *app) printImportJSON(plan *plugin.ImportPlan) error {
	return printJSON(a.Out, struct {
		Schema int `json:"schema"`
		*plugin.ImportPlan
		Warnings []string `json:"warnings"`
	}{1, plan, sharedWarnings(plan)})
}

func (a *app) printImportPlan(plan *plugin.ImportPlan) error {
	for _, file := range plan.Unreadable {
		fmt.Fprintf(a.Err, "codex-rota: %s cannot be used: %s\n", file.Path, file.Reason)
	}
	if len(plan.Logins) == 0 {
		return nil
	}
	t := newTable(a.Out, a.style(), column{head: "LOGIN", flex: true}, column{head: "PLAN", drop: 2}, column{head: "FOUND IN", flex: true}, column{head: "EXPIRES", drop: 1}, column{head: "IMPORT"})
	now := time.Now()
	for i := range plan.Logins {
		login := &plan.Logins[i]
		expires := "not known"
		switch {
		case login.ExpiresAt != nil && login.ExpiresAt.After(now):
			expires = until(*login.ExpiresAt, now)
		case login.ExpiresAt != nil:
			expires = ago(login.ExpiresAt, now)
		}
		word, with := "yes", green
		switch login.Action {
		case plugin.ImportKeep:
			word, with = "no need", dim
		case plugin.ImportRefuse:
			word, with = "no", red
		}
		t.row(cell{loginName(login), bold}, cell{text: printable(login.Plan)}, cell{text: a.shortPath(login.Path)}, cell{text: expires}, cell{word, with})
		if login.Reason != "" {
			t.note(printable(login.Reason), dim)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, warning := range sharedWarnings(plan) {
		fmt.Fprintf(a.Err, "\nwarning: %s\n", a.shortPath(warning))
	}
	return nil
}

// loginName is how a login that was found is named to a person.
func loginName(login *plugin.ImportLogin) string {
	switch {
	case login.Label != "":
		return printable(login.Label)
	case login.Email != "":
		return printable(login.Email)
	}
	return fmt.Sprintf("login %d", login.Position)
}

// shortPath writes the home folder as ~.
func (a *app) shortPath(text string) string {
	if a.Home == "" {
		return printable(text)
	}
	return printable(strings.ReplaceAll(text, a.Home+"/", "~/"))
}

func (a *app) printImported(plan *plugin.ImportPlan) {
	words := map[pool.AddResult]string{
		pool.AddedNew: "a new account", pool.AddedUpdated: "the seat was there, its login was replaced",
		pool.AddedHealed: "the seat was there and needed a login", pool.AddedSecondSeat: "another seat of a workspace that is there",
		pool.AddedSecondWorkspace: "another workspace of an e-mail that is there",
	}
	for i := range plan.Logins {
		if login := &plan.Logins[i]; login.ID != "" {
			fmt.Fprintf(a.Out, "imported %s: %s (%s)\n", loginName(login), words[login.Result], login.ID)
		} else if login.Action == plugin.ImportRefuse {
			fmt.Fprintf(a.Err, "not imported %s: %s\n", loginName(login), printable(login.Reason))
		}
	}
}

// sharedWarnings say, once for each file, who holds a refresh token that the pool
// holds too, and how to end that without ending the login.
func sharedWarnings(plan *plugin.ImportPlan) []string {
	warnings := []string{}
	told := map[plugin.ImportHolder]bool{}
	for i := range plan.Logins {
		login := &plan.Logins[i]
		if login.Action == plugin.ImportRefuse || login.Action == plugin.ImportKeep && login.Reason != plugin.ReasonInPool {
			continue
		}
		for _, holder := range login.SharedWith {
			if !told[holder] {
				told[holder] = true
				warnings = append(warnings, sharedWarning(holder))
			}
		}
	}
	return warnings
}

func sharedWarning(holder plugin.ImportHolder) string {
	const burns = "A refresh token works once: whichever program renews it first leaves the other with a dead one, and presenting that can end the login for both. "
	switch holder.From {
	case plugin.FromOpenCode:
		return "OpenCode holds the same refresh token (" + holder.Path + "). " + burns +
			"Let the pool be the only one: opencode auth logout, then codex-rota install opencode"
	case plugin.FromCodex:
		return "the Codex CLI holds the same refresh token (" + holder.Path + "). " + burns +
			"Move that file away. Do not type codex logout or codex login there: both revoke the token at OpenAI, for the pool too"
	case plugin.FromPool:
		return "another tool's pool holds the same refresh token (" + holder.Path + "). " + burns +
			"Do not use that tool any more, or take the account out of it without logging out"
	}
	return holder.Path + " still holds the same refresh token. " + burns + "Delete that file, and import it nowhere else"
}
