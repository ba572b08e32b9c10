package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// procs sees the processes below this one as everybody on the machine can: by
// /proc/PID/cmdline and environ. Where there is no /proc it sees nothing.
type procs struct {
	mu     sync.Mutex
	looks  map[int]int  // how often each living process was looked at
	family map[int]bool // those below this process
	texts  map[int][]string
}

var seenProcesses = &procs{looks: map[int]int{}, family: map[int]bool{os.Getpid(): true}, texts: map[int][]string{}}

// looksEach is how often one process is looked at: at first it may still be its
// parent's image.
const looksEach = 3

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
	alive := map[int]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		alive[pid] = p.looks[pid] + 1
		if pid == os.Getpid() || alive[pid] > looksEach {
			continue
		}
		dir := filepath.Join("/proc", entry.Name())
		if alive[pid] == 1 {
			p.family[pid] = p.family[parentOf(dir)]
		}
		if !p.family[pid] {
			continue
		}
		arguments, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		environment, err2 := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && err2 == nil { // else it has ended
			p.texts[pid] = append(p.texts[pid], string(arguments)+"\x00"+string(environment))
		}
	}
	p.looks = alive
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
