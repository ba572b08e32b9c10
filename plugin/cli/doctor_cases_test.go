package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
	"codex-rota/plugin/sim"
)

// accountsFile lies in the playground's pool.
const accountsFile = "pool/openai-codex-accounts.json"

func doctorFiles() []doctorCase {
	return []doctorCase{
		{name: "nothing amiss", spoil: func(*rig) []string { return nil }, line: "store", level: "ok", says: "1 accounts, newest backup"},
		{name: "a folder for everybody", spoil: func(r *rig) []string {
			r.do(os.Chmod(r.dir, 0o777))
			return nil
		}, line: "root", level: "fail", says: "is writable by everybody", mend: "chmod o-w ", exit: 1},
		{name: "a folder for the group", spoil: func(r *rig) []string {
			r.do(os.Chmod(r.dir, 0o770))
			return nil
		}, line: "root", level: "warn", says: "writable by its group", mend: "chmod g-w "},
		{name: "another user's file", spoil: func(r *rig) []string {
			if os.Chown(filepath.Join(r.dir, accountsFile), 12345, 12345) != nil {
				r.t.Skip("SKIPPED: only root can give a file away")
			}
			return nil
		}, line: "root", level: "fail", says: "belongs to another user", mend: "sudo chown ", exit: 1},
		{name: "a mode for others", spoil: func(r *rig) []string {
			r.do(os.Chmod(filepath.Join(r.dir, accountsFile), 0o644))
			return nil
		}, line: "modes", level: "warn", says: "0644, which lets others in", mend: "codex-rota doctor --fix", fixed: "modes: took the access of others away"},
		{name: "a symlink", spoil: func(r *rig) []string {
			r.write("settings", "{}")
			r.do(os.Symlink(filepath.Join(r.dir, "settings"), r.file("settings.json")))
			return nil
		}, line: "symlinks", level: "ok", says: "settings.json → "},
		{name: "a symlink to nothing", spoil: func(r *rig) []string {
			r.do(os.Symlink(r.file("nowhere"), r.file("settings.json")))
			return nil
		}, line: "symlinks", level: "warn", says: "nothing is there", mend: "remove "},
		{name: "accounts that cannot be read", spoil: func(r *rig) []string {
			r.write(accountsFile, "{")
			return nil
		}, line: "store", level: "fail", says: "the newest good backup is ", mend: "codex-rota doctor --fix", exit: 5, fixed: "store: restored 1 accounts from "},
		{name: "accounts that cannot be read, and no backup", spoil: func(r *rig) []string {
			r.do(os.RemoveAll(r.file("backups")))
			r.write(accountsFile, "{")
			return nil
		}, line: "store", level: "fail", says: "cannot be read", mend: "codex-rota add", exit: 5},
		{name: "accounts of a later release", spoil: laterRelease, line: "store", level: "fail", says: "version 9", mend: "update codex-rota", exit: 5},
		{name: "accounts of a later release, and flagged ones that cannot be read", spoil: func(r *rig) []string {
			r.write("pool/openai-codex-flagged-accounts.json", "{")
			return laterRelease(r)
		}, line: "store", level: "fail", says: "version 9", mend: "update codex-rota", exit: 5},
		{name: "flagged accounts that cannot be read", spoil: func(r *rig) []string {
			r.write("pool/openai-codex-flagged-accounts.json", "{")
			return nil
		}, line: "store", level: "fail", says: "flagged", mend: "codex-rota doctor --fix", exit: 1, fixed: "store: began the file of accounts out of service anew"},
		{name: "spent tokens that cannot be read", spoil: func(r *rig) []string {
			r.do(os.RemoveAll(r.file("locks/consumed")), os.Mkdir(r.file("locks/consumed"), 0o700))
			return nil
		}, line: "store", level: "fail", says: "consumed", mend: "move it away", exit: 1},
		{name: "overwritten by another tool", spoil: func(r *rig) []string {
			r.write(accountsFile, `{"version": 3, "accounts": [{"refreshToken": "rt_of_the_other_tool", "email": "other@example.com"}]}`)
			return nil
		}, line: "store", level: "warn", says: "another tool", mend: "stop the other tool"},
	}
}

// laterRelease leaves an accounts file that must stay as it is.
func laterRelease(r *rig) []string {
	const later = `{"version": 9, "accounts": []}`
	r.write(accountsFile, later)
	r.t.Cleanup(func() {
		if got := r.read(accountsFile); got != later {
			r.t.Errorf("it was overwritten with %s", got)
		}
	})
	return nil
}

