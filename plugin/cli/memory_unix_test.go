//go:build !windows

package cli

import (
	"os"
	"runtime"
	"syscall"
)

// peakOf is the most that an ended process had in memory, in bytes.
// Linux counts what this test had when it started the process, too.
func peakOf(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" { // which counts in bytes
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
