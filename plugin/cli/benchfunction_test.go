//go:build bench

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	benchstatVersion = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"
	benchCount       = 6
	benchTime        = "150ms"
)

// goBenchmarks are what the table shows of a function: the name as `go test
// -bench` prints it, and DESIGN 10's target, in microseconds, where there is one.
var goBenchmarks = []struct {
	pkg, name, says string
	limit           float64
}{
	{"plugin/request", "Transform/100KB", "transform a body of 100 KB", 0},
	{"plugin/request", "Transform/1MB", "transform a body of 1 MB", 3000},
	{"plugin/request", "Transform/1MB_ids", "transform 1 MB, an edit in each item", 3000},
	{"plugin/request", "Transform/5MB", "transform a body of 5 MB", 0},
	{"plugin", "Decide", "decide on an answer", 0},
	{"pool", "Choose/accounts=1", "choose among 1 account", 0},
	{"pool", "Choose/accounts=20", "choose among 20 accounts", 2},
	{"pool", "Choose/accounts=1000", "choose among 1,000 accounts", 50},
	{"pool", "Choose/accounts=10000", "choose among 10,000 accounts", 0},
	{"pool", "LearnAndChoose/accounts=20", "learn an answer, then choose for a new session, 20 accounts", 0},
	{"pool", "LearnAndChoose/accounts=1000", "the same, 1,000 accounts", 0},
	{"pool", "LearnAndChoose/accounts=10000", "the same, 10,000 accounts", 0},
	{"pool", "Take/accounts=20", "choose and bind, with the look at the disk, 20 accounts", 0},
	{"pool", "Take/accounts=1000", "the same, 1,000 accounts", 0},
	{"pool", "Take/accounts=10000", "the same, 10,000 accounts", 0},
	{"pool", "Sessions/sessions=1000", "find the account of one session of 1,000", 0},
	{"pool", "Sessions/sessions=10000", "find the account of one session of 10,000", 0},
	{"pool", "Sessions/sessions=100000", "find the account of one session of 100,000", 0},
	{"pool", "WriteBehind/accounts=20,sessions=100", "write the quota book, behind the calls: 20 accounts, 100 sessions", 0},
	{"pool", "WriteBehind/accounts=1000,sessions=4096", "the same: 1,000 accounts, 4,096 sessions", 0},
	{"plugin", "Prepare/accounts=1", "prepare a call of 100 KB, 1 account", 0},
	{"plugin", "Prepare/accounts=20", "prepare a call of 100 KB, 20 accounts", 0},
	{"plugin", "Prepare/accounts=1000", "prepare a call of 100 KB, 1,000 accounts", 0},
	{"plugin", "Prepare/accounts=10000", "prepare a call of 100 KB, 10,000 accounts", 0},
	{"plugin", "PrepareAllLimited/accounts=20", "refuse a call, all of 20 accounts limited", 0},
	{"plugin", "PrepareAllLimited/accounts=1000", "refuse a call, all of 1,000 accounts limited", 0},
	{"plugin", "Answer", "judge an answer and learn from its end", 0},
	{"plugin", "Ledger/lines=0", "add a line to an empty ledger", 0},
	{"plugin", "Ledger/lines=9000", "add a line to a month of 9,000 lines", 0},
	{"plugin", "Usage/lines=9000", "`usage` over a month of 9,000 calls", 0},
	{"plugin", "Usage/lines=108000", "`usage` over a year of 108,000 calls", 0},
}

// functionRows runs the Go benchmarks of the packages; what a figure needs of
// them is their medians over several runs.
func (b *bench) functionRows() []figure {
	results := map[string][]float64{}
	allocs := map[string][]float64{}
	var raw strings.Builder
	for _, pkg := range []string{"plugin/request", "pool", "plugin"} {
		out := string(b.command(os.Environ(), "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-count", strconv.Itoa(benchCount), "-benchtime", benchTime, "codex-rota/"+pkg))
		raw.WriteString(out)
		for _, line := range benchLine.FindAllStringSubmatch(out, -1) {
			key := pkg + " " + line[1]
			nanoseconds, _ := strconv.ParseFloat(line[2], 64) // the pattern lets only numbers through
			results[key] = append(results[key], nanoseconds/1000)
			if line[3] != "" {
				n, _ := strconv.ParseFloat(line[3], 64)
				allocs[key] = append(allocs[key], n)
			}
		}
	}
	b.keepRaw(raw.String())
	var rows []figure
	for _, g := range goBenchmarks {
		key := g.pkg + " " + g.name
		if len(results[key]) == 0 {
			b.t.Errorf("there is no benchmark %s in %s", g.name, g.pkg)
			continue
		}
		f := sample(g.says, "µs", results[key], nil, nil)
		if g.limit > 0 {
			f = f.atMost(g.limit)
		}
		rows = append(rows, f)
	}
	for _, size := range []string{"100KB", "5MB"} {
		f := sample("transform a body of "+size+": allocations", "", allocs["plugin/request Transform/"+size], nil, nil)
		f.P90 = nil
		rows = append(rows, f)
	}
	return rows
}

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op(?:.*?([0-9]+) allocs/op)?`)

// rawBenchmarks is what benchstat reads, kept for whoever wants to compare.
var rawBenchmarks = filepath.Join("..", "..", "artifacts", "bench.txt")

func (b *bench) keepRaw(text string) {
	b.t.Helper()
	err := os.MkdirAll(filepath.Dir(rawBenchmarks), 0o755)
	if err == nil {
		err = os.WriteFile(rawBenchmarks, []byte(text), 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// spread is benchstat's view of the Go benchmarks.
func (b *bench) spread() string {
	out, err := exec.CommandContext(b.t.Context(), "go", "run", benchstatVersion, "-table", "pkg", "-row", ".fullname", "-col", "goos", rawBenchmarks).Output()
	if err != nil {
		b.note("benchstat: it could not be fetched (%v); the medians above are made without it.", err)
		return ""
	}
	return string(out)
}
