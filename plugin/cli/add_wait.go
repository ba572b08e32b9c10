package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"codex-rota/auth"
	"codex-rota/plugin"
)

// loginWait is the time between a login's start and its end, as a person sees it.
type loginWait struct {
	*app
	service *plugin.Service
	started *plugin.LoginStarted
	plan    loginPlan

	opened <-chan error // how the browser's starter ended; nil without one
	drawn  bool         // a countdown stands in the last line
}

// introduce says what to do, prints the address whatever else happens, and opens
// the browser.
func (w *loginWait) introduce() error {
	if w.started.Notice != "" {
		if err := w.tell("Note: " + w.started.Notice + "."); err != nil {
			return err
		}
	}
	text := "Sign in in a browser. Open this address:"
	switch {
	case w.started.Method == plugin.LoginDevice:
		text = "Open this address on any device, sign in, and type the code below:"
	case w.plan.browser != nil:
		text = "Sign in in the browser that opens now. If none does, open this address:"
	case w.plan.why != "" && w.started.Method == plugin.LoginBrowser:
		text = "No browser can be opened here: " + w.plan.why + ". Open this address in one (or use --device):"
	}
	if err := w.tell(text); err != nil {
		return err
	}
	if err := w.say("\n%s\n", w.started.URL); err != nil { // in one piece, to be copied
		return err
	}
	if w.started.UserCode != "" {
		if err := w.say("    %s\n", w.style().paint(bold, w.started.UserCode)); err != nil {
			return err
		}
	}
	if hint := w.pasteHint(); hint != "" {
		if err := w.tell(hint); err != nil {
			return err
		}
	}
	if !w.counts() {
		if err := w.say("Waiting until %s.", clock(w.started.ExpiresAt, time.Now())); err != nil {
			return err
		}
	}
	if w.plan.browser != nil {
		w.opened = openBrowser(w.plan.browser, w.started.URL)
	}
	return nil
}

// tell prints a sentence, broken between words where the terminal ends.
func (w *loginWait) tell(text string) error {
	return w.say("%s", strings.Join(wrap(printable(text), w.style().width), "\n"))
}

// pasteHint says what can be pasted, "" when nothing can be.
func (w *loginWait) pasteHint() string {
	where := "here, and press Enter (it is not shown)"
	if !w.InTerminal {
		where = "as a line to stdin"
	}
	switch {
	case w.started.Method == plugin.LoginDevice, !w.reads():
		return ""
	case w.started.Method == plugin.LoginPaste:
		return "It ends on a page that cannot be opened. Paste that page's whole address " + where + "."
	}
	return "It comes back by itself. If it ends on a page that cannot be opened, paste that page's whole address " + where + "."
}

// reads tells whether pasted text is read. Without a terminal stdin may be
// somebody else's, so it is left alone while a browser here is expected to do it.
func (w *loginWait) reads() bool {
	switch {
	case w.started.Method == plugin.LoginDevice:
		return false
	case w.InTerminal, w.started.Method == plugin.LoginPaste:
		return true
	}
	return w.plan.browser == nil
}

// counts tells whether the time that is left is drawn.
func (w *loginWait) counts() bool { return w.Terminal && w.Env("TERM") != "dumb" }

type loginOutcome struct {
	result *plugin.LoginResult
	err    error
}

type pastedLine struct {
	text string
	err  error
}

// run says what to do and waits for the login's end. On a terminal nothing that is
// typed meanwhile is shown: an address that is pasted holds the login's code.
func (w *loginWait) run(ctx context.Context) (result *plugin.LoginResult, err error) {
	if w.reads() && w.InTerminal {
		show, err := w.hideInput()
		if err != nil {
			return nil, fmt.Errorf("the terminal's echo: %w", err)
		}
		defer func() { err = errors.Join(err, show()) }()
	}
	if err := w.introduce(); err != nil {
		return nil, err
	}
	return w.wait(ctx)
}

// wait gives the login's outcome. Ctrl-C cancels it, unless its answer has come.
func (w *loginWait) wait(ctx context.Context) (*plugin.LoginResult, error) {
	outcomes := make(chan loginOutcome, 1)
	go func() {
		result, err := w.service.LoginWait(context.WithoutCancel(ctx), plugin.LoginParams{Login: w.started.Login})
		outcomes <- loginOutcome{result, err}
	}()
	reading, endReading := context.WithCancel(ctx)
	defer endReading()
	lines := w.lines(reading)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	interrupted := ctx.Done()
	for {
		w.draw()
		select {
		case end := <-outcomes:
			w.erase()
			return end.result, end.err
		case <-interrupted:
			interrupted = nil
			if _, err := w.service.LoginCancel(ctx, plugin.LoginParams{Login: w.started.Login}); err != nil {
				return nil, err
			}
		case err := <-w.opened:
			w.opened = nil
			if err != nil {
				w.note("The browser could not be opened (%s). Open the address yourself.", err)
			}
		case line, ok := <-lines:
			if !ok {
				lines = nil
				continue
			}
			if err := w.paste(ctx, line); err != nil {
				return nil, err
			}
		case <-second.C:
		}
	}
}

// paste gives a line to the login. On a terminal the person may paste again;
// without one a line that cannot be used ends the command.
func (w *loginWait) paste(ctx context.Context, line pastedLine) error {
	switch {
	case line.err == nil:
	case errors.Is(line.err, io.EOF) && w.started.Method == plugin.LoginBrowser:
		return nil // the browser may still come back
	case errors.Is(line.err, io.EOF):
		return usagef("nothing was pasted: the address is read as one line from stdin; codex-rota add --device needs none")
	default:
		return fmt.Errorf("read the pasted address: %w", line.err)
	}
	_, err := w.service.LoginPaste(context.WithoutCancel(ctx), plugin.LoginPasteParams{Login: w.started.Login, Text: line.text})
	var known *plugin.Error
	switch {
	case !errors.As(err, &known) || !known.Params || errors.Is(err, auth.ErrLoginOver):
		return nil // the outcome is told by the login itself
	case !w.InTerminal:
		return err
	}
	w.note("%s. Paste the whole address again.", known.Message)
	return nil
}

// lines reads what is pasted: line by line without echo from a terminal, else one
// line of stdin. The channel is closed when nothing more is read, and nil when
// nothing is read at all.
func (w *loginWait) lines(ctx context.Context) <-chan pastedLine {
	if !w.reads() {
		return nil
	}
	lines := make(chan pastedLine)
	go func() {
		defer close(lines)
		for more := true; more; more = w.InTerminal {
			text, err := w.readLine(ctx)
			select {
			case lines <- pastedLine{text, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// draw counts the time down in the last line.
func (w *loginWait) draw() {
	if !w.counts() {
		return
	}
	left := max(time.Until(w.started.ExpiresAt), 0).Round(time.Second)
	text := fmt.Sprintf("Waiting, %d:%02d left. Ctrl-C cancels.", int(left.Minutes()), int(left.Seconds())%60)
	if width := w.style().width; width > 1 {
		text = cut(text, width-1) // a line that wraps could not be drawn over
	}
	fmt.Fprint(w.Out, "\r\x1b[K"+w.style().paint(dim, text))
	w.drawn = true
}

// erase takes the countdown away.
func (w *loginWait) erase() {
	if w.drawn {
		fmt.Fprint(w.Out, "\r\x1b[K")
	}
	w.drawn = false
}

// note puts a line above the countdown.
func (w *loginWait) note(format string, args ...any) {
	w.erase()
	_ = w.tell(fmt.Sprintf(format, args...)) // the login goes on, read or unread
}
