//go:build !windows

package pool

import (
	"errors"
	"syscall"
)

// ProcessLives reports whether there is a process of this number, another
// user's too.
func ProcessLives(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
