package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// columns measures text as a terminal shows it: CJK and emoji take two columns,
// combining marks none. A bar's cells are one column wide whatever the locale.
func columns() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

func widthOf(text string) int { return columns().StringWidth(text) }

// cut shortens text to a number of columns, with "…" for what is left out.
func cut(text string, width int) string { return columns().Truncate(text, max(width, 0), "…") }

// printable takes out of a text that came from elsewhere what could move the
// cursor, change colours or turn the line around.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar:
			return '�'
		}
		return r
	}, text)
}

// bar is a quota's used part in eight cells. It is full only when the quota is
// spent, and empty only when nothing is used.
func bar(usedPercent float64) string {
	const cells = 8
	full := int(max(0, min(cells, usedPercent/100*cells+0.5)))
	switch {
	case usedPercent > 0 && full == 0:
		full = 1
	case usedPercent < 100 && full == cells:
		full = cells - 1
	}
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

// percent shows a share without rounding up to a spent quota: 99.6 % is 99%.
func percent(used float64) string {
	if used > 99 && used < 100 {
		used = 99
	}
	return fmt.Sprintf("%.0f%%", used)
}

// clock is a time in the person's own zone, with the day where it is not today.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	switch days := t.Sub(now).Hours() / 24; {
	case t.YearDay() == now.YearDay() && t.Year() == now.Year():
		return t.Format("15:04")
	case days > -6 && days < 6:
		return t.Format("Mon 15:04")
	}
	return t.Format("2 Jan 15:04")
}

// until is the way to a time that is to come: "in 3h 5m (14:05)".
func until(t, now time.Time) string {
	return "in " + span(t.Sub(now)) + " (" + clock(t, now) + ")"
}

// ago is the way back to a time, "never" for nil.
func ago(t *time.Time, now time.Time) string {
	switch {
	case t == nil:
		return "never"
	case now.Sub(*t) < time.Second:
		return "now"
	}
	return span(now.Sub(*t)) + " ago"
}

// span is a duration in its largest two units.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24)
}

// count is a number in groups of three digits.
func count(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

// plural is "1 account", "2 accounts".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// ink is how a piece of text is dressed: the parameter of an SGR sequence.
type ink string

const (
	noInk  ink = ""
	bold   ink = "1"
	dim    ink = "2"
	red    ink = "31"
	green  ink = "32"
	yellow ink = "33"
)

// style says how text may be dressed and how wide it may be.
type style struct {
	colour bool
	width  int // columns of the terminal, 0 for no limit
}

// style is plain but on a terminal, and NO_COLOR is obeyed.
func (a *app) style() style {
	if !a.Terminal {
		return style{}
	}
	width, _ := a.Size()
	return style{colour: a.Env("NO_COLOR") == "" && a.Env("TERM") != "dumb", width: width}
}

func (s style) paint(with ink, text string) string {
	if !s.colour || with == noInk || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + string(with) + "m" + text + "\x1b[0m"
}

// wrap breaks a sentence into lines of at most width columns, between words
// where that can be; width 0 is no limit.
func wrap(text string, width int) []string {
	if width <= 0 || widthOf(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && widthOf(line)+1+widthOf(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for widthOf(line) > width { // a word longer than a line
			head := columns().Truncate(line, width, "")
			if head == "" {
				break
			}
			lines, line = append(lines, head), line[len(head):]
		}
	}
	return append(lines, line)
}
