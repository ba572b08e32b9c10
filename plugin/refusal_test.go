package plugin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// retryPattern is what OpenCode repeats a call for, as read from its binary.
func retryPattern(t *testing.T) (patterns []*regexp.Regexp, thrown []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "opencode-retry-pattern.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Patterns, Thrown []string }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Patterns {
		patterns = append(patterns, regexp.MustCompile("(?i)"+p))
	}
	if len(patterns) == 0 || len(file.Thrown) == 0 {
		t.Fatal("the fixture is empty")
	}
	return patterns, file.Thrown
}

// TestRefusalsEndTheTurn: every error's response is one that OpenCode shows once
// and does not repeat, and that Codex takes as final.
func TestRefusalsEndTheTurn(t *testing.T) {
	patterns, thrown := retryPattern(t)
	now := time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)
	for _, code := range []Code{CodeTooLarge, CodeProtocolMismatch, CodeNoAccounts, modelNotServed, CodeLoginRequired, CodeAllLimited, CodePinnedUnavailable,
		CodeUpstreamUnreachable, CodeStoreUnreadable, CodeStoreConflict, CodeCancelled, CodeInternal} {
		for _, accounts := range [][]AccountState{nil, {{ID: "acct_000000000429", Label: "rate limit", State: "ready"}}, make([]AccountState, 429)} {
			for _, retryAt := range []time.Time{{}, now.Add(2*time.Hour + 29*time.Minute), now.Add(100 * time.Hour)} {
				e := refusal(code, retryAt, accounts, now)
				for _, host := range []string{HostOpenCode, ""} {
					r := hostResponse(host, e)
					if r.Status != 403 {
						t.Errorf("%s: status %d for %q", code, r.Status, host)
					}
					for _, p := range patterns {
						if p.MatchString(r.Body) || p.MatchString(e.Message) {
							t.Errorf("%s: OpenCode repeats on %v: %s", code, p, r.Body)
						}
					}
					for _, word := range thrown {
						if strings.Contains(strings.ToLower(e.Message), word) {
							t.Errorf("%s: OpenCode repeats a thrown %q: %s", code, word, e.Message)
						}
					}
					if strings.Contains(r.Body, "acct_") {
						t.Errorf("%s: the words hold an id: %s", code, r.Body)
					}
				}
				for _, h := range hostResponse(HostOpenCode, e).Headers {
					if strings.EqualFold(h[0], "retry-after") {
						t.Errorf("%s: has Retry-After", code)
					}
				}
				if r := hostResponse(HostCodex, e); r.Status != 400 && r.Status != 429 || r.Status == 429 && !strings.Contains(r.Body, "usage_limit_reached") {
					t.Errorf("%s: for Codex %d %s", code, r.Status, r.Body)
				}
			}
		}
	}
}

func TestCodexGetsResetsAt(t *testing.T) {
	now := time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)
	e := refusal(CodeAllLimited, now.Add(time.Hour), nil, now)
	var body struct {
		Error struct {
			Type     string `json:"type"`
			ResetsAt int64  `json:"resets_at"`
		} `json:"error"`
	}
	r := hostResponse(HostCodex, e)
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
		t.Fatal(err)
	}
	if r.Status != 429 || body.Error.Type != "usage_limit_reached" || body.Error.ResetsAt != now.Add(time.Hour).Unix() {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
}
