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

// askSecret reads a line from the terminal without echo.
func (a *app) askSecret(ctx context.Context, prompt string) (logging.Secret, error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	show, err := a.hideInput()
	if err != nil {
		return logging.Secret{}, fmt.Errorf("the passphrase: %w", err)
	}
	fmt.Fprint(a.Err, prompt)
	text, err := a.readLine(ctx)
	fmt.Fprintln(a.Err)
	if err := show(); err != nil {
		return logging.Secret{}, fmt.Errorf("the terminal's echo: %w", err)
	}
	switch {
	case ctx.Err() != nil:
		return logging.Secret{}, errors.New("interrupted; nothing was written")
	case err != nil && !errors.Is(err, io.EOF):
		return logging.Secret{}, fmt.Errorf("the passphrase: %w", err)
	case text == "":
		return logging.Secret{}, usagef("an empty passphrase protects nothing")
	}
	return logging.NewSecret(text), nil
}
