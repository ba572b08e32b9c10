package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"codex-rota/logging"
)

// longestPassphrase bounds what is read as one.
const longestPassphrase = 4 << 10

func passphraseFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "passphrase-file", "", `read the passphrase from the first line of this file, "-" for stdin`)
}

// passphrase gets one from the first line of a file, by asking the terminal
// without echo, or from the first line of stdin. It is never read from arguments
// or the environment, which other processes can see.
func (a *app) passphrase(ctx context.Context, file, prompt string, twice bool) (logging.Secret, error) {
	switch {
	case file == "-", file == "" && !a.InTerminal:
		return firstLine(a.In, "stdin")
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return logging.Secret{}, fmt.Errorf("the passphrase: %w", err)
		}
		defer f.Close()
		return firstLine(f, file)
	}
	first, err := a.askSecret(ctx, prompt)
	if err != nil || !twice {
		return first, err
	}
	again, err := a.askSecret(ctx, "the same again: ")
	if err != nil {
		return again, err
	}
	if !again.Equal(first) {
		return logging.Secret{}, errors.New("the two passphrases differ; nothing was written")
	}
	return first, nil
}

func firstLine(r io.Reader, name string) (logging.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(r, longestPassphrase)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return logging.Secret{}, fmt.Errorf("the passphrase: %w", err)
	}
	secret := logging.NewSecret(strings.TrimRight(line, "\r\n"))
	if secret.IsZero() {
		return secret, usagef("there is no passphrase on the first line of %s; without a terminal give --passphrase-file FILE, or write it to stdin", name)
	}
	return secret, nil
}

// askSecret reads a line from the terminal without echo. Interrupted, it puts the
// terminal back as it was: a shell without echo would be left otherwise.
func (a *app) askSecret(ctx context.Context, prompt string) (logging.Secret, error) {
	in, ok := a.In.(*os.File)
	if !ok {
		return logging.Secret{}, usagef("there is no terminal to ask for the passphrase; give --passphrase-file")
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return logging.Secret{}, fmt.Errorf("the passphrase: %w", err)
	}
	fmt.Fprint(a.Err, prompt)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(int(in.Fd()))
		answers <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.Err)
		return logging.Secret{}, errors.Join(errors.New("interrupted; nothing was written"), term.Restore(int(in.Fd()), before))
	case got := <-answers:
		fmt.Fprintln(a.Err)
		if got.err != nil {
			return logging.Secret{}, fmt.Errorf("the passphrase: %w", got.err)
		}
		if len(got.text) == 0 {
			return logging.Secret{}, usagef("an empty passphrase protects nothing")
		}
		return logging.NewSecret(string(got.text)), nil
	}
}
