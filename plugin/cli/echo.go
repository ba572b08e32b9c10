package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
)

// longestLine bounds what is read of a line that a person types or pastes, in
// bytes.
const longestLine = 64 << 10

// hideInput switches the echo of the terminal that we read from off, until show
// is called: what is typed or pasted then is a secret. What asks for it is to be
// printed after this, or a quick hand would be echoed.
func (a *app) hideInput() (show func() error, err error) {
	in, ok := a.In.(*os.File)
	if !ok {
		return nil, errors.New("there is no terminal to read from")
	}
	return echoOff(in.Fd())
}

// readLine reads a line, without what ends it. A last line needs no end; after it
// comes io.EOF. When ctx ends first the reading goes on unheard until the process
// ends.
func (a *app) readLine(ctx context.Context) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := bufio.NewReader(io.LimitReader(a.In, longestLine)).ReadString('\n')
		if errors.Is(err, io.EOF) && text != "" {
			err = nil
		}
		answers <- answer{strings.TrimRight(text, "\r\n"), err}
	}()
	select {
	case got := <-answers:
		return got.text, got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
