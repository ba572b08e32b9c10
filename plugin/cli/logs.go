package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/logging"
	"codex-rota/plugin"
)

func (a *app) logsCommand() *cobra.Command {
	var asJSON, follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Show the request log; credentials were taken out when it was written",
		Long: "Show the request log. It is written while ENABLE_PLUGIN_REQUEST_LOGGING=1 or the setting requestLogging is on;\n" +
			"credentials are taken out before that. With --follow --json each event is a line of its own.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withService(cmd.Context(), func(s *plugin.Service) error {
				tail, err := logging.OpenRequestTail(a.requestLogDir())
				if err != nil {
					return err
				}
				defer tail.Close()
				last, err := tail.Last(lines)
				if err != nil {
					return err
				}
				if asJSON && !follow {
					return a.printLog(tail, s.Settings().RequestLogging, last)
				}
				each := a.printRaw
				if !asJSON {
					called, err := accountNames(cmd.Context(), s)
					if err != nil {
						return err
					}
					each = eventPrinter{a, a.style(), called}.print
				}
				for _, line := range last {
					if err := each(line); err != nil {
						return err
					}
				}
				if len(last) == 0 && !s.Settings().RequestLogging {
					fmt.Fprintf(a.Err, "codex-rota: the request log is off and empty. To switch it on, set ENABLE_PLUGIN_REQUEST_LOGGING=1 for the host, or \"requestLogging\": true in %s\n",
						filepath.Join(a.root(), "settings.json"))
				}
				if !follow {
					return nil
				}
				ctx, stop := interruptible(cmd.Context())
				defer stop()
				a.stay()
				return tail.Follow(ctx, each)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written, until Ctrl-C")
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many of the last events, -1 for all")
	return cmd
}

func (a *app) requestLogDir() string { return filepath.Join(a.root(), "logs", "codex-plugin") }

func (a *app) printLog(tail *logging.RequestTail, on bool, lines [][]byte) error {
	out := struct {
		Schema  int               `json:"schema"`
		Path    string            `json:"path"`
		Enabled bool              `json:"enabled"`
		Events  []json.RawMessage `json:"events"`
	}{1, tail.Path(), on, []json.RawMessage{}}
	for _, line := range lines {
		if json.Valid(line) { // a full disk may have cut one
			out.Events = append(out.Events, line)
		}
	}
	return printJSON(a.Out, out)
}

func (a *app) printRaw(line []byte) error {
	_, err := fmt.Fprintf(a.Out, "%s\n", line)
	return err
}

// eventPrinter prints the log's events as lines for people.
type eventPrinter struct {
	*app
	style  style
	called names
}

func (p eventPrinter) print(line []byte) error {
	var e logging.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return p.printRaw([]byte(p.style.paint(dim, printable(string(line)))))
	}
	var text string
	switch e.Event {
	case "request":
		text = fmt.Sprintf("#%d → %s %s as %s%s", e.Attempt, e.Method, e.URL, p.called.of(e.Account), sizeWords(&e))
	case "response":
		said, with := strconv.Itoa(e.Status), green
		if e.Transport != "" {
			said = "no answer (" + printable(e.Transport) + ")"
		}
		if e.Status < 200 || e.Status > 299 {
			with = red
		}
		text = fmt.Sprintf("#%d ← %s%s %s: %s", e.Attempt, said, after(e.ElapsedMs), e.Verdict, e.Why)
		return p.write(&e, strings.Replace(printable(text), said, p.style.paint(with, said), 1))
	default:
		text = e.End + after(e.DurationMs)
	}
	return p.write(&e, printable(text))
}

func (p eventPrinter) write(e *logging.Event, text string) error {
	at := p.style.paint(dim, e.Time.Local().Format("2 Jan 15:04:05.000"))
	_, err := fmt.Fprintf(p.Out, "%s call %s %s\n", at, printable(e.Call), text)
	return err
}

func sizeWords(e *logging.Event) string {
	if e.BodyBytes == nil || e.EditCount == nil {
		return ""
	}
	return fmt.Sprintf(" (%s bytes, %s)", count(int64(*e.BodyBytes)), plural(*e.EditCount, "edit"))
}

func after(ms *float64) string {
	if ms == nil {
		return ""
	}
	return " after " + time.Duration(*ms*float64(time.Millisecond)).Round(time.Millisecond).String()
}
