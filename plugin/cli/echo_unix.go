//go:build !windows

package cli

import "golang.org/x/sys/unix"

// echoOff keeps what is typed from being shown; lines and Ctrl-C stay as they
// are.
func echoOff(fd uintptr) (show func() error, err error) {
	before, err := unix.IoctlGetTermios(int(fd), getTermios)
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(fd), setTermios, &hidden); err != nil {
		return nil, err
	}
	return func() error { return unix.IoctlSetTermios(int(fd), setTermios, before) }, nil
}
