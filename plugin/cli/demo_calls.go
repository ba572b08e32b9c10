package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// verdicts are the request log's last words on each answer, in order, by the
// status that came.
type verdicts struct {
	lines []verdictLine
}

type verdictLine struct {
	Event   string `json:"event"`
	Status  int    `json:"status"`
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
	used    bool
}

func readVerdicts(dir string) (*verdicts, error) {
	f, err := os.Open(filepath.Join(dir, logging.RequestsLog))
	if err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	defer f.Close()
	v := &verdicts{}
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 8<<20)
	for scan.Scan() {
		var line verdictLine
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("request log: %w", err)
		}
		if line.Verdict != "" && line.Verdict != plugin.VerdictMore {
			v.lines = append(v.lines, line)
		}
	}
	return v, scan.Err()
}

// of gives the first verdict on an answer of the call's status that was not
// given to an earlier call.
func (v *verdicts) of(call sim.Call) (verdict, why string) {
	for i := range v.lines {
		if l := &v.lines[i]; !l.used && l.Status == call.Status {
			l.used = true
			return l.Verdict, strings.ReplaceAll(l.Why, "_", " ")
		}
	}
	return "", ""
}

// judgeDemo holds what the demo promised against what happened.
func judgeDemo(p *playground, answer, second string) error {
	if !strings.Contains(answer, second) {
		return fmt.Errorf("demo: the answer did not come from %q", second)
	}
	refused := 0
	for _, call := range p.sim.Calls(sim.KindResponses) {
		if call.Refused != "" || slices.Contains(call.Notes, sim.NoteLimited) {
			return fmt.Errorf("demo: the simulated backend objects: %s %s", call.Refused, strings.Join(call.Notes, "; "))
		}
		if call.Status != 200 {
			refused++
		}
	}
	if refused == 0 {
		return fmt.Errorf("demo: the limit was never met")
	}
	return nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}