func doctorState() []doctorCase {
	return []doctorCase{
		{name: "a lock held for long", spoil: func(r *rig) []string {
			r.holdLock("acct_x.lock", os.Getpid(), time.Now().Add(-3*time.Minute))
			return nil
		}, line: "locks", level: "fail", says: fmt.Sprintf("acct_x.lock is held by process %d since ", os.Getpid()), mend: fmt.Sprintf("kill %d", os.Getpid()), exit: 1},
		{name: "a lock held for a moment", spoil: func(r *rig) []string {
			r.holdLock("acct_x.lock", os.Getpid(), time.Now())
			return nil
		}, line: "locks", level: "ok", says: "none"},
		{name: "a lock held from elsewhere", spoil: func(r *rig) []string {
			r.holdLock("acct_x.lock", 1<<30, time.Now())
			return nil
		}, line: "locks", level: "warn", says: "is not to be seen from here", mend: "another machine"},
		{name: "a lock held by nobody known", spoil: func(r *rig) []string {
			lock := flock.New(r.file("locks/acct_x.lock"))
			_, err := lock.TryLock()
			r.do(err)
			r.t.Cleanup(func() { r.do(lock.Unlock()) })
			return nil
		}, line: "locks", level: "warn", says: "did not say", mend: "look again"},
		{name: "a refresh whose process died with the answer", seats: []sim.Seat{{Name: "a", Expired: true}}, spoil: func(r *rig) []string {
			whole := r.read(accountsFile)
			r.hangingRefresh(func(*exec.Cmd) {
				r.write(accountsFile, "{") // so the answer can be noted only
				r.sim.Release()
			})
			r.write(accountsFile, whole)
			return nil
		}, line: "refreshes", level: "warn", says: "had refreshed the token of a", mend: "codex-rota doctor --fix", fixed: "refreshes: stored the token that it had got"},
		{name: "a refresh whose process died without an answer", seats: []sim.Seat{{Name: "a", Expired: true}}, spoil: func(r *rig) []string {
			r.hangingRefresh(func(cmd *exec.Cmd) { r.do(cmd.Process.Kill()) })
			return nil
		}, line: "refreshes", level: "warn", says: "nobody knows whether it was answered", mend: "the next call"},
		{name: "a refresh that failed", seats: []sim.Seat{{Name: "a", Expired: true}}, spoil: func(r *rig) []string {
			r.fault("refresh-500")
			if _, err := r.command(r.t.Context(), "token"); err == nil {
				r.t.Fatal("it was to fail")
			}
			return nil
		}, line: "refreshes", level: "warn", says: "got no answer", mend: "tried again"},
		{name: "a quota cache that makes no sense", spoil: func(r *rig) []string {
			r.write("pool/quota-cache.json", "{")
			return nil
		}, line: "quota-cache", level: "warn", says: "is not used", mend: "moves the file aside"},
		{name: "an unknown setting", spoil: func(r *rig) []string {
			r.writeSettings(`{"rotatoin": "drain"}`)
			return nil
		}, line: "settings", level: "warn", says: `settings.json:1: unknown setting "rotatoin"`, mend: "edit it"},
		{name: "no account", seats: []sim.Seat{}, spoil: func(*rig) []string { return nil },
			line: "accounts", level: "warn", says: "no ChatGPT account", mend: "codex-rota add"},
		{name: "one account signed out", seats: []sim.Seat{{Name: "a", Expired: true}, {Name: "b"}}, spoil: func(r *rig) []string {
			r.fault("refresh-expired", onSeat("a"))
			if _, err := r.command(r.t.Context(), "token", "a"); err == nil {
				r.t.Fatal("it was to be refused")
			}
			return nil
		}, line: "accounts", level: "warn", says: "a needs a login", mend: "codex-rota add"},
		{name: "every account signed out", seats: []sim.Seat{{Name: "a", Expired: true}}, spoil: func(r *rig) []string {
			r.fault("refresh-expired")
			if _, err := r.command(r.t.Context(), "token", "a"); err == nil {
				r.t.Fatal("it was to be refused")
			}
			return nil
		}, line: "accounts", level: "fail", says: "no account can be used: 1 needs login", mend: "codex-rota add", exit: 1},
	}
}

