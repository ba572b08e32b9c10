package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"codex-rota/plugin"
)

// peakMemory is the most that a process ever had in memory, in bytes; 0 where
// the system does not tell.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Log("SKIPPED: no /proc on this system, so memory is not measured")
		return 0
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "kB")
	kb, err := strconv.ParseInt(strings.TrimSpace(peak), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// TestManyCallsOverTheWire has 500 calls of one host open at once, a message that
// is too large among them.
func TestManyCallsOverTheWire(t *testing.T) {
	const many = 500
	r := newRig(t, named("a", "b", "c")...)
	h := r.wire(plugin.HostOpenCode)
	started := time.Now()
	var wg sync.WaitGroup
	errs := make(chan error, many+1)
	for i := range many {
		wg.Go(func() {
			got, err := h.send(t.Context(), fmt.Sprintf("call-%d.", i), fmt.Sprintf("session-%d", i))
			if err == nil && !strings.HasPrefix(got.text, "Hello from ") {
				err = fmt.Errorf("call %d: %+v", i, got)
			}
			errs <- err
		})
	}
	wg.Go(func() {
		var prepared plugin.Prepared
		err := h.ask(t.Context(), "request/prepare", map[string]any{"call": "big", "url": "https://api.openai.com/v1/responses",
			"body": strings.Repeat("x", 64<<20)}, &prepared)
		if codeOf(err) != "too_large" {
			errs <- fmt.Errorf("64 MiB got %v", err)
			return
		}
		errs <- nil
	})
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	peak := peakMemory(t, h.cmd.Process.Pid)
	took := time.Since(started).Round(10 * time.Millisecond)
	h.close(t)
	if peak > 512<<20 {
		t.Errorf("the process had %d MiB in memory", peak>>20)
	}
	t.Logf("figures: %d calls at once answered beside a body of 64 MiB refused, in %v, %d MiB at most", many, took, peak>>20)
}

// TestHostThatNeverReads: memory stays bounded however much such a host asks, and
// its end is the process's end. TestStuckHost holds the end of one that stays.
func TestHostThatNeverReads(t *testing.T) {
	r := newRig(t, named("a")...)
	h, hangUp := r.deafWire()
	line := []byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"no/such","params":{"x":%q}}`+"\n", strings.Repeat("x", 64<<10)))
	const most = 1 << 30
	var taken atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for taken.Load() < most {
			n, err := h.in.Write(line)
			taken.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	// It is held up when nothing was taken for a second.
	for last := int64(-1); last != taken.Load(); {
		last = taken.Load()
		select {
		case <-ended:
		case <-time.After(time.Second):
		}
	}
	peak := peakMemory(t, h.cmd.Process.Pid)
	started := time.Now()
	hangUp()
	h.in.Close()
	<-ended
	n := taken.Load()
	if err := h.cmd.Wait(); err == nil {
		t.Error("serve says that all answers were taken")
	}
	took := time.Since(started).Round(10 * time.Millisecond)
	if n >= most || peak > 1<<30 || took > 10*time.Second {
		t.Errorf("%d MiB were taken in, %d MiB in memory, the end took %v", n>>20, peak>>20, took)
	}
	t.Logf("figures: a host that never reads got %d MiB in before it was held up; %d MiB in memory at most; ended %v after its host", n>>20, peak>>20, took)
}

// TestHostDiesInTheMiddle: a process whose host is gone, in the middle of a
// message or of a header, ends with the exchange stored and leaves no lock.
func TestHostDiesInTheMiddle(t *testing.T) {
	message := `{"jsonrpc":"2.0","id":1,"method":"accounts/list"}`
	var slowest time.Duration
	cuts := 0
	for _, whole := range []string{message + "\n" + message, "Content-Length: " + strconv.Itoa(len(message)) + "\r\nAttachment-Length: 9\r\n\r\n" + message + "123456789"} {
		for cut := 1; cut < len(whole); cut += 9 {
			r := newRig(t, named("a")...)
			h := r.wire("")
			if _, err := io.WriteString(h.in, whole[:cut]); err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			h.close(t) // fails unless it exits with 0
			slowest, cuts = max(slowest, time.Since(started)), cuts+1
			if out := r.must("list"); !strings.Contains(out, "a") {
				t.Errorf("cut at %d: the pool is %q", cut, out)
			}
		}
	}
	if slowest > 10*time.Second {
		t.Errorf("the slowest end took %v", slowest)
	}
	t.Logf("figures: %d cuts, each ended by itself with exit 0, the slowest after %v", cuts, slowest.Round(time.Millisecond))
}

// deafWire starts serve for a host that never reads stdout.
func (r *rig) deafWire() (h *wireHost, hangUp func()) {
	r.t.Helper()
	cmd := exec.Command(binary, "serve")
	cmd.Env = r.env(os.Environ())
	h = &wireHost{cmd: cmd}
	unread, out, err := os.Pipe()
	if err == nil {
		hangUp = func() { unread.Close() }
		cmd.Stdout = out
		h.in, err = cmd.StdinPipe()
	}
	r.witness.watch(cmd)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	out.Close() // the child has its own
	return h, hangUp
}
