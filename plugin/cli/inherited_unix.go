//go:build !windows

package cli

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// dropInherited closes what whoever started this process left open for it beyond
// stdin, stdout and stderr: a shell's or a test runner's pipe, whose reader would
// wait for our end. What this process has opened itself is told from that by its
// flag: Go opens everything to be closed on exec.
func dropInherited() error {
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return err
	}
	var failures []error
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			failures = append(failures, unix.Close(fd))
		}
	}
	return errors.Join(failures...)
}
