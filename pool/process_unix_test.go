//go:build !windows

package pool

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestProcessLives(t *testing.T) {
	if !ProcessLives(os.Getpid()) {
		t.Error("this process does not live")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skipf("SKIPPED: without /proc a process that ended cannot be told: %v", err)
	}
	child := exec.Command("sh", "-c", "exit 0")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }() // only now is its number free
	for end := time.Now().Add(time.Minute); ProcessLives(child.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a process that has ended still lives")
		}
	}
}
