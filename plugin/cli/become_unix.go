//go:build !windows

package cli

import (
	"fmt"
	"syscall"
)

// becomeProgram replaces this process, so that the terminal, every signal and the
// exit code are the program's own. It returns only when that failed.
func becomeProgram(path string, argv, env []string) error {
	err := syscall.Exec(path, argv, env)
	return &programError{exitNotStarted, fmt.Errorf("%s cannot be started: %w", path, err)}
}
