package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
)

func (a *app) usageCommand() *cobra.Command {
	var asJSON bool
	var by string
	since := sinceFlag{text: "24h"}
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Sum the calls that were made: tokens, cache hits, switches",
		Long: "Sum the calls that were made, from the local ledger: tokens, the share of the input that came from\n" +
			"the prompt cache, and switches, the calls that a session made on another account than the one before.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				usage, err := s.Usage(cmd.Context(), since.before(time.Now()), by)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.Out, usage)
				}
				called, err := accountNames(cmd.Context(), s)
				if err != nil {
					return err
				}
				return a.printUsage(usage, called)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().Var(&since, "since", "how far back: 24h, 7d, 4w, or a day like 2026-01-31")
	cmd.Flags().StringVar(&by, "by", plugin.ByAccount, "group by "+strings.Join(plugin.UsageKinds(), ", "))
	// The only error is a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(plugin.UsageKinds(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// accountNames are the names for a person, e-mails masked when that is set.
func accountNames(ctx context.Context, s *plugin.Service) (names, error) {
	result, err := s.AccountsList(ctx, plugin.AccountsListParams{IncludeSensitive: !s.Settings().MaskEmail})
	if err != nil {
		return nil, err
	}
	return namesOf(result.Accounts), nil
}

func (a *app) printUsage(u *plugin.Usage, called names) error {
	defer func() {
		if u.Unreadable > 0 {
			fmt.Fprintf(a.Err, "codex-rota: %s of the ledger could not be read and left out\n", plural(u.Unreadable, "line"))
		}
	}()
	if u.Total.Calls == 0 {
		return a.say("No call was made since %s.", clock(u.Since, time.Now()))
	}
	t := newTable(a.Out, a.style(), column{head: strings.ToUpper(u.By), flex: true}, column{head: "CALLS", right: true}, column{head: "INPUT", right: true},
		column{head: "CACHED", right: true, drop: 1}, column{head: "HIT RATE", right: true}, column{head: "OUTPUT", right: true}, column{head: "SWITCHES", right: true, drop: 2})
	for _, g := range u.Groups {
		name := printable(g.Key)
		switch {
		case u.By == plugin.ByAccount:
			name = called.of(g.Key)
		case name == "":
			name = "(none)"
		}
		t.row(usageRow(name, noInk, &g.UsageSum)...)
	}
	if len(u.Groups) > 1 {
		t.row(usageRow("total", bold, &u.Total)...)
	}
	return t.flush()
}

func usageRow(name string, with ink, u *plugin.UsageSum) []cell {
	hits := "–"
	if u.InputTokens > 0 {
		hits = percent(100 * u.CacheHitRate)
	}
	row := []cell{{name, with}}
	for _, text := range []string{strconv.Itoa(u.Calls), count(u.InputTokens), count(u.CachedTokens), hits, count(u.OutputTokens), strconv.Itoa(u.Switches)} {
		row = append(row, cell{text, with})
	}
	return row
}

// sinceFlag is a stretch of time up to now, or a day of the calendar.
type sinceFlag struct {
	text    string
	stretch time.Duration
	day     time.Time
}

func (f *sinceFlag) String() string { return f.text }
func (f *sinceFlag) Type() string   { return "time" }

// before gives the time that lies so far back; the zero flag is a day.
func (f *sinceFlag) before(now time.Time) time.Time {
	switch {
	case !f.day.IsZero():
		return f.day
	case f.stretch > 0:
		return now.Add(-f.stretch)
	}
	return now.Add(-24 * time.Hour)
}

const longestSince = 5000 // days or weeks: more than there can be, and no overflow

var errSince = errors.New("want a time like 90m, 24h, 7d or 4w, or a day like 2026-01-31")

// Set reads "24h" and the like, with d for days and w for weeks, or a day.
func (f *sinceFlag) Set(text string) error {
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		f.text, f.day, f.stretch = text, day, 0
		return nil
	}
	stretch, err := time.ParseDuration(text)
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			var n int
			n, err = strconv.Atoi(number)
			stretch = time.Duration(min(n, longestSince)) * unit
		}
	}
	if err != nil || stretch <= 0 {
		return errSince
	}
	f.text, f.stretch, f.day = text, stretch, time.Time{}
	return nil
}
