package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

// tokenCommand prints one access token. Its caller may kill it at any time, so a
// refresh that is due runs in a child with a session of its own, which finishes
// and stores what it began.
func (a *app) tokenCommand() *cobra.Command {
	var frontEnd bool
	var port int
	cmd := &cobra.Command{
		Use:   "token [WHO]",
		Short: "Print one access token for a command-backed provider",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if frontEnd {
				if len(args) > 0 {
					return usagef("--front-end takes no WHO: the front end chooses an account for each request")
				}
				return a.frontEndKey(cmd.Context(), port)
			}
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				s.Settle(cmd.Context())
				token, err := a.freshToken(cmd.Context(), s, firstOf(args))
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(a.Out, token)
				return err
			})
		},
	}
	a.rootFlag(cmd)
	cmd.Flags().BoolVar(&frontEnd, "front-end", false, "print the key of the loopback front end for Codex, and start it when none runs")
	cmd.Flags().IntVar(&port, "port", 0, "with --front-end: the port that Codex was configured with")
	return cmd
}

// frontEndKey prints the key that Codex shows to the front end, and nothing else;
// on a failure nothing at all, and the reason goes to stderr and into the log.
// expected is the port that the asking Codex sends its key to, 0 if it did not say.
func (a *app) frontEndKey(ctx context.Context, expected int) error {
	port, nonce, err := a.ensureFrontEnd(ctx)
	var stranger *strangerError
	switch {
	case errors.As(err, &stranger):
		err = a.moveFrontEnd(ctx, stranger)
	case err == nil && expected != 0 && expected != port:
		err = fmt.Errorf("the front end moved to port %d, and this Codex still knows port %d: start Codex again", port, expected)
		err = errors.Join(err, a.moveCodex(ctx, port)) // the config may be as old as what this Codex knows
	}
	if err != nil {
		if log, closer, lerr := a.frontEndLog(); lerr == nil {
			log.Error("token --front-end", "reason", err)
			_ = closer.Close() // the person gets the reason on stderr too
		}
		return err
	}
	_, err = fmt.Fprintln(a.Out, nonce.Reveal())
	return err
}

// freshToken gives a token of the account that who names, else of the one that is
// chosen. One whose refresh is refused for good has left the pool by then: without
// a name the next is tried.
func (a *app) freshToken(ctx context.Context, s *plugin.Service, who string) (string, error) {
	tried := map[string]bool{}
	for {
		id, fresh, err := s.TokenAccount(who)
		if err != nil {
			return "", err
		}
		if !fresh {
			err := a.exchangeApart(ctx, id)
			if exitCode(err) == exitLogin && who == "" && !tried[id] {
				tried[id] = true
				continue
			}
			if err != nil {
				return "", err
			}
		}
		return s.StoredToken(id)
	}
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// exchangeApart runs `codex-rota exchange ID` in a session of its own and waits
// for it; when we are killed it goes on.
func (a *app) exchangeApart(ctx context.Context, id string) error {
	child := exec.CommandContext(ctx, a.Executable, "exchange", id)
	child.Cancel = func() error { return nil } // the exchange is finished whatever becomes of us
	child.Env = a.Environ()
	child.SysProcAttr = ownSession()
	var said bytes.Buffer
	child.Stderr = &said
	err := child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &childError{code: exit.ExitCode(), said: strings.TrimPrefix(strings.TrimSpace(said.String()), "codex-rota: ")}
	}
	if err != nil {
		return fmt.Errorf("the token could not be renewed: %w", err)
	}
	return nil
}

// childError is what a child of this binary said and how it ended: both are ours
// to pass on.
type childError struct {
	code int
	said string
}

func (e *childError) Error() string { return e.said }

// exchangeCommand is the child of token: it renews one account's token and
// prints nothing.
func (a *app) exchangeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "exchange ID",
		Short:  "Renew one account's token; used by token",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				return s.RenewToken(cmd.Context(), args[0])
			})
		},
	}
}
