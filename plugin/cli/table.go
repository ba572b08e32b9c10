package cli

import (
	"fmt"
	"io"
	"strings"
)

// column is one of a table's. Where a table is wider than the terminal, columns
// with flex are shortened to a comfortable width, then those with drop are left
// out, the lowest number first, then the flexible ones are shortened further.
type column struct {
	head  string
	right bool // its cells stand at the right
	flex  bool
	drop  int
}

// cell is a piece of a row, all in one ink.
type cell struct {
	text string
	ink  ink
}

// table prints aligned columns, and sentences below a row.
type table struct {
	out     io.Writer
	style   style
	columns []column
	rows    []tableRow
}

// tableRow is cells, or a note when there are none.
type tableRow struct {
	cells []cell
	note  cell
}

const (
	columnGap   = 2
	noteIndent  = 4
	comfortable = 16 // columns that a flexible column keeps
	cramped     = 8  // when there is no other way
)

func newTable(out io.Writer, s style, columns ...column) *table {
	return &table{out: out, style: s, columns: columns}
}

func (t *table) row(cells ...cell) { t.rows = append(t.rows, tableRow{cells: cells}) }

// note adds a sentence below the last row; it is wrapped, not shortened.
func (t *table) note(text string, with ink) {
	t.rows = append(t.rows, tableRow{note: cell{text, with}})
}

// flush prints the table.
func (t *table) flush() error {
	widths := t.fit()
	var out strings.Builder
	head := make([]cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = cell{c.head, dim}
	}
	t.line(&out, head, widths)
	for _, r := range t.rows {
		if r.cells != nil {
			t.line(&out, r.cells, widths)
			continue
		}
		for _, line := range wrap(r.note.text, max(t.style.width-noteIndent, 0)) {
			fmt.Fprintf(&out, "%*s%s\n", noteIndent, "", t.style.paint(r.note.ink, line))
		}
	}
	_, err := io.WriteString(t.out, out.String())
	return err
}

func (t *table) line(out *strings.Builder, cells []cell, widths []int) {
	var line strings.Builder
	pending := 0 // blanks, written only when something follows
	for i, c := range cells {
		if widths[i] < 0 {
			continue
		}
		text := cut(c.text, widths[i])
		space := widths[i] - widthOf(text)
		if t.columns[i].right {
			pending, space = pending+space, 0
		}
		if text != "" {
			line.WriteString(strings.Repeat(" ", pending) + t.style.paint(c.ink, text))
			pending = 0
		}
		pending += space + columnGap
	}
	out.WriteString(line.String() + "\n")
}

// fit gives each column's width, −1 for one that is left out.
func (t *table) fit() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = widthOf(c.head)
		for _, r := range t.rows {
			if i < len(r.cells) {
				widths[i] = max(widths[i], widthOf(r.cells[i].text))
			}
		}
	}
	if t.style.width <= 0 {
		return widths
	}
	t.shorten(widths, comfortable)
	for total(widths) > t.style.width {
		i := t.nextToDrop(widths)
		if i < 0 {
			break
		}
		widths[i] = -1
	}
	t.shorten(widths, cramped)
	return widths // of a terminal too narrow even for this, the lines are broken
}

// shorten takes columns from the widest flexible one, down to least.
func (t *table) shorten(widths []int, least int) {
	for over := total(widths) - t.style.width; over > 0; over = total(widths) - t.style.width {
		widest := -1
		for i, c := range t.columns {
			if c.flex && widths[i] > least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest] = max(least, widths[widest]-over)
	}
}

func total(widths []int) int {
	sum, shown := 0, 0
	for _, w := range widths {
		if w >= 0 {
			sum, shown = sum+w, shown+1
		}
	}
	return sum + columnGap*max(shown-1, 0)
}

func (t *table) nextToDrop(widths []int) int {
	next := -1
	for i, c := range t.columns {
		if c.drop > 0 && widths[i] >= 0 && (next < 0 || c.drop < t.columns[next].drop) {
			next = i
		}
	}
	return next
}