// holdLock holds a lock until the test ends, as a process would that wrote
// itself into it.
func (r *rig) holdLock(name string, pid int, since time.Time) {
	r.t.Helper()
	path := r.file(filepath.Join("locks", name))
	lock := flock.New(path)
	taken, err := lock.TryLock()
	if err != nil || !taken {
		r.t.Fatal(taken, err)
	}
	r.t.Cleanup(func() { r.do(lock.Unlock()) })
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	r.do(err)
	_, err = fmt.Fprintf(f, "\x00%20d %20d\n", pid, since.UnixMilli())
	r.do(err, f.Close())
}

// hangingRefresh begins a refresh in a process of its own and lets end end it
// while the issuer holds its answer back.
func (r *rig) hangingRefresh(end func(*exec.Cmd)) {
	r.t.Helper()
	r.fault("refresh-hang")
	cmd := exec.Command(binary, "exchange", decode[struct{ Accounts []plugin.Account }](r.t, r.must("list", "--json")).Accounts[0].ID)
	cmd.Env = r.env(os.Environ())
	r.witness.watch(cmd)
	r.do(cmd.Start())
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	_, err := r.sim.Wait(ctx, func(calls []sim.Call) bool {
		for _, c := range calls {
			if c.Kind == sim.KindRefresh && c.Held {
				return true
			}
		}
		return false
	})
	end(cmd)
	_ = cmd.Wait() // killed, or with an answer that it could not store
	r.do(err)
}

func doctorWorld() []doctorCase {
	clockAt := func(date func() string) func(r *rig) []string {
		return func(r *rig) []string {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				w.Header()["Date"] = nil
				if text := date(); text != "" {
					w.Header().Set("Date", text)
				}
			}))
			r.t.Cleanup(server.Close)
			return []string{"CODEX_ROTA_ISSUER=" + server.URL, "CODEX_ROTA_BACKEND=" + server.URL + "/backend-api"}
		}
	}
	off := func(d time.Duration) func() string {
		return func() string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	}
	shared := func(path string, text func(*sim.Seat) string) func(r *rig) []string {
		return func(r *rig) []string {
			r.write(path, text(r.seats[0]))
			return nil
		}
	}
	return []doctorCase{
		{name: "no way to the issuer", spoil: func(*rig) []string { return []string{"CODEX_ROTA_ISSUER=http://127.0.0.1:1"} },
			line: "network", level: "fail", says: "127.0.0.1:1 does not answer from here", mend: "firewall", exit: 1},
		{name: "no way to the backend", spoil: func(*rig) []string { return []string{"CODEX_ROTA_BACKEND=http://127.0.0.1:1/backend-api"} },
			line: "network", level: "fail", says: "127.0.0.1:1 does not answer from here", mend: "firewall", exit: 1},
		{name: "a clock that is right", spoil: clockAt(off(0)), line: "clock", level: "ok", says: "within 30s"},
		{name: "a clock that is behind", spoil: clockAt(off(10 * time.Minute)), line: "clock", level: "fail", says: "behind 127.0.0.1", mend: "set", exit: 1},
		{name: "a clock that is ahead", spoil: clockAt(off(-2 * time.Minute)), line: "clock", level: "warn", says: "ahead of 127.0.0.1"},
		{name: "no clock to compare with", spoil: clockAt(func() string { return "" }), line: "clock", level: "warn", says: "no server told its time", mend: "again"},
		{name: "OpenCode holds the same login", spoil: shared(openCodeAuth, func(s *sim.Seat) string {
			return `{"openai": {"type": "oauth", "refresh": "` + s.Tokens().Refresh + `"}}`
		}), line: "token-owners", level: "fail", says: "OpenCode (", mend: "move that file away", exit: 1},
		{name: "the Codex CLI holds the same login", spoil: shared(codexAuth, func(s *sim.Seat) string {
			return `{"OPENAI_API_KEY": null, "tokens": {"refresh_token": "` + s.Tokens().Refresh + `"}}`
		}), line: "token-owners", level: "fail", says: "holds the refresh token of a:", mend: "move that file away", exit: 1},
		{name: "a Node tool holds the same login", spoil: shared(".opencode/projects/x/openai-codex-accounts.json", func(s *sim.Seat) string {
			return `{"version": 3, "accounts": [{"refreshToken": "` + s.Tokens().Refresh + `"}]}`
		}), line: "token-owners", level: "fail", says: "another pool (", mend: "move that file away", exit: 1},
		{name: "a pool at the usual place holds the same login", spoil: shared(".codex/multi-auth/openai-codex-accounts.json", func(s *sim.Seat) string {
			return `[{"refreshToken": "` + s.Tokens().Refresh + `"}]`
		}), line: "token-owners", level: "fail", says: "multi-auth", mend: "move that file away", exit: 1},
		{name: "another tool holds a used-up login", seats: []sim.Seat{{Name: "a", Expired: true}}, spoil: func(r *rig) []string {
			old := r.seats[0].Tokens().Refresh
			r.must("token")
			r.write(codexAuth, `{"tokens": {"refresh_token": "`+old+`"}}`)
			return nil
		}, line: "token-owners", level: "fail", says: "has used up", mend: "move that file away", exit: 1},
		{name: "logins of another tool that cannot be read", spoil: shared(codexAuth, func(s *sim.Seat) string { return `{"tokens": "` + s.Tokens().Refresh + `` }),
			line: "token-owners", level: "warn", says: "cannot be read"},
		{name: "another tool with another login", spoil: shared(codexAuth, func(*sim.Seat) string { return `{"tokens": {"refresh_token": "rt_other"}}` }),
			line: "token-owners", level: "ok", says: "no other tool"},
	}
}

