package cli

import (
	"encoding/json"
	"fmt"
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
	logging.Event
	used bool
}

func readVerdicts(dir string) (*verdicts, error) {
	tail, err := logging.OpenRequestTail(dir)
	if err != nil {
		return nil, err
	}
	defer tail.Close()
	lines, err := tail.Last(-1)
	if err != nil {
		return nil, err
	}
	v := &verdicts{}
	for _, text := range lines {
		var line verdictLine
		if err := json.Unmarshal(text, &line.Event); err != nil {
			return nil, fmt.Errorf("request log: %w", err)
		}
		if line.Verdict != "" && line.Verdict != plugin.VerdictMore {
			v.lines = append(v.lines, line)
		}
	}
	return v, nil
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

// judgeDemo holds what the demo promised against what happened: the answer, what
// OpenCode said on stderr, and the model calls that the simulation received.
func judgeDemo(calls []sim.Call, answer, said, second string) error {
	if complaint := errorLine(said); complaint != "" {
		return fmt.Errorf("demo: the person sees an error: %s", complaint)
	}
	if !strings.Contains(answer, second) {
		return fmt.Errorf("demo: the answer did not come from %q", second)
	}
	refused := 0
	for _, call := range calls {
		if call.Refused != "" {
			return fmt.Errorf("demo: the simulated backend objects: %s", call.Refused)
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

// errorLine is the first line in which OpenCode tells of an error, without its
// colours: "Error: …", whatever its exit code. "" when there is none.
func errorLine(said string) string {
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(uncoloured(line))
		if strings.HasPrefix(line, "Error:") {
			return line
		}
	}
	return ""
}

// uncoloured is text without what tells a terminal of colours.
func uncoloured(text string) string {
	var plain strings.Builder
	for {
		before, rest, found := strings.Cut(text, "\x1b[")
		plain.WriteString(before)
		if !found {
			return plain.String()
		}
		end := strings.TrimLeft(rest, "0123456789;")
		if text, found = strings.CutPrefix(end, "m"); !found {
			plain.WriteString("\x1b[") // it tells of something else
			text = rest
		}
	}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}
