package pool

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestManyProcesses lets real processes write to one file at once: every block
// and every session is there at the end, and of all that may probe, one does.
func TestManyProcesses(t *testing.T) {
	if dir := os.Getenv("ROTA_TEST_BOOK"); dir != "" {
		oneOfMany(t, dir, os.Getenv("ROTA_TEST_NUMBER"))
		return
	}
	const processes, each = 6, 20
	dir := t.TempDir()
	now := time.Now()
	b := bookAt(t, dir, func() time.Time { return now.Add(-time.Hour) })
	learn(t, b, blocked("probed", now.Add(-time.Hour), Block{Kind: BlockQuota, Window: "secondary", Until: now.Add(time.Hour)}))

	var children []*exec.Cmd
	var outs []*strings.Builder
	for i := range processes {
		c := exec.Command(os.Args[0], "-test.run=^TestManyProcesses$", "-test.v")
		c.Env = append(os.Environ(), "ROTA_TEST_BOOK="+dir, fmt.Sprintf("ROTA_TEST_NUMBER=%d", i))
		out := &strings.Builder{}
		c.Stdout, c.Stderr = out, out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children, outs = append(children, c), append(outs, out)
	}
	probes := 0
	for i, c := range children {
		if err := c.Wait(); err != nil {
			t.Fatalf("process %d: %v\n%s", i, err, outs[i])
		}
		probes += strings.Count(outs[i].String(), "PROBED")
	}
	if probes != 1 {
		t.Errorf("%d probes", probes)
	}
	last := bookAt(t, dir, time.Now)
	for i := range processes {
		for j := range each {
			if s := stateIn(last, fmt.Sprintf("%d-%d", i, j), now); s.Name != StateLimited {
				t.Errorf("the block of %d-%d is lost: %+v", i, j, s)
			}
		}
	}
	if s := stateIn(last, "shared", now); s.Until.Before(now.Add(each * time.Hour)) {
		t.Errorf("the longest of the shared blocks is lost: %+v", s)
	}
	if n := last.Sessions(); n != processes*each {
		t.Errorf("%d sessions, want %d", n, processes*each)
	}
}

// oneOfMany is one of TestManyProcesses' children.
func oneOfMany(t *testing.T, dir, number string) {
	const each = 20
	b := bookAt(t, dir, time.Now)
	now := time.Now()
	for j := range each {
		until := now.Add(time.Duration(j+1) * time.Hour).Add(time.Minute)
		id := fmt.Sprintf("%s-%d", number, j)
		b.Bind(nil, "session "+id, id, now)
		learn(t, b,
			blocked(id, now, Block{Kind: BlockQuota, Window: "secondary", Until: until}),
			blocked("shared", now, Block{Kind: BlockQuota, Window: "primary", Until: until}))
	}
	if b.ClaimProbe(context.Background(), "probed", now) {
		fmt.Println("PROBED")
	}
}
