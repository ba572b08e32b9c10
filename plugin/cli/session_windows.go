package cli

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// ownSession takes a child out of our console and process group.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
