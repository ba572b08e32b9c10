package cli

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// neighbour is a server that answers every request in one hostile way.
type neighbour struct {
	*httptest.Server
	requests atomic.Int64
	bytes    atomic.Int64 // that it could send
}

func newNeighbour(t *testing.T, answer func(n *neighbour, w http.ResponseWriter)) *neighbour {
	n := &neighbour{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.requests.Add(1)
		answer(n, w)
	}))
	t.Cleanup(n.Close)
	return n
}

// endless sends head, and then more of the same as long as anybody takes it.
func endless(head string) func(*neighbour, http.ResponseWriter) {
	chunk := []byte(strings.Repeat(" ", 64<<10))
	return func(n *neighbour, w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(head))
		for {
			k, err := w.Write(chunk)
			n.bytes.Add(int64(k))
			if err != nil {
				return
			}
		}
	}
}

// hostileAnswers are what an endpoint may do to whoever asks it.
func hostileAnswers(head, elsewhere string) map[string]func(*neighbour, http.ResponseWriter) {
	return map[string]func(*neighbour, http.ResponseWriter){
		"endless": endless(head),
		"redirect": func(_ *neighbour, w http.ResponseWriter) {
			w.Header().Set("Location", elsewhere)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"headers": func(_ *neighbour, w http.ResponseWriter) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			w.WriteHeader(200)
		},
	}
}

// TestHostileEndpoints lets each endpoint answer without end, or send us
// elsewhere: the command ends, in bounded time and memory, and no token goes on.
func TestHostileEndpoints(t *testing.T) {
	const mostTime, mostMemory, mostBytes = 20 * time.Second, 256 << 20, 64 << 20
	var slowest time.Duration
	var biggest, bytes int64
	cases := 0
	for _, test := range []struct {
		name, setting string
		head          string
		args          []string
	}{
		{"issuer", "CODEX_ROTA_ISSUER", `{"access_token":"`, []string{"token"}},
		{"usage", "CODEX_ROTA_BACKEND", `{"plan_type":"`, []string{"quota"}},
		{"releases", "CODEX_ROTA_GITHUB_API", `{"tag_name":"`, []string{"instructions", "--refresh"}},
		{"files", "CODEX_ROTA_GITHUB_RAW", `{"models":[`, []string{"instructions", "--refresh"}},
	} {
		elsewhere := newNeighbour(t, func(_ *neighbour, w http.ResponseWriter) { w.WriteHeader(200) })
		for how, answer := range hostileAnswers(test.head, elsewhere.URL) {
			t.Run(test.name+" "+how, func(t *testing.T) {
				r := newRig(t, sim.Seat{Name: "a", Expired: test.name == "issuer"})
				n := newNeighbour(t, answer)
				base := n.URL
				if test.name == "usage" {
					base += "/backend-api"
				}
				ctx, cancel := context.WithTimeout(t.Context(), mostTime)
				defer cancel()
				cmd := exec.CommandContext(ctx, binary, test.args...)
				cmd.Env = r.env(os.Environ(), test.setting+"="+base)
				started := time.Now()
				var said transcript
				cmd.Stdout, cmd.Stderr = &said, &said
				r.witness.watch(cmd)
				err := cmd.Run()
				took := time.Since(started)
				if ctx.Err() != nil || n.requests.Load() == 0 {
					t.Fatalf("%d requests, ended %v after %v: %s", n.requests.Load(), err, took, &said)
				}
				if elsewhere.requests.Load() > 0 {
					t.Error("a redirect was followed")
				}
				if peak := peakOf(cmd.ProcessState); peak > mostMemory {
					t.Errorf("%d MiB in memory", peak>>20)
				} else {
					biggest = max(biggest, peak)
				}
				if sent := n.bytes.Load(); sent > mostBytes {
					t.Errorf("%d MiB were taken of an endless answer", sent>>20)
				}
				if states := r.states(); states["a"] != "ready" {
					t.Errorf("the account is %s now", states["a"])
				}
				for _, word := range []string{"panic", "rt_", "eyJ"} {
					if strings.Contains(said.String(), word) {
						t.Errorf("the person reads %q", &said)
					}
				}
				slowest, bytes, cases = max(slowest, took), max(bytes, n.bytes.Load()), cases+1
			})
		}
	}
	t.Logf("figures: %d hostile answers, the slowest ended after %v, %d MiB in memory at most, at most %d MiB of an endless answer were sent",
		cases, slowest.Round(10*time.Millisecond), biggest>>20, bytes>>20)
}

