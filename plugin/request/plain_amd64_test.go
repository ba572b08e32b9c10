package request

import (
	"testing"

	"golang.org/x/sys/cpu"
)

func TestCanBlocks(t *testing.T) {
	if want := cpu.X86.HasAVX2 && cpu.X86.HasBMI1; blocks != want {
		t.Errorf("blocks is %v, but the processor's word is %v", blocks, want)
	}
}
