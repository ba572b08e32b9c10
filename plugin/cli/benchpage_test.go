package cli

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// benchmarks is what `make bench` measured in one run; BENCHMARKS.md is its page.
type benchmarks struct {
	Date     string         `json:"date"`
	Machine  string         `json:"machine"`
	Versions string         `json:"versions"`
	Notes    []string       `json:"notes,omitempty"` // what could not be measured, and what stood in the way
	Sections []benchSection `json:"sections"`
	Spread   string         `json:"spread,omitempty"` // benchstat's view of the Go benchmarks
}

// benchSection is a part of the run that can be had by itself: Command runs it.
type benchSection struct {
	Title   string   `json:"title"`
	Command string   `json:"command"`
	About   string   `json:"about"`
	Rows    []figure `json:"rows"`
}

// figure is one measured thing: medians, all of the same run. What was not
// measured is nil.
type figure struct {
	Name        string   `json:"name"`
	Unit        string   `json:"unit"`
	Ours        float64  `json:"ours"`
	P90         *float64 `json:"p90,omitempty"`
	Floor       *float64 `json:"floor,omitempty"`
	Alternative *float64 `json:"alternative,omitempty"`
	Target      string   `json:"target,omitempty"` // DESIGN 10's words
	Met         *bool    `json:"met,omitempty"`
	Samples     int      `json:"samples,omitempty"`
}

// sample makes a figure of what was measured for us, with the median of floor and
// alternative, each of which may be empty.
func sample(name, unit string, ours, floor, alternative []float64) figure {
	f := figure{Name: name, Unit: unit, Ours: quantile(ours, 0.5), Samples: len(ours)}
	if len(ours) > 1 {
		f.P90 = new(quantile(ours, 0.9))
	}
	if len(floor) > 0 {
		f.Floor = new(quantile(floor, 0.5))
	}
	if len(alternative) > 0 {
		f.Alternative = new(quantile(alternative, 0.5))
	}
	return f
}

// atMost says what the figure should be: ours at most limit, in its own unit.
func (f figure) atMost(limit float64) figure {
	f.Target, f.Met = fmt.Sprintf("≤ %g %s", limit, f.Unit), new(f.Ours <= limit)
	return f
}

// atLeast is atMost's other side.
func (f figure) atLeast(limit float64) figure {
	f.Target, f.Met = fmt.Sprintf("≥ %g %s", limit, f.Unit), new(f.Ours >= limit)
	return f
}

// besides holds ours against floor and alternative, by the most that ours may be
// of each. What was not measured decides nothing.
func (f figure) besides(ofFloor, ofAlternative float64) figure {
	f.Target, f.Met = fmt.Sprintf("≤ %g × floor, ≤ %g × alternative", ofFloor, ofAlternative), new(true)
	if f.Floor != nil {
		*f.Met = *f.Met && f.Ours <= ofFloor**f.Floor
	}
	if f.Alternative != nil {
		*f.Met = *f.Met && f.Ours <= ofAlternative**f.Alternative
	}
	return f
}

// quantile of samples, which are put in order; 0 of none.
func quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	slices.Sort(samples)
	at := q * float64(len(samples)-1)
	low := int(at)
	high := min(low+1, len(samples)-1)
	return samples[low] + (samples[high]-samples[low])*(at-float64(low))
}

// table is a section's rows in Markdown.
func (s benchSection) table() string {
	var b strings.Builder
	b.WriteString("| figure | ours, median | p90 | floor | alternative | ours ÷ floor | ours ÷ alternative | target | met |\n|---|--:|--:|--:|--:|--:|--:|---|---|\n")
	for _, f := range s.Rows {
		met := ""
		if f.Met != nil {
			met = map[bool]string{true: "yes", false: "**no**"}[*f.Met]
		}
		cells := []string{f.Name, number(&f.Ours) + " " + f.Unit, number(f.P90), number(f.Floor), number(f.Alternative),
			ratio(f.Ours, f.Floor), ratio(f.Ours, f.Alternative), f.Target, met}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return b.String()
}

// number shows three digits, and more only where they stand before the point.
func number(v *float64) string {
	switch {
	case v == nil:
		return ""
	case *v == 0 || math.Abs(*v) >= 100:
		return fmt.Sprintf("%.0f", *v)
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(*v)))))
	return fmt.Sprintf("%.*f", min(decimals, 4), *v)
}

func ratio(ours float64, other *float64) string {
	if other == nil || *other == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", ours/(*other))
}

