package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
)

// becomeProgram runs the program in our console and ends as it does. Ctrl-C
// reaches it by itself there, and must not end us before it.
func becomeProgram(path string, argv, env []string) error {
	signal.Ignore(os.Interrupt)
	cmd := exec.Command(path, argv[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return &programError{exit.ExitCode(), errSaid}
	}
	return &programError{exitNotStarted, fmt.Errorf("%s cannot be started: %w", path, err)}
}
