package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// confirm asks before something is lost. Without a terminal to ask on it is a
// usage error that says what to type instead; a no ends the command with exit
// code 1. yes is the flag --yes.
func (a *app) confirm(yes bool, question, toType string) error {
	switch {
	case yes:
		return nil
	case !a.InTerminal:
		return usagef("this asks first, and there is no terminal to ask on. Type: codex-rota %s --yes", toType)
	}
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	fmt.Fprintln(a.Err, "Nothing was changed.")
	return errSaid
}