// TestEndpointsThatAreNotSafe: a token is never sent in clear text over a network,
// wherever the address was written.
func TestEndpointsThatAreNotSafe(t *testing.T) {
	for _, address := range []string{"http://192.0.2.1", "http://localhost.example:80", "http://127.0.0.1.example", "http://127.0.0.1@192.0.2.1", "ftp://127.0.0.1", "//127.0.0.1"} {
		for _, key := range []string{"issuer", "backend", "githubApi", "githubRaw"} {
			r := newRig(t, named("a")...)
			r.writeSettings(`{"` + key + `": "` + address + `"}`)
			_, stderr, _ := r.exit("list")
			if !strings.Contains(stderr, `"`+key+`" wants an https URL`) {
				t.Errorf("%s %s: %q", key, address, stderr)
			}
		}
	}
}

// TestHostileFolders: what somebody else can write or replace is not used, and
// the message names it.
func TestHostileFolders(t *testing.T) {
	give := func(t *testing.T, path string) {
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Skip("SKIPPED: only root can give a file away")
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, r *rig)
		says    string // "" for a pool that is used
	}{
		"symlinked root": {func(t *testing.T, r *rig) {
			real := filepath.Join(r.dir, "real")
			r.do(os.Rename(r.root(), real), os.Symlink(real, r.root()))
		}, ""},
		"root linked into a folder for everybody": {func(t *testing.T, r *rig) {
			open := filepath.Join(r.dir, "open")
			r.do(os.Mkdir(open, 0o700), os.Rename(r.root(), filepath.Join(open, "pool")), os.Symlink(filepath.Join(open, "pool"), r.root()), os.Chmod(open, 0o777))
		}, "is writable by everybody"},
		"folder for everybody": {func(t *testing.T, r *rig) { r.do(os.Chmod(r.dir, 0o777)) }, "is writable by everybody"},
		"another's root":       {func(t *testing.T, r *rig) { give(t, r.root()) }, "belongs to another user"},
		"another's accounts":   {func(t *testing.T, r *rig) { give(t, r.file("openai-codex-accounts.json")) }, "belongs to another user"},
		"another's settings": {func(t *testing.T, r *rig) {
			r.writeSettings(`{"rotation":"spread"}`)
			give(t, r.file("settings.json"))
		}, "belongs to another user"},
		"another's locks":        {func(t *testing.T, r *rig) { give(t, r.file("locks")) }, "belongs to another user"},
		"a pipe for settings":    {func(t *testing.T, r *rig) { r.do(exec.Command("mkfifo", r.file("settings.json")).Run()) }, "is not a regular file"},
		"accounts that are open": {func(t *testing.T, r *rig) { r.do(os.Chmod(r.file("openai-codex-accounts.json"), 0o666)) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, named("a")...)
			test.prepare(t, r)
			access := r.seats[0].Tokens().Access
			stdout, stderr, code := r.exit("token")
			if test.says == "" {
				if code != 0 || !strings.Contains(stdout, access) {
					t.Errorf("exit %d, %q", code, stderr)
				}
				if info, err := os.Stat(r.file("openai-codex-accounts.json")); err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
					t.Errorf("the accounts file: %v, %v", info, err)
				}
				return
			}
			if code == 0 || stdout != "" || !strings.Contains(stderr, test.says) {
				t.Errorf("exit %d, stdout of %d bytes, %q", code, len(stdout), stderr)
			}
			h := r.wire("")
			defer func() { h.in.Close(); <-h.read; _ = h.cmd.Wait() }() // it may refuse to start
			got, err := h.send(t.Context(), "call-1.", "s")
			if err == nil && got.delivered || len(r.sim.Calls()) > 0 {
				t.Errorf("serve went on: %+v, %d requests", got, len(r.sim.Calls()))
			}
		})
	}
}
