//go:build bench

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"codex-rota/plugin/proxy"
)

// frontBench is a front end, its upstream, and a client that can ask either.
type frontBench struct {
	*bench
	pid    int
	client *http.Client
	front  string // addresses of a model call
	direct string
	key    string
}

func (b *bench) newFront() *frontBench {
	b.t.Helper()
	r := b.newPool(3)
	f := &frontBench{bench: b, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}}
	backend := b.upstream(20)
	env := environment(r, backend)
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, b.bin, "proxy") // in the foreground, so that its memory can be looked at
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = env
	started := time.Now()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it ends as it was told to
	})
	// The token command would start another one if this one had not begun.
	for place := (proxy.Place{Root: r.root()}); !place.Taken(ctx); time.Sleep(5 * time.Millisecond) {
		if time.Since(started) > 10*time.Second {
			b.t.Fatal("the front end does not start")
		}
	}
	f.pid, f.key = cmd.Process.Pid, strings.TrimSpace(string(b.command(env, b.bin, "token", "--front-end"))) // waits until it answers
	text, err := os.ReadFile(r.file(proxy.PortFile))
	if err != nil {
		b.t.Fatal(err)
	}
	var place struct{ Port int }
	if err := json.Unmarshal(text, &place); err != nil {
		b.t.Fatal(err)
	}
	f.front = "http://127.0.0.1:" + strconv.Itoa(place.Port) + proxy.BasePath + "/responses"
	f.direct = backend + "/codex/responses"
	return f
}

// call makes one request and gives the time to the first byte of its answer.
func (f *frontBench) call(url, thread string, body []byte) (float64, error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header = http.Header{"Authorization": {"Bearer " + f.key}, "Content-Type": {"application/json"}, "Accept": {"text/event-stream"},
		"Originator": {"codex_exec"}, "User-Agent": {"codex_exec/0.169.0"}, "Session-Id": {thread}, "Thread-Id": {thread}}
	began := time.Now()
	response, err := f.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(response.Body, first); err != nil {
		return 0, err
	}
	took := milli(began)
	rest, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(rest, []byte("response.completed"))) {
		err = fmt.Errorf("status %d: %.300s", response.StatusCode, rest)
	}
	return took, err
}

// load lets so many clients make calls at once, each after so long as all of them
// together need for a call each when one is made after every between, and gives
// the times to the first bytes and the calls per second.
func (f *frontBench) load(url string, clients, calls int, body []byte, between time.Duration) (first []float64, perSecond float64) {
	f.t.Helper()
	var next atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for c := range clients {
		all.Go(func() {
			thread := fmt.Sprint("thread-", c)
			time.Sleep(time.Duration(c) * between)
			for next.Add(1) <= int64(calls) {
				took, err := f.call(url, thread, body)
				if err != nil {
					f.t.Error(err)
					return
				}
				mu.Lock()
				first = append(first, took)
				mu.Unlock()
				time.Sleep(time.Duration(clients) * between)
			}
		})
	}
	all.Wait()
	return first, float64(len(first)) / time.Since(began).Seconds()
}

func (f *frontBench) resident() float64 {
	resident, _ := residentOf(f.pid)
	return resident
}

func (b *bench) frontRows() []figure {
	f := b.newFront()
	bodies := []struct {
		name    string
		body    []byte
		limit   float64       // DESIGN 10: added time to first byte
		leisure int           // calls a round, and the time from one to the next
		between time.Duration // of all clients together
		flat    int           // calls a round
	}{
		{"1 KB", codexBody("gpt-5.5", strings.Repeat("x", 700)), 0.5, 400, 5 * time.Millisecond, 2000},
		{"1 MB", session(1 << 20), 3, 80, 25 * time.Millisecond, 240},
	}
	f.load(f.front, 8, 200, bodies[0].body, 0)
	memory := []figure{sample("resident after 200 requests", "MiB", []float64{f.resident()}, nil, nil)}
	memory = f.growth(memory, bodies[0].body, bodies[1].body) // before 64 clients of 1 MB leave their mark
	var rows []figure
	for _, clients := range []int{8, 64} {
		for _, size := range bodies {
			name := fmt.Sprintf("%d clients, %s", clients, size.name)
			added, p90 := f.leisure(clients, size.leisure, size.between, size.body)
			row := sample(name+", at leisure: added to the first byte", "ms", added, nil, nil)
			row.P90 = &p90
			flat := f.flatOut(clients, size.flat, size.body)
			if clients == 8 {
				row = row.atMost(size.limit)
			}
			rows = append(rows, row, sample(name+", flat out: time to the first byte", "ms", flat.ours, flat.direct, nil),
				rateRow(name, flat, clients == 8 && size.name == "1 KB"), sample(name+", flat out: CPU per request", "ms", flat.cpu, nil, nil))
		}
	}
	memory = append(memory, sample("resident after 64 clients of 1 MB too", "MiB", []float64{f.resident()}, nil, nil))
	return append(rows, memory...)
}

// leisure gives the added time to the first byte: of each of several rounds, the
// median through the front end less the median without it; and the same of the
// 90th percentiles, over all rounds.
func (f *frontBench) leisure(clients, calls int, between time.Duration, body []byte) (added []float64, p90 float64) {
	var ours, direct []float64
	for range 3 {
		through, _ := f.load(f.front, clients, calls, body, between)
		straight, _ := f.load(f.direct, clients, calls, body, between)
		added = append(added, quantile(through, 0.5)-quantile(straight, 0.5))
		ours, direct = append(ours, through...), append(direct, straight...)
	}
	return added, quantile(ours, 0.9) - quantile(direct, 0.9)
}

// flatOutResult is a load without pauses, through the front end and without it.
type flatOutResult struct{ ours, direct, rate, directRate, cpu []float64 }

func (f *frontBench) flatOut(clients, calls int, body []byte) (r flatOutResult) {
	for range 3 {
		before := f.cpu()
		through, rate := f.load(f.front, clients, calls, body, 0)
		r.cpu = append(r.cpu, (f.cpu()-before)/float64(calls))
		straight, directRate := f.load(f.direct, clients, calls, body, 0)
		r.ours, r.direct = append(r.ours, through...), append(r.direct, straight...)
		r.rate, r.directRate = append(r.rate, rate), append(r.directRate, directRate)
	}
	return r
}

func rateRow(name string, r flatOutResult, held bool) figure {
	row := sample(name+", flat out: requests a second", "/s", r.rate, r.directRate, nil)
	row.P90 = nil // the best of three says nothing
	if held {
		row = row.atLeast(3000)
	}
	return row
}

// growth: resident memory over 20,000 small requests more, and 5,000 large ones.
func (f *frontBench) growth(rows []figure, small, large []byte) []figure {
	row := func(format string, n int) {
		rows = append(rows, sample(fmt.Sprintf(format, n), "MiB", []float64{f.resident()}, nil, nil))
	}
	for n := 5000; n <= 20000; n += 5000 {
		f.load(f.front, 8, 5000, small, 0)
		row("resident after %d requests more", n)
	}
	for n := 1000; n <= 5000; n += 2000 {
		f.load(f.front, 8, min(n, 2000), large, 0)
		row("resident after %d requests of 1 MB by 8 clients more", n)
	}
	return rows
}

// cpu is the time that the front end has had of the processors, in milliseconds;
// 0 where the system does not tell.
func (f *frontBench) cpu() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name before it may hold spaces
	var user, system float64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0
	}
	return (user + system) * 10 // ticks of a hundredth of a second, as on every Linux
}
