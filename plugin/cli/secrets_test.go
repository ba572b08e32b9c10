package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"codex-rota/plugin"
)

// marks are all tokens that the seats of a rig ever had, for a search at the end.
type marks struct {
	r     *rig
	seen  map[string]bool
	words map[string]bool // the tokens, and the parts that would give one away
	found int             // where they may be
}

func newMarks(r *rig) *marks {
	m := &marks{r: r, words: map[string]bool{}, seen: map[string]bool{}}
	m.collect()
	return m
}

// collect notes the tokens of now.
func (m *marks) collect() {
	for _, seat := range m.r.seats {
		tokens := seat.Tokens()
		if m.seen[tokens.Access] {
			continue
		}
		m.seen[tokens.Access] = true
		m.words[tokens.Refresh] = true
		for _, token := range []string{tokens.Access, tokens.ID} {
			for _, part := range strings.Split(token, ".")[1:] { // the head is the same in all
				m.words[part] = true
			}
		}
	}
}

func (m *marks) in(text []byte) string {
	for word := range m.words {
		if bytes.Contains(text, []byte(word)) {
			return word
		}
	}
	return ""
}

// watch looks at the arguments and the environment of the running process.
func (m *marks) watch(h *wireHost) {
	m.r.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(h.cmd.Process.Pid))
	if _, err := os.Stat(proc); err != nil {
		m.r.t.Log("SKIPPED: no /proc on this system, so arguments and environment are not searched")
		return
	}
	for _, name := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil || len(b) == 0 {
			m.r.t.Errorf("%s of the process: %d bytes, %v", name, len(b), err)
		}
		if word := m.in(b); word != "" {
			m.r.t.Errorf("%s of the process holds %s", name, word)
		}
	}
}

// authorization is where an access token may be on the wire: the header of a
// prepared request.
var authorization = regexp.MustCompile(`\["authorization","Bearer [A-Za-z0-9._-]+"\]`)

// search looks through all that was written: stdout (answers, errors, toasts),
// stderr and every file of the home: logs, caches and temporary files among them.
func (m *marks) search(h *wireHost) {
	m.r.t.Helper()
	if word := m.in(h.stderr.Bytes()); word != "" {
		m.r.t.Errorf("stderr holds %s", word)
	}
	for _, line := range h.heard {
		rest := line
		if strings.Contains(line, `"account":`) { // prepare's answer, or a retry
			rest = authorization.ReplaceAllString(line, "")
			m.found += strings.Count(line, "Bearer ")
		}
		if word := m.in([]byte(rest)); word != "" {
			m.r.t.Errorf("stdout holds %s in %s", word, rest)
		}
	}
	err := filepath.WalkDir(m.r.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(m.r.root(), path)
		if err != nil {
			return err
		}
		word := m.in(b)
		switch {
		case word == "":
		case name == "openai-codex-accounts.json", name == "openai-codex-flagged-accounts.json",
			filepath.Dir(name) == "backups",
			filepath.Dir(name) == "locks" && strings.HasSuffix(name, ".intent"):
			m.found++
		default:
			m.r.t.Errorf("%s holds %s", name, word)
		}
		return nil
	})
	if err != nil {
		m.r.t.Error(err)
	}
	if m.found < 2 {
		m.r.t.Errorf("tokens were found in %d places: the search is blind", m.found)
	}
}

// accountStates gives the accounts by label.
func (r *rig) accountStates() map[string]plugin.Account {
	r.t.Helper()
	accounts := map[string]plugin.Account{}
	for _, a := range decode[struct{ Accounts []plugin.Account }](r.t, r.must("list", "--json")).Accounts {
		accounts[a.Label] = a
	}
	return accounts
}
