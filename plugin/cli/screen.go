package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// screen is the terminal's second page, on which a command draws frame by frame.
// What was on the first page is back when it is closed.
type screen struct {
	out  io.Writer
	size func() (columns, lines int)
}

const (
	secondPage = "\x1b[?1049h\x1b[?25l" // and the cursor is hidden
	firstPage  = "\x1b[?25h\x1b[?1049l"
	home       = "\x1b[H"
	endOfLine  = "\x1b[K"
	restOfPage = "\x1b[J"
)

func openScreen(out io.Writer, size func() (columns, lines int)) *screen {
	fmt.Fprint(out, secondPage)
	return &screen{out: out, size: size}
}

func (s *screen) close() { fmt.Fprint(s.out, firstPage) }

// draw replaces the frame by what render prints, in one write, so that nothing
// flickers. Lines that the terminal has no room for are left out.
func (s *screen) draw(a *app, render func(frame *app) error) error {
	var text bytes.Buffer
	frame := *a
	frame.Out = &text
	if err := render(&frame); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	if _, height := s.size(); height > 0 && len(lines) > height {
		lines = lines[:height]
	}
	_, err := io.WriteString(s.out, home+strings.Join(lines, endOfLine+"\r\n")+endOfLine+restOfPage)
	return err
}
