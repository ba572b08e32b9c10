//go:build bench

package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// processRounds is how often each process is started, in turns.
const processRounds = 40

// started is a program whose start, or whole life, is measured.
type started struct {
	name    string
	program string
	args    []string
	env     []string
	greeted bool // it is sent an initialize, and its first line is waited for
}

// life gives how long the program took, in milliseconds.
func (b *bench) life(s started) float64 {
	b.t.Helper()
	cmd := exec.Command(s.program, s.args...)
	cmd.Env = s.env
	if !s.greeted {
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.t.Fatalf("%s: %v: %s", s.name, err, out)
		}
		return milli(began)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1,"host":{"name":"opencode"},"attachments":true}}`
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(in, "Content-Length: %d\r\n\r\n%s", len(hello), hello); err != nil {
		b.t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if _, err := r.ReadString('\n'); err != nil {
		b.t.Fatal(err)
	}
	took := milli(began)
	in.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.t.Fatalf("%s: %v", s.name, err)
	}
	return took
}

func milli(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

func (b *bench) processRows() []figure {
	small, large := b.newPool(1), b.newPool(1000)
	const nowhere = "http://127.0.0.1:9/backend-api"
	small.t.Cleanup(small.endFrontEnd)
	b.command(environment(small, nowhere), b.bin, "token", "--front-end") // starts it
	var rows []figure
	for _, p := range []struct {
		name  string
		args  []string
		limit float64
		rigs  []*rig
	}{
		{"serve to its first answer", []string{"serve", "--host", "opencode"}, 10, []*rig{small, large}},
		{"list --json", []string{"list", "--json"}, 10, []*rig{small, large}},
		{"token", []string{"token"}, 10, []*rig{small, large}},
		{"token --front-end, while it runs", []string{"token", "--front-end"}, 20, []*rig{small}},
		{"version", []string{"version"}, 10, []*rig{small}},
	} {
		for _, r := range p.rigs {
			name := p.name + ", 1 account"
			if r == large {
				name = p.name + ", 1,000 accounts"
			}
			ours := started{name, b.bin, p.args, environment(r, nowhere), p.args[0] == "serve"}
			floor := started{"floor", b.hello, nil, ours.env, false}
			if ours.greeted {
				floor = started{"floor", b.floor, nil, ours.env, true}
			}
			var took, least []float64
			for range processRounds {
				took, least = append(took, b.life(ours)), append(least, b.life(floor))
			}
			rows = append(rows, sample(name, "ms", took, least, nil).atMost(p.limit))
		}
	}
	return rows
}

// memoryRows: what stays resident. The floor of the host is the same calls
// without a plugin.
func (b *bench) memoryRows() []figure {
	rows := b.sizeRows()
	env := environment(b.newPool(20), "http://127.0.0.1:9/backend-api")
	if _, told := residentOf(os.Getpid()); !told {
		b.note("resident memory: this system has no /proc.")
		return rows
	}
	h := b.frame(b.bin, env)
	body := session(1 << 20)
	for n := 0; n <= 1000; n++ {
		if n > 0 {
			b.wholeCall(h, "c"+strconv.Itoa(n), body)
		}
		if limit, look := map[int]float64{0: 20, 100: 40, 500: 40, 1000: 40}[n]; look {
			resident, _ := residentOf(h.cmd.Process.Pid)
			rows = append(rows, sample(fmt.Sprintf("serve after %d calls of 1 MB", n), "MiB", []float64{resident}, nil, nil).atMost(limit))
		}
	}
	b.end(h)
	return append(rows, b.hostMemoryRows()...)
}

func (b *bench) sizeRows() []figure {
	size := func(path string) float64 {
		info, err := os.Stat(path)
		if err != nil {
			b.t.Fatal(err)
		}
		return float64(info.Size()) / (1 << 20)
	}
	return []figure{sample("stripped binary", "MiB", []float64{size(b.bin)}, []float64{size(b.hello)}, nil).atMost(15)}
}

// hostMemoryRows: the host makes 1,000 calls of 1 MB, with the plugin and without.
func (b *bench) hostMemoryRows() []figure {
	const calls = 1000
	r, plan := b.hostPlan()
	body := b.file(r, "1MB.json", session(1<<20))
	var rows []figure
	for _, rt := range b.runtimes() {
		type look struct {
			After       int
			Host, Child float64
		}
		var ours, none struct{ Memory []look }
		plan.Memory = map[string]any{"path": body, "calls": calls, "way": "ours"}
		b.runPlan(r, rt, plan, &ours)
		plan.Memory = map[string]any{"path": body, "calls": calls, "way": "none"}
		b.runPlan(r, rt, plan, &none)
		for i, seen := range ours.Memory {
			rows = append(rows, sample(fmt.Sprintf("%s itself after %d calls of 1 MB", rt.name, seen.After), "MiB", []float64{seen.Host}, []float64{none.Memory[i].Host}, nil))
		}
		last := ours.Memory[len(ours.Memory)-1]
		rows = append(rows, sample(fmt.Sprintf("serve under %s after %d calls of 1 MB", rt.name, last.After), "MiB", []float64{last.Child}, nil, nil).atMost(40))
	}
	return rows
}
