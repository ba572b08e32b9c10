package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// procs sees the processes below this one as everybody on the machine can: by
// /proc/PID/cmdline and environ. Where there is no /proc it sees nothing.
type procs struct {
	mu     sync.Mutex
	since  map[int]time.Time // when each living process was seen first
	family map[int]bool      // those below this process
	texts  map[int][]string
}

var seenProcesses = &procs{since: map[int]time.Time{}, family: map[int]bool{os.Getpid(): true}, texts: map[int][]string{}}

// youth is for how long a process is looked at: at first it is still its parent's
// image, on a busy machine for many looks.
const youth = time.Second

// follow looks again and again until stop is closed.
func (p *procs) follow(stop <-chan struct{}) {
	for {
		p.look()
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *procs) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	alive := map[int]time.Time{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		first, known := p.since[pid]
		if !known {
			first = time.Now()
			p.family[pid] = p.isBelow(pid) || isOurs(pid)
		}
		alive[pid] = first
		if pid == os.Getpid() || !p.family[pid] || time.Since(first) > youth {
			continue
		}
		dir := filepath.Join("/proc", entry.Name())
		arguments, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		environment, err2 := os.ReadFile(filepath.Join(dir, "environ"))
		text := string(arguments) + "\x00" + string(environment)
		if err == nil && err2 == nil && !slices.Contains(p.texts[pid], text) { // else it has ended
			p.texts[pid] = append(p.texts[pid], text)
		}
	}
	p.since = alive
}

// isBelow climbs from a new process to this one: those between may be as new.
func (p *procs) isBelow(pid int) bool {
	for pid > 1 {
		if pid == os.Getpid() {
			return true
		}
		if _, known := p.since[pid]; known {
			return p.family[pid]
		}
		pid = parentOf(filepath.Join("/proc", strconv.Itoa(pid)))
	}
	return false
}

// isOurs reports whether a process is the binary under test: of a front end the
// parent, a token command of a few milliseconds, may be over before the first look.
func isOurs(pid int) bool {
	program, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	return err == nil && program == binary
}

// parentOf reads the fourth field of stat; the second is a name in brackets that
// may hold anything.
func parentOf(dir string) int {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}

// of gives what was seen of the processes that know this folder, and forgets it.
func (p *procs) of(dir string) (texts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pid, seen := range p.texts {
		kept := seen[:0]
		for _, text := range seen {
			if strings.Contains(text, dir) {
				texts = append(texts, text)
			} else {
				kept = append(kept, text)
			}
		}
		if p.texts[pid] = kept; len(kept) == 0 {
			delete(p.texts, pid)
		}
	}
	return texts
}

// saw reports whether a process that knows this folder had these arguments.
func (p *procs) saw(dir, arguments string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, texts := range p.texts {
		for _, text := range texts {
			if strings.Contains(text, dir) && strings.Contains(text, arguments) {
				return true
			}
		}
	}
	return false
}
