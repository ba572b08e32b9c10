package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/auth"
	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/plugin/host"
	"codex-rota/plugin/proxy"
	"codex-rota/pool"
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON, fix bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check files, locks, clock, network, hosts and accounts; --fix mends what is safe",
		Long: "Check files, modes, locks, clock, network, hosts and accounts, a line each, with the command that mends it.\n" +
			"It sends no token and makes no model call. Exit code 1 if a line says fail, 5 if the accounts cannot be read.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.doctor(ctx, asJSON, fix)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&fix, "fix", false, "mend what is safe to mend, and say what was done")
	return cmd
}

// errNoRefresh is what the doctor's store meets if it ever tried a refresh.
var errNoRefresh = errors.New("the doctor sends no refresh token")

// doctor builds its own objects: the service's would not come up on a root that
// is refused, and would mend modes before anybody looked at them.
func (a *app) doctor(ctx context.Context, asJSON, fix bool) (err error) {
	root, log := a.root(), a.quietLog()
	settings, warnings := plugin.LoadSettings(filepath.Join(root, "settings.json"), a.Env)
	store, err := pool.OpenStore(pool.Options{Dir: root, Log: log,
		Refresh: func(context.Context, logging.Secret) (auth.Tokens, error) { return auth.Tokens{}, errNoRefresh }})
	if err != nil {
		return err
	}
	book := openBook(root, store, log)
	defer func() { err = errors.Join(err, store.Close(ctx), book.Close(ctx)) }()
	d := plugin.Doctor{
		Root: root, Store: store, Book: book, Settings: settings, Warnings: warnings, HTTP: httpClient(), Now: time.Now,
		Sensitive: !asJSON && !settings.MaskEmail, Others: a.importFiles(), Placeholder: host.Placeholder, Hosts: a.checkHosts, Fix: fix,
		LongLocks: []string{proxy.RunLock},
	}
	diagnosis := d.Examine(ctx)
	if asJSON {
		if err := printJSON(a.Out, diagnosis); err != nil {
			return err
		}
	} else {
		a.printDiagnosis(diagnosis)
	}
	switch {
	case diagnosis.Unreadable:
		return errors.Join(errSaid, &plugin.Error{Code: plugin.CodeStoreUnreadable})
	case !diagnosis.Passed:
		return errSaid
	}
	return nil
}

func (a *app) printDiagnosis(d *plugin.Diagnosis) {
	inks := map[string]ink{plugin.CheckOK: green, plugin.CheckWarn: yellow, plugin.CheckFail: red}
	const resultWidth, nameWidth = 4, 12
	s := a.style()
	const indent = resultWidth + nameWidth + 2
	print := func(result, name, text string, with ink) {
		for i, line := range wrap(printable(text), max(s.width-indent, 0)) {
			if i > 0 {
				result, name = "", ""
			}
			fmt.Fprintf(a.Out, "%s %-*s %s\n", s.paint(inks[result], fmt.Sprintf("%-*s", resultWidth, result)), nameWidth, name, s.paint(with, line))
		}
	}
	for _, c := range d.Checks {
		print(c.Result, c.Name, c.Detail, noInk)
		if c.Fixed != "" {
			print("", "", "mended: "+c.Fixed, green)
		}
		if c.Mend != "" {
			print("", "", "→ "+c.Mend, bold)
		}
	}
}
