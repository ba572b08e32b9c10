package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"codex-rota/plugin/sim"
)

// witness keeps all that the processes of one playground say and are started
// with, and finds every token in it that is not where it belongs: in the accounts
// file, its backups and intents, in requests to its own endpoint, and, access
// tokens, in a prepared request's header and in what `token` prints.
type witness struct {
	p    *playground
	temp string // the test's temporary folders

	mu      sync.Mutex
	heard   []*testimony
	starts  []*exec.Cmd
	allowed map[string]bool // files that the test itself put tokens into
}

// testimony is one stream that a process wrote.
type testimony struct {
	name string
	may  speech
	transcript
}

// speech is which tokens a stream may hold.
type speech int

const (
	saysNothing  speech = iota
	saysProtocol        // access tokens in the headers of prepared requests
	saysToken           // one access token, and nothing beside it
)

// testified counts what all witnesses of this run looked through.
var testified struct {
	playgrounds, tokens, streams, bytes, files, found, requests, processes atomic.Int64
}

func newWitness(p *playground, temp string) *witness {
	return &witness{p: p, temp: temp, allowed: map[string]bool{}}
}

// hear makes a place for one more stream.
func (w *witness) hear(name string, may speech) *testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &testimony{name: name, may: may}
	w.heard = append(w.heard, t)
	return t
}

// started notes a process with its arguments and environment.
func (w *witness) started(cmd *exec.Cmd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.starts = append(w.starts, cmd)
}

// watch notes a process that is about to start, and listens to its stdout and
// stderr beside who is to get them. Pipes are not listened to.
func (w *witness) watch(cmd *exec.Cmd) {
	w.started(cmd)
	command, may := "", saysNothing
	if len(cmd.Args) > 1 {
		command = cmd.Args[1]
	}
	switch command {
	case "serve":
		may = saysProtocol
	case "token":
		may = saysToken
	}
	listen := func(to io.Writer, name string, may speech) io.Writer {
		if _, pipe := to.(*os.File); pipe && to != os.Stderr {
			return to
		}
		t := w.hear(name+" of "+strings.Join(cmd.Args[1:], " "), may)
		if to == nil {
			return t
		}
		return io.MultiWriter(to, t)
	}
	cmd.Stdout = listen(cmd.Stdout, "stdout", may)
	cmd.Stderr = listen(cmd.Stderr, "stderr", saysNothing)
}

// allow names files that the test itself puts tokens into, as a person or another
// tool would.
func (w *witness) allow(paths ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, path := range paths {
		w.allowed[path] = true
	}
}

// marks are the tokens of a simulation and the parts that would give one away.
type marks struct {
	words  [][]byte
	access map[string]bool // whole access tokens
}

func marksOf(issued []sim.Tokens) marks {
	m := marks{access: map[string]bool{}}
	for _, tokens := range issued {
		m.access[tokens.Access] = true
		m.words = append(m.words, []byte(tokens.Refresh))
		for _, token := range []string{tokens.Access, tokens.ID} {
			for _, part := range strings.Split(token, ".")[1:] { // the head is the same in all
				m.words = append(m.words, []byte(part))
			}
		}
	}
	return m
}

// in gives the mark that the text holds, "" for none.
func (m marks) in(text []byte) string {
	for _, word := range m.words {
		if bytes.Contains(text, word) {
			return string(word)
		}
	}
	return ""
}

// leaks searches everything and says where a token is that has no business there.
func (w *witness) leaks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := marksOf(w.p.sim.Issued())
	testified.playgrounds.Add(1)
	testified.tokens.Add(int64(len(m.access)) * 3)
	return slices.Concat(w.leaksHeard(m), w.leaksStarted(m), w.leaksSent(m), w.leaksKept(m))
}

// authorization is where an access token may be on the wire.
var authorization = regexp.MustCompile(`\["authorization","Bearer [A-Za-z0-9._-]+"\]`)