// page is BENCHMARKS.md.
func (m benchmarks) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Made by %s, not by hand: %s, %s; %s.
Every ratio is of two medians of the same run, taken in turns. Another machine has other times and much the same ratios.

- **floor**: the least that the thing could cost here. For a model call the same shim and the same bytes through the same pipe to a child that answers at once with no edits (`+"`testdata/bench/floor`"+`); for a command a Go program that prints a line (`+"`testdata/bench/hello`"+`); for the front end the same client straight at the same upstream.
- **alternative**: the npm plugin `+"`%s`"+` in the host's process: one account, no pool, no fail-over. It reads and rewrites the body in JavaScript.
- **target**: what the design asks for.
`, "`make bench`", m.Date, m.Machine, m.Versions, alternativePackage)
	for _, note := range m.Notes {
		fmt.Fprintf(&b, "\n**Note**: %s\n", note)
	}
	for _, s := range m.Sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```sh\n%s\n```\n\n%s", s.Title, s.About, s.Command, s.table())
	}
	if m.Spread != "" {
		fmt.Fprintf(&b, "\nHow sure the times of the functions are, as benchstat sees it:\n\n```\n%s\n```\n", strings.TrimSpace(m.Spread))
	}
	return b.String()
}

// alternativePackage is what the shim is held against.
const alternativePackage = "opencode-openai-codex-auth@4.4.0"

var (
	benchFigures = filepath.Join("..", "..", "testdata", "bench", "figures.json")
	benchPage    = filepath.Join("..", "..", "BENCHMARKS.md")
)

// renderBenchmarks writes the page anew after a change of its text; `make bench`
// writes both.
var renderBenchmarks = flag.Bool("render-benchmarks", false, "write BENCHMARKS.md from the figures that were measured last")

// TestBenchmarksPage: BENCHMARKS.md says what was measured, and nothing else.
func TestBenchmarksPage(t *testing.T) {
	text, err := os.ReadFile(benchFigures)
	if err != nil {
		t.Fatal(err)
	}
	page := decode[benchmarks](t, string(text)).page()
	if *renderBenchmarks {
		if err := os.WriteFile(benchPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if readProjectFile(t, "BENCHMARKS.md") != page {
		t.Error("BENCHMARKS.md is not what testdata/bench/figures.json gives. Type: go test ./plugin/cli -run TestBenchmarksPage -render-benchmarks")
	}
}

// TestFigures: what the table says of a figure.
func TestFigures(t *testing.T) {
	for _, test := range []struct {
		name   string
		figure figure
		want   string
	}{
		{"within both", sample("a", "ms", []float64{3, 1, 2}, []float64{2}, []float64{8}).besides(1.5, 0.5),
			"| a | 2.00 ms | 2.80 | 2.00 | 8.00 | 1.00 | 0.25 | ≤ 1.5 × floor, ≤ 0.5 × alternative | yes |"},
		{"over the floor", sample("a", "ms", []float64{4}, []float64{2}, []float64{8}).besides(1.5, 0.5),
			"| a | 4.00 ms |  | 2.00 | 8.00 | 2.00 | 0.50 | ≤ 1.5 × floor, ≤ 0.5 × alternative | **no** |"},
		{"over the alternative", sample("a", "ms", []float64{3}, []float64{2}, []float64{5}).besides(1.5, 0.5),
			"| a | 3.00 ms |  | 2.00 | 5.00 | 1.50 | 0.60 | ≤ 1.5 × floor, ≤ 0.5 × alternative | **no** |"},
		{"no alternative", sample("a", "ms", []float64{3}, []float64{2}, nil).besides(1.5, 0.5),
			"| a | 3.00 ms |  | 2.00 |  | 1.50 |  | ≤ 1.5 × floor, ≤ 0.5 × alternative | yes |"},
		{"too much", sample("a", "MiB", []float64{21}, nil, nil).atMost(20), "| a | 21.0 MiB |  |  |  |  |  | ≤ 20 MiB | **no** |"},
		{"too little", sample("a", "/s", []float64{2999}, nil, nil).atLeast(3000), "| a | 2999 /s |  |  |  |  |  | ≥ 3000 /s | **no** |"},
		{"small, and no target", sample("a", "µs", []float64{0.01234}, nil, nil), "| a | 0.0123 µs |  |  |  |  |  |  |  |"},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := strings.Split(strings.TrimSpace(benchSection{Rows: []figure{test.figure}}.table()), "\n")
			if got := lines[len(lines)-1]; got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
