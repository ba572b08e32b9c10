package cli

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) quotaCommand() *cobra.Command {
	var asJSON, sensitive, watch bool
	cmd := &cobra.Command{
		Use:   "quota [WHO]",
		Short: "Read the accounts' quota windows; no model call is made",
		Long: "Read the accounts' quota windows from the usage endpoint.\n" +
			"No model call is made and no refresh token is spent.\n" + whoHelp,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeWho,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case watch && asJSON:
				return usagef("--watch draws for people; for a script, run quota --json again")
			case watch && !a.Terminal:
				return usagef("--watch draws on a terminal, and there is none; leave it out")
			}
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				only := ""
				if len(args) > 0 {
					acc, err := s.Lookup(args[0], false)
					if err != nil {
						return err
					}
					only = acc.ID
				}
				if watch {
					return a.watchQuota(cmd.Context(), s, only, sensitive)
				}
				shown := sensitive || !asJSON && !s.Settings().MaskEmail
				quota, err := s.Quota(cmd.Context(), only, shown)
				if quota == nil {
					return err
				}
				if perr := a.printQuota(quota, asJSON, sensitive); perr != nil {
					return perr
				}
				return err
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	sensitiveFlag(cmd, &sensitive)
	cmd.Flags().BoolVar(&watch, "watch", false, "draw again and again, until Ctrl-C")
	return cmd
}

func (a *app) printQuota(q *plugin.QuotaResult, asJSON, sensitive bool) error {
	if asJSON {
		return printJSON(a.Out, struct {
			Schema int `json:"schema"`
			*plugin.QuotaResult
		}{1, q})
	}
	if err := a.printAccounts(q.Accounts, sensitive); err != nil {
		return err
	}
	called := namesOf(q.Accounts)
	for _, f := range q.Failures {
		a.fact("not read", yellow, called.of(f.Account)+": "+f.Reason)
	}
	return nil
}

const (
	watchRedraw = time.Second      // times and what other processes learned
	watchRead   = 60 * time.Second // the usage endpoint
)

// watchQuota draws the quota until Ctrl-C: read anew from OpenAI once a minute,
// and from disk once a second.
func (a *app) watchQuota(ctx context.Context, s *plugin.Service, only string, sensitive bool) error {
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, stop := interruptible(ctx)
	defer stop()
	page := openScreen(a.Out, a.Size)
	defer page.close()
	a.stay()

	fresh := make(chan *plugin.QuotaResult, 1)
	read := func() {
		q, err := s.Quota(ctx, only, sensitive || !s.Settings().MaskEmail)
		if q == nil {
			q = &plugin.QuotaResult{Failures: []plugin.QuotaFailure{{Reason: err.Error()}}}
		}
		select {
		case fresh <- q:
		case <-ctx.Done():
		}
	}
	reading.Go(read)
	redraw, again := time.NewTicker(watchRedraw), time.NewTicker(watchRead)
	defer redraw.Stop()
	defer again.Stop()
	var last *plugin.QuotaResult
	readAt := "reading …"
	for {
		shown, err := s.AccountsList(ctx, plugin.AccountsListParams{IncludeSensitive: sensitive || !s.Settings().MaskEmail})
		if err != nil {
			return err
		}
		if err := page.draw(a, func(frame *app) error {
			return frame.printWatched(shown.Accounts, last, readAt, only, sensitive)
		}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case last = <-fresh:
			readAt = "read at " + time.Now().Format("15:04:05")
		case <-redraw.C:
		case <-again.C:
			reading.Go(read)
		}
	}
}

// printWatched prints one frame: the accounts as they are known now, and which
// could not be read last.
func (a *app) printWatched(accounts []plugin.Account, last *plugin.QuotaResult, readAt, only string, sensitive bool) error {
	now := plugin.QuotaResult{Accounts: slices.DeleteFunc(accounts, func(acc plugin.Account) bool { return only != "" && acc.ID != only })}
	if last != nil {
		now.Failures = last.Failures
	}
	if err := a.say("%s\n", a.style().paint(dim, "codex-rota quota, "+readAt+", Ctrl-C ends")); err != nil {
		return err
	}
	return a.printQuota(&now, false, sensitive)
}
