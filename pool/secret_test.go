package pool

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The tokens of this package's issuer are marked: refresh tokens in clear, access
// tokens in a claim, which is base64 at any of three places.
const secretMark = "t-MARK-"

func secretMarks() [][]byte {
	marks := [][]byte{[]byte(secretMark)}
	for shift := range 3 {
		text := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secretMark))
		whole := len(secretMark) + shift - (len(secretMark)+shift)%3
		marks = append(marks, []byte(text[(shift*8+5)/6:whole/3*4]))
	}
	return marks
}

func marked(text []byte) bool {
	for _, mark := range secretMarks() {
		if bytes.Contains(text, mark) {
			return true
		}
	}
	return false
}

// searched says how much a search looked through.
type searched struct{ processes, looks, bytes, files, found int }

// spy is a process of a test whose output, arguments and environment are searched.
type spy struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func (r *rig) spy(job, kill string) *spy {
	s := &spy{cmd: r.child(job, kill)}
	s.cmd.Env = append(s.cmd.Env, "TMPDIR="+r.dir)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	return s
}

// look searches what everybody on the machine can see of a running process.
func (s *spy) look(t *testing.T, n *searched) {
	t.Helper()
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), name))
		if err != nil {
			continue // it has ended, or there is no /proc here
		}
		n.looks++
		if marked(text) {
			t.Errorf("%s of a process holds a token", name)
		}
	}
}

// ended searches the rest of a process.
func (s *spy) ended(t *testing.T, n *searched) {
	t.Helper()
	n.processes++
	n.bytes += s.out.Len()
	if marked(s.out.Bytes()) {
		t.Errorf("a process said a token: %s", s.out.Bytes())
	}
	if marked([]byte(strings.Join(append(s.cmd.Args, s.cmd.Env...), "\n"))) {
		t.Error("a process was started with a token")
	}
}

// search looks through the folder: tokens are in the accounts files, their backups
// and the intents.
func (r *rig) search(n *searched) {
	r.t.Helper()
	err := filepath.WalkDir(r.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.dir, path)
		n.files++
		switch folder := filepath.Dir(name); {
		case !marked(text):
		case name == accountsName, name == flaggedName, folder == "backups", folder == "locks" && strings.HasSuffix(name, ".intent"):
			n.found++
		default:
			r.t.Errorf("%s holds a token", name)
		}
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
}

// TestProcessesKeepSecrets has processes do what those of the other tests do, a
// herd that refreshes, edits, and kills at each step and at any moment, and then
// searches all that they said, were started with and left.
func TestProcessesKeepSecrets(t *testing.T) {
	var n searched
	const accounts = 4
	newPool := func(t *testing.T) *rig {
		r := newRig(t)
		for i := range accounts {
			r.add(person{fmt.Sprintf("W%d", i), fmt.Sprintf("u%d", i), ""}, -time.Second)
		}
		backdate(t, filepath.Join(r.dir, accountsName))
		r.issuer.set(func(i *issuer) { i.hold = func() { time.Sleep(20 * time.Millisecond) } })
		return r
	}
	run := func(t *testing.T, r *rig, kill string, jobs ...string) {
		var spies []*spy
		for _, job := range jobs {
			s := r.spy(job, kill)
			if err := s.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			spies = append(spies, s)
		}
		for i, s := range spies {
			s.look(t, &n)
			if jobs[i] == "load" { // it works until it is killed
				time.Sleep(time.Duration(10+20*i) * time.Millisecond)
				s.look(t, &n)
				_ = s.cmd.Process.Kill()
			}
			_ = s.cmd.Wait() // a kill is an error too
			s.ended(t, &n)
		}
		// What a killed process left of a write is swept by the next one.
		list, err := r.Accounts()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Update(t.Context(), list[0].ID, func(a *Account) error { a.Note = "last"; return nil }); err != nil {
			t.Error(err)
		}
		r.search(&n)
	}
	t.Run("herd", func(t *testing.T) { run(t, newPool(t), "", "token", "token", "token", "token") })
	t.Run("edits", func(t *testing.T) { run(t, newPool(t), "", "edit", "edit", "edit") })
	t.Run("load", func(t *testing.T) { run(t, newPool(t), "", "load", "load", "load", "load") })
	for _, step := range []string{"locked", "intent written", "answered", "answer noted", "committed", "remembered", "cleared"} {
		t.Run("killed when "+step, func(t *testing.T) { run(t, newPool(t), step, "token") })
	}
	if n.found < 10 {
		t.Errorf("tokens were found in %d files: the search is blind", n.found)
	}
	t.Logf("figures: %d processes were searched: %d bytes that they said, arguments and environments at %d looks, %d files; tokens were found in %d files, where they belong",
		n.processes, n.bytes, n.looks, n.files, n.found)
}

// The marks are found in what they are to be found in.
func TestSecretMarks(t *testing.T) {
	for _, mark := range []string{"at-MARK-1", "at-MARK-22", "at-MARK-333"} {
		for _, seat := range []person{anna, bert, {"W", "u", ""}, {"W", "uu", ""}} {
			if token := seat.jwt(time.Unix(1, 0), mark); !marked([]byte(token)) || marked([]byte(seat.account+seat.user)) {
				t.Errorf("not found in %s", token)
			}
		}
	}
}
