//go:build !windows

package cli

import "syscall"

// ownSession takes a child out of our process group and terminal.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
