//go:build !windows

package cli

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"codex-rota/plugin/sim"
	"codex-rota/pool"
)

// isolate gives OpenCode a process group of its own, as a shell does: Ctrl-C
// reaches the group.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func (r *running) signal(t *testing.T, group bool, sig syscall.Signal) {
	t.Helper()
	pid := r.cmd.Process.Pid
	if group {
		pid = -pid
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// children are the plugin processes that OpenCode starts. Each holds the writing
// end of a pipe from its start to its end.
type children struct {
	t     *testing.T
	pipe  *os.File
	lines *bufio.Reader
}

// watchChildren registers the plugin anew, behind a script that opens the pipe
// and writes a line into it.
func (o *openCode) watchChildren() *children {
	o.t.Helper()
	fifo, script := filepath.Join(o.dir, "children"), filepath.Join(o.dir, "watched")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		o.t.Fatal(err)
	}
	text := "#!/bin/sh\nexec 9>'" + fifo + "'\necho started >&9\nexec '" + binary + "' \"$@\"\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		o.t.Fatal(err)
	}
	o.register(script)
	pipe, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { pipe.Close() })
	return &children{o.t, pipe, bufio.NewReader(pipe)}
}

// started waits for the next plugin process. As long as there is none, the pipe
// reads as ended.
func (c *children) started() {
	c.t.Helper()
	for end := time.Now().Add(hung); ; time.Sleep(10 * time.Millisecond) {
		if err := c.pipe.SetReadDeadline(end); err != nil {
			c.t.Fatal(err)
		}
		_, err := c.lines.ReadString('\n')
		if err == nil {
			return
		}
		if !errors.Is(err, io.EOF) || time.Now().After(end) {
			c.t.Fatalf("no plugin process started: %v", err)
		}
	}
}

// ended waits until none is left, and gives how many more had started.
func (c *children) ended() int {
	c.t.Helper()
	if err := c.pipe.SetReadDeadline(time.Now().Add(hung)); err != nil {
		c.t.Fatal(err)
	}
	rest, err := io.ReadAll(c.lines)
	if err != nil {
		c.t.Fatalf("a plugin process is left: %v", err)
	}
	return bytes.Count(rest, []byte("\n"))
}

// mustLeaveNothing fails when a lock is held or a refresh is half done.
func (o *openCode) mustLeaveNothing() {
	o.t.Helper()
	locks := 0
	err := filepath.WalkDir(filepath.Join(o.root(), "locks"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.Contains(entry.Name(), "intent") {
			o.t.Errorf("%s is left", entry.Name())
		}
		if !strings.HasSuffix(path, ".lock") {
			return nil
		}
		locks++
		lock := flock.New(path)
		if free, err := lock.TryLock(); err != nil || !free {
			o.t.Errorf("%s is held (%v)", entry.Name(), err)
		}
		return lock.Close()
	})
	if err != nil || locks == 0 {
		o.t.Errorf("%d locks: %v", locks, err)
	}
}

func TestOpenCodeInterrupted(t *testing.T) {
	for _, test := range []struct {
		name  string
		group bool
		sig   syscall.Signal
	}{
		{"Ctrl-C", true, syscall.SIGINT},
		{"hang-up", true, syscall.SIGHUP},
		{"kill of OpenCode alone", false, syscall.SIGKILL},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOpenCode(t, named("a")...)
			children := o.watchChildren()
			o.fault("slow-stream")
			run := o.start("Say hello.", untitled...)
			o.until("the stream is being delivered", func() bool { return slices.Equal(o.verdicts(), []string{"1.1 200 deliver"}) })
			children.started()
			run.signal(t, test.group, test.sig)
			if got := run.wait(); got.out != "" {
				t.Errorf("the person sees %q", got.out)
			}
			o.arrived("the stream's connection is closed", func(calls []sim.Call) bool {
				return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Held && c.End == sim.EndGone })
			})
			if more := children.ended(); more != 0 {
				t.Errorf("%d more plugin processes were started", more)
			}
			o.mustTalk("a 200")
			o.mustLeaveNothing()
			if got := o.states(); got["a"] != "ready" {
				t.Errorf("states %v", got)
			}
		})
	}
}

// TestOpenCodeInterruptedInRefresh: the refresh token is spent by then, so the
// plugin stays until the new one is on disk.
func TestOpenCodeInterruptedInRefresh(t *testing.T) {
	o := newOpenCode(t, sim.Seat{Name: "a", Expired: true})
	children := o.watchChildren()
	o.fault("refresh-hang", times(1))
	run := o.start("Say hello.", untitled...)
	o.arrived("a token is being refreshed", func(calls []sim.Call) bool {
		return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Kind == sim.KindRefresh && c.Held })
	})
	children.started()
	run.signal(t, true, syscall.SIGINT)
	run.wait()
	o.sim.Release()
	if more := children.ended(); more != 0 {
		t.Errorf("%d more plugin processes were started", more)
	}
	o.mustTalk()
	o.mustLeaveNothing()
	o.ask("Say hello.", untitled...).mustSay(t, "Hello from a")
	if n := o.sim.RefreshCount(o.seats[0]); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
	o.mustBeObedient()
}

// TestOpenCodeTwoAtOnce: two processes meet two expired tokens, the second one
// while the first is asking for a new one.
func TestOpenCodeTwoAtOnce(t *testing.T) {
	o := newOpenCode(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b", Expired: true})
	children := o.watchChildren()
	o.fault("refresh-hang", times(1))
	o.fault("weekly-limit", onSeat("a"))       // so that both accounts are needed
	o.startWith(nil, "session", "list").wait() // makes OpenCode's database, for which one would wait
	runs := []*running{o.start("Say hello.", untitled...), o.start("Say hello.", untitled...)}
	o.arrived("a token is being refreshed", func(calls []sim.Call) bool {
		return slices.ContainsFunc(calls, func(c sim.Call) bool { return c.Kind == sim.KindRefresh && c.Held })
	})
	o.until("both have chosen an account, and need its token", func() bool { return o.sessions() == 2 })
	o.sim.Release()
	for _, run := range runs {
		run.wait().mustSay(t, "Hello from b")
	}
	for _, seat := range o.seats {
		if n := o.sim.RefreshCount(seat); n != 1 {
			t.Errorf("%s was refreshed %d times, want once", seat.Name, n)
		}
	}
	for _, c := range o.sim.Calls() {
		if c.Refused != "" {
			t.Errorf("%s: refused: %s", c.Kind, c.Refused)
		}
	}
	children.started()
	if more := children.ended(); more != 1 {
		t.Errorf("%d plugin processes, want 2", more+1)
	}
	o.mustLeaveNothing()
}

// sessions counts those that are on disk.
func (o *openCode) sessions() int {
	book := pool.OpenBook(pool.BookOptions{Path: filepath.Join(o.root(), "quota-cache.json")})
	return book.Sessions()
}
