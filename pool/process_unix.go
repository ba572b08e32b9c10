//go:build !windows

package pool

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"
)

// ProcessLives reports whether there is a process of this number, another
// user's too.
func ProcessLives(pid int) bool {
	err := syscall.Kill(pid, 0)
	return (err == nil || errors.Is(err, syscall.EPERM)) && !isZombie(pid)
}

// isZombie reports whether a process has ended and only its number is left, until
// its parent asks for it. In a container whose first process never does, that is
// for ever. Where there is no /proc nothing tells.
func isZombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	// PID (NAME) STATE …, and a name may hold anything.
	state := bytes.TrimLeft(stat[bytes.LastIndexByte(stat, ')')+1:], " ")
	return len(state) > 0 && state[0] == 'Z'
}
