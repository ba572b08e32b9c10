package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/auth"
	"codex-rota/plugin"
	"codex-rota/pool"
)

type addFlags struct {
	device, paste, noBrowser bool
	label                    string
}

func (a *app) addCommand() *cobra.Command {
	var flags addFlags
	cmd := &cobra.Command{
		Use:     "add",
		Aliases: []string{"login"},
		Short:   "Log an account in; the same seat again is updated, any other is added",
		Long: "Log an account in by browser, or where none can be had by a code that is typed on\n" +
			"another device, or by pasting the address that a browser elsewhere ends on.\n" +
			"The same seat again is updated in place; any other is another account.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error { return a.add(cmd.Context(), s, flags) })
		},
	}
	cmd.Flags().BoolVar(&flags.device, "device", false, "by a code that is typed on another device")
	cmd.Flags().BoolVar(&flags.paste, "paste", false, "by pasting the address that the browser ends on")
	cmd.Flags().BoolVar(&flags.noBrowser, "no-browser", false, "by browser, but do not open it here")
	cmd.Flags().StringVar(&flags.label, "label", "", "the account's label")
	return cmd
}

// loginPlan is how a login is begun.
type loginPlan struct {
	method  string
	browser []string // the command that opens one, nil for none
	why     string   // there is none
}

func (a *app) add(ctx context.Context, s *plugin.Service, flags addFlags) error {
	plan, err := a.planLogin(flags)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	started, err := s.LoginStart(ctx, plugin.LoginStartParams{Method: plan.method, Label: flags.label})
	if err != nil {
		return a.tellUpstream(err)
	}
	wait := loginWait{app: a, service: s, started: started, plan: plan}
	result, err := wait.run(ctx)
	if err != nil {
		return a.tellUpstream(err)
	}
	acc, err := s.Lookup(result.Account.ID, !s.Settings().MaskEmail)
	if err != nil {
		return err
	}
	return a.say("%s", addedWords(acc, pool.AddResult(result.Added)))
}

// planLogin chooses the way to log in: the one asked for, else by browser where
// one can be opened, else what the person chooses. Without a terminal to ask on
// the address is told, and both a browser that comes back and a pasted line count.
func (a *app) planLogin(flags addFlags) (loginPlan, error) {
	chosen := 0
	for _, on := range []bool{flags.device, flags.paste, flags.noBrowser} {
		if on {
			chosen++
		}
	}
	if chosen > 1 {
		return loginPlan{}, usagef("--device, --paste and --no-browser are three ways; give one")
	}
	command, why := a.desk().browser()
	plan := loginPlan{method: plugin.LoginBrowser, browser: command, why: why}
	switch {
	case flags.device:
		return loginPlan{method: plugin.LoginDevice}, nil
	case flags.paste:
		plan.method = plugin.LoginPaste
	case flags.noBrowser:
		return loginPlan{method: plugin.LoginBrowser}, nil
	case why != "" && a.Terminal && a.InTerminal:
		return a.chooseLogin(why)
	}
	return plan, nil
}

// chooseLogin offers the ways that need no browser here.
func (a *app) chooseLogin(why string) (loginPlan, error) {
	fmt.Fprintf(a.Out, "No browser can be opened here: %s.\n"+
		"  d  type a code on another device (--device)\n"+
		"  p  sign in in a browser elsewhere and paste the address that it ends on (--paste)\n", why)
	in := bufio.NewReader(a.In)
	for {
		fmt.Fprint(a.Out, "Which? [d] ")
		line, err := in.ReadString('\n')
		if err != nil {
			fmt.Fprintln(a.Out)
			if errors.Is(err, io.EOF) {
				return loginPlan{}, errors.New("no way to log in was chosen; nothing was changed")
			}
			return loginPlan{}, fmt.Errorf("read the answer: %w", err)
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "", "d", "device":
			return loginPlan{method: plugin.LoginDevice}, nil
		case "p", "paste":
			return loginPlan{method: plugin.LoginPaste, why: why}, nil
		}
	}
}

// tellUpstream shows the person what the sign-in page or server said, which an
// error for hosts never holds.
func (a *app) tellUpstream(err error) error {
	var denied *auth.DeniedError
	var refused *auth.ExchangeError
	switch {
	case errors.As(err, &denied):
		fmt.Fprintf(a.Err, "The sign-in page said: %s\n", printable(denied.Reason()))
	case errors.As(err, &refused):
		fmt.Fprintf(a.Err, "The sign-in failed: %s\n", printable(refused.Error()))
	}
	return err
}

// addedWords say what the login turned out to be.
func addedWords(acc *plugin.Account, added pool.AddResult) string {
	name := plainName(acc)
	var more []string
	for _, detail := range []string{acc.Email, acc.Plan} {
		if detail = printable(detail); detail != "" && detail != name {
			more = append(more, detail)
		}
	}
	if len(more) > 0 {
		name += " (" + strings.Join(more, ", ") + ")"
	}
	switch added {
	case pool.AddedUpdated:
		return "Updated " + name + ": the same seat again, with its new login."
	case pool.AddedHealed:
		return "Healed " + name + ": the same seat again, back in service."
	case pool.AddedSecondSeat:
		return "Added " + name + ": a second seat of a workspace that is here already."
	case pool.AddedSecondWorkspace:
		return "Added " + name + ": a second workspace of an e-mail that is here already."
	}
	return "Added " + name + ": a new account."
}
