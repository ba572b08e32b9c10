package cli

import "golang.org/x/sys/windows"

// echoOff keeps what is typed from being shown; lines and Ctrl-C stay as they
// are.
func echoOff(fd uintptr) (show func() error, err error) {
	var before uint32
	if err := windows.GetConsoleMode(windows.Handle(fd), &before); err != nil {
		return nil, err
	}
	if err := windows.SetConsoleMode(windows.Handle(fd), before&^windows.ENABLE_ECHO_INPUT); err != nil {
		return nil, err
	}
	return func() error { return windows.SetConsoleMode(windows.Handle(fd), before) }, nil
}