func (w *witness) leaksHeard(m marks) (leaks []string) {
	for _, t := range w.heard {
		testified.streams.Add(1)
		text := t.whole()
		testified.bytes.Add(int64(len(text)))
		for line := range bytes.Lines(text) {
			switch {
			case t.may == saysToken && m.access[strings.TrimSpace(string(line))]:
				testified.found.Add(1)
				continue
			case t.may == saysProtocol && bytes.Contains(line, []byte(`"account":`)): // prepare's answer, or a retry
				testified.found.Add(int64(bytes.Count(line, []byte("Bearer "))))
				line = authorization.ReplaceAll(line, nil)
			}
			if word := m.in(line); word != "" {
				leaks = append(leaks, fmt.Sprintf("%s holds %s in %.300q", t.name, word, line))
			}
		}
	}
	return leaks
}

// leaksStarted looks at arguments and environments: of the processes that the
// test started, and of those that were seen in /proc below them.
func (w *witness) leaksStarted(m marks) (leaks []string) {
	texts := seenProcesses.of(w.p.dir)
	for _, cmd := range w.starts {
		texts = append(texts, strings.Join(append(cmd.Args, cmd.Env...), "\x00"))
	}
	for _, text := range texts {
		testified.processes.Add(1)
		if word := m.in([]byte(text)); word != "" {
			leaks = append(leaks, fmt.Sprintf("arguments or environment hold %s in %.300q", word, text))
		}
	}
	return leaks
}

// leaksSent looks at what the simulation received: each token goes to its own
// endpoint, and none into an address.
func (w *witness) leaksSent(m marks) (leaks []string) {
	for _, c := range w.p.sim.Calls() {
		testified.requests.Add(1)
		body, headers := c.Body, c.Headers.Clone()
		switch c.Kind {
		case sim.KindRefresh:
			body = ""
		case sim.KindResponses, sim.KindModels, sim.KindUsage:
			headers.Del("Authorization")
		}
		var text bytes.Buffer
		if err := headers.Write(&text); err != nil {
			leaks = append(leaks, err.Error())
		}
		if word := m.in(fmt.Appendf(text.Bytes(), "%s\n%s", c.Path, body)); word != "" {
			leaks = append(leaks, fmt.Sprintf("the %s request to %s holds %s where it does not belong", c.Kind, c.Path, word))
		}
	}
	return leaks
}

// leaksKept looks through every file of the home and of the test's temporary
// folders: logs, caches and temporary files among them.
func (w *witness) leaksKept(m marks) (leaks []string) {
	for _, dir := range []string{w.p.dir, w.temp} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return ignoreGone(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return ignoreGone(err)
			}
			testified.files.Add(1)
			word := m.in(b)
			switch {
			case word == "":
			case w.allowed[path], w.belongs(path):
				testified.found.Add(1)
			default:
				leaks = append(leaks, fmt.Sprintf("%s holds %s", path, word))
			}
			return nil
		})
		if err != nil {
			leaks = append(leaks, fmt.Sprintf("not searched: %v", err))
		}
	}
	return leaks
}

// ignoreGone lets a file be removed by a process that is just ending.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// belongs tells the accounts files, their backups and the intents from all other
// files, through symlinks too.
func (w *witness) belongs(path string) bool {
	const accounts, flagged = "openai-codex-accounts.json", "openai-codex-flagged-accounts.json"
	real := func(path string) string {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			return resolved
		}
		return path
	}
	path, root := real(path), real(w.p.root())
	file := real(filepath.Join(root, accounts))
	if path == file {
		return true
	}
	for _, base := range []string{root, filepath.Dir(file)} {
		name, err := filepath.Rel(base, path)
		if err != nil {
			return false
		}
		switch folder := filepath.Dir(name); {
		case name == accounts, name == flagged, folder == "backups",
			folder == "locks" && strings.HasSuffix(name, ".intent"):
			return true
		}
	}
	return false
}

// figuresOfWitnesses sums up what was searched in this run.
func figuresOfWitnesses() string {
	c := &testified
	return fmt.Sprintf("figures: secrets: %d tokens of %d playgrounds were looked for in %d streams of %d MiB, %d files, the arguments and environments of %d processes and %d requests; they were found %d times, where they belong",
		c.tokens.Load(), c.playgrounds.Load(), c.streams.Load(), c.bytes.Load()>>20, c.files.Load(), c.processes.Load(), c.requests.Load(), c.found.Load())
}