func doctorHosts() []doctorCase {
	// registered installs for a binary of that name, and then changes something.
	registered := func(name string, change func(r *rig, shim string)) func(r *rig) []string {
		return func(r *rig) []string {
			o := host.NewOpenCode(host.OpenCodeOptions{Home: r.dir, Env: func(string) string { return "" }, Binary: name, Version: plugin.Version})
			_, err := o.Install(false)
			r.do(err)
			if change != nil {
				change(r, ".config/opencode/codex-rota/opencode.js")
			}
			return nil
		}
	}
	older := func(r *rig, shim string) string {
		return strings.Replace(r.read(shim), `VERSION = "`+plugin.Version+`"`, `VERSION = "0.0.1"`, 1)
	}
	const install = "codex-rota install opencode"
	return []doctorCase{
		{name: "a host that is well", spoil: func(r *rig) []string { return registered(binary, nil)(r) }, line: "opencode", level: "ok", says: "registered in "},
		{name: "a missing binary", spoil: registered("/nowhere/codex-rota", nil), line: "opencode", level: "fail", says: "/nowhere/codex-rota, which is missing",
			mend: install, exit: 1, fixed: "opencode: write the shim "},
		{name: "a missing shim", spoil: func(r *rig) []string {
			return registered(binary, func(r *rig, shim string) { r.do(os.Remove(filepath.Join(r.dir, shim))) })(r)
		}, line: "opencode", level: "fail", says: "is missing or no shim", mend: install, exit: 1, fixed: "opencode: write the shim "},
		{name: "an old shim", spoil: func(r *rig) []string {
			return registered(binary, func(r *rig, shim string) { r.write(shim, older(r, shim)) })(r)
		}, line: "opencode", level: "warn", says: "the shim is of version 0.0.1", mend: install, fixed: "opencode: write the shim "},
		{name: "a shim that was edited", spoil: func(r *rig) []string {
			return registered(binary, func(r *rig, shim string) { r.write(filepath.Join(filepath.Dir(shim), "wire.js"), "") })(r)
		}, line: "opencode", level: "warn", says: "is not what version", mend: install, fixed: "opencode: write the shim "},
		{name: "another binary", spoil: registered("/bin/sh", nil), line: "opencode", level: "warn", says: "OpenCode starts /bin/sh", mend: install},
		{name: "two versions of the shim", spoil: func(r *rig) []string {
			return registered(binary, func(r *rig, shim string) {
				r.write(".config/opencode/plugin/rota.js", older(r, shim))
			})(r)
		}, line: "opencode", level: "fail", says: "a second shim of version 0.0.1", mend: "take ", exit: 1},
		{name: "the shim twice", spoil: func(r *rig) []string {
			return registered(binary, func(r *rig, shim string) {
				r.write(".opencode/plugin/rota.js", r.read(shim))
			})(r)
		}, line: "opencode", level: "warn", says: "a second shim of version", mend: "take "},
		{name: "a config that does not parse", spoil: func(r *rig) []string {
			r.write(".config/opencode/opencode.json", "{")
			return nil
		}, line: "opencode", level: "fail", says: "opencode.json", exit: 1},
	}
}
