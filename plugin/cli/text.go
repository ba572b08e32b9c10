package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// bar is a quota's used part in eight cells.
func bar(usedPercent float64) string {
	const cells = 8
	full := int(max(0, min(cells, usedPercent/100*cells+0.5)))
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

// clock is a time in the person's own zone, with the day where it is not today.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("15:04 Mon 2 Jan")
}

// span is a duration in its largest two units.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24)
}

// style says how text may be dressed.
type style struct{ colour bool }

// style is plain but on a terminal, and NO_COLOR is obeyed.
func (a *app) style() style {
	return style{colour: a.Terminal && a.Env("NO_COLOR") == ""}
}

func (s style) dim(text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}

// table prints aligned columns; the last one is as long as it needs to be.
type table struct {
	out   io.Writer
	style style
	rows  [][]string
}

func newTable(out io.Writer, s style, head ...string) *table {
	return &table{out: out, style: s, rows: [][]string{head}}
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) flush() {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = t.style.dim(text)
		}
		fmt.Fprintln(t.out, text)
	}
}
