package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"codex-rota/plugin/sim"
	"codex-rota/pool"
)

// adding is `codex-rota add` under way, without a terminal.
type adding struct {
	t        *testing.T
	cmd      *exec.Cmd
	in       io.WriteCloser
	out, err transcript
}

// noDesk keeps the desk of who runs the tests out of them: it is an SSH session
// for all that add knows.
var noDesk = []string{"BROWSER=", "SSH_CONNECTION=", "SSH_CLIENT=", "WSL_DISTRO_NAME=", "WSL_INTEROP=", "container=", "KUBERNETES_SERVICE_HOST=", "SSH_TTY=/dev/pts/0"}

func (r *rig) startAdd(env []string, args ...string) *adding {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), hung)
	r.t.Cleanup(cancel)
	x := &adding{t: r.t, cmd: exec.CommandContext(ctx, binary, args...)}
	port := "CODEX_ROTA_CALLBACK_PORT=" + freePort(r.t)
	x.cmd.Env = r.env(os.Environ(), append(append([]string{port}, noDesk...), env...)...)
	x.cmd.Stdout, x.cmd.Stderr = &x.out, &x.err
	x.cmd.WaitDelay = time.Second
	r.witness.watch(x.cmd)
	var err error
	if x.in, err = x.cmd.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	if err := x.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return x
}

var (
	printedURL  = regexp.MustCompile(`(?m)^http://\S+$`)
	printedCode = regexp.MustCompile(`(?m)^    (\S+)$`)
)

// shows waits until stdout holds what the pattern finds, and gives it.
func (x *adding) shows(pattern *regexp.Regexp) string {
	x.t.Helper()
	for end := time.Now().Add(hung); ; time.Sleep(5 * time.Millisecond) {
		if found := pattern.FindStringSubmatch(x.out.String()); found != nil {
			return found[len(found)-1]
		}
		if time.Now().After(end) {
			x.t.Fatalf("add does not show %v: %q %q", pattern, x.out.String(), x.err.String())
		}
	}
}

func (x *adding) address() string {
	x.t.Helper()
	return x.shows(printedURL)
}

// ends waits for the command's end, and wants this exit code, and these texts in
// what it printed.
func (x *adding) ends(code int, texts ...string) {
	x.t.Helper()
	var exit *exec.ExitError
	if err := x.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		x.t.Fatal(err)
	}
	said := x.out.String() + x.err.String()
	if got := x.cmd.ProcessState.ExitCode(); got != code {
		x.t.Errorf("exit code %d, want %d: %s", got, code, said)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			x.t.Errorf("it does not say %q: %s", text, said)
		}
	}
}

func (x *adding) paste(text string) {
	x.t.Helper()
	if _, err := io.WriteString(x.in, text+"\n"); err != nil {
		x.t.Fatal(err)
	}
}

// signIn is a browser that cannot come back: it gives the address that it ends on.
func signIn(t *testing.T, address string) string {
	t.Helper()
	next, err := visit(t.Context(), address, false)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// TestAddSaysWhatItWas: the seat is the key, and the success line says which of
// the five it was.
func TestAddSaysWhatItWas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	add := func(seat *sim.Seat, want string, args ...string) {
		t.Helper()
		r.sim.SignInAs(seat)
		x := r.startAdd(nil, append([]string{"add", "--no-browser"}, args...)...)
		browse(t, x.address())
		x.ends(0, want)
		if stored := r.account(seat); stored.Refresh.Reveal() != seat.Tokens().Refresh {
			t.Errorf("%s: the stored token is not the login's", seat.Name)
		}
	}
	ann := r.sim.AddSeat(sim.Seat{Name: "ann", Email: "ann@example.com", Expired: true})
	add(ann, "Added work (ann@example.com, plus): a new account.", "--label", "work")
	add(ann, "Updated work (ann@example.com, plus): the same seat again, with its new login.")
	add(r.sim.AddSeat(sim.Seat{Name: "bob", Email: "bob@example.com", AccountID: ann.AccountID, Plan: "business"}),
		"Added bob@example.com (business): a second seat of a workspace that is here already.")
	add(r.sim.AddSeat(sim.Seat{Name: "ann-2", Email: "ann@example.com", UserID: ann.UserID}),
		"Added ann@example.com (plus): a second workspace of an e-mail that is here already.")
	add(r.sim.AddSeat(sim.Seat{Name: "eve", Email: "eve@example.com"}), "Added eve@example.com (plus): a new account.")

	r.must("logout", "work", "--yes")
	if states := r.states(); states["work"] != "needs_login" {
		t.Fatalf("states %v", states)
	}
	add(ann, "Healed renamed (ann@example.com, plus): the same seat again, back in service.", "--label", "renamed")
	if states := r.states(); states["renamed"] != "ready" || len(r.accounts()) != 4 {
		t.Errorf("states %v of %d accounts", states, len(r.accounts()))
	}
	r.writeSettings(`{"maskEmail": true}`)
	add(ann, "Updated renamed (an***@example.com, plus)")
}

// accounts reads the pool as a process of its own would.
func (r *rig) accounts() []pool.Account {
	r.t.Helper()
	store, err := pool.OpenStore(pool.Options{Dir: r.root(), Refresh: r.issuer().Refresh, Now: time.Now})
	if err != nil {
		r.t.Fatal(err)
	}
	defer store.Close(r.t.Context())
	accounts, err := store.Accounts()
	if err != nil {
		r.t.Fatal(err)
	}
	return accounts
}

func (r *rig) account(seat *sim.Seat) pool.Account {
	r.t.Helper()
	for _, a := range r.accounts() {
		if a.AccountID == seat.AccountID && a.UserID == seat.UserID {
			return a
		}
	}
	r.t.Fatalf("%s is not in the pool", seat.Name)
	return pool.Account{}
}

// TestAddOpensBrowser: the opener gets the address, what it prints is nowhere to
// be seen, and the address is printed all the same.
func TestAddOpensBrowser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: the browser of this test is a shell script, so nothing was tested")
	}
	t.Parallel()
	r := newRig(t)
	r.sim.AddSeat(sim.Seat{Name: "ann"})
	opened := filepath.Join(r.dir, "opened")
	x := r.startAdd([]string{"BROWSER=" + r.fakeBrowser(`echo NOISE; echo NOISE >&2; printf %s "$2" > `+opened+`.tmp; mv `+opened+`.tmp `+opened) + " --new-tab"}, "login")
	address := x.address()
	for {
		if text, err := os.ReadFile(opened); err == nil {
			if string(text) != address {
				t.Errorf("opened %s, printed %s", text, address)
			}
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if page := browse(t, address); !strings.Contains(page, "You are signed in") {
		t.Errorf("the browser ends on %s", page)
	}
	x.ends(0, "in the browser that opens now", "a new account")
	if said := x.out.String() + x.err.String(); strings.Contains(said, "NOISE") {
		t.Errorf("the browser's output came through: %s", said)
	}

	x = r.startAdd([]string{"BROWSER=" + r.fakeBrowser("exit 3")}, "add")
	x.shows(regexp.MustCompile("The browser could not be opened .exit status 3.. Open the address yourself."))
	browse(t, x.address())
	x.ends(0, "Updated")
}

// fakeBrowser makes a program that opens addresses.
func (r *rig) fakeBrowser(script string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "browser")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func TestAddByPaste(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sim.AddSeat(sim.Seat{Name: "ann"})
	x := r.startAdd(nil, "add", "--paste")
	x.paste(signIn(t, x.address()))
	x.ends(0, "a new account")

	x = r.startAdd(nil, "add", "--paste")
	x.paste(strings.Replace(signIn(t, x.address()), "state=", "state=another", 1))
	x.ends(2, "its state is not this login's")

	x = r.startAdd(nil, "add", "--paste")
	x.in.Close()
	x.ends(2, "nothing was pasted")

	// Without a browser here both ways are open at once.
	x = r.startAdd(nil, "add")
	x.paste(signIn(t, x.address()))
	x.ends(0, "No browser can be opened here: this is an SSH session", "Updated")
	x = r.startAdd(nil, "add")
	x.in.Close() // a script without stdin
	browse(t, x.address())
	x.ends(0, "Updated")
}

func TestAddByDevice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seat := r.sim.AddSeat(sim.Seat{Name: "ann"})
	x := r.startAdd(nil, "add", "--device", "--label", "work")
	if err := r.sim.ApproveDevice(x.shows(printedCode), seat); err != nil {
		t.Fatal(err)
	}
	x.ends(0, r.sim.Issuer()+"/codex/device", "Added work")
	r.mustBeObedient()

	r.fault("device-disabled")
	r.startAdd(nil, "add", "--device").ends(3, "login by device code is not enabled for this workspace", "codex-rota add --paste")
}

// TestAddPortTaken: it says by whom, and goes on with paste.
func TestAddPortTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sim.AddSeat(sim.Seat{Name: "ann"})
	port := freePort(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, port)); err == nil {
			defer l.Close()
		}
	}
	holder := "another program"
	if name, err := os.ReadFile("/proc/self/comm"); err == nil {
		holder = strings.TrimSpace(string(name)) + " (process "
	}
	x := r.startAdd([]string{"CODEX_ROTA_CALLBACK_PORT=" + port}, "add")
	x.paste(signIn(t, x.address()))
	x.ends(0, "Note: port "+port+" is taken by "+holder, "so the browser cannot come back by itself", "a new account")
}

// TestAddEnds: at once, with the reason and its exit code.
func TestAddEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("ann")...)
	r.fault("authorize-denied", times(1))
	x := r.startAdd(nil, "add", "--no-browser")
	browse(t, x.address())
	x.ends(3, "the sign-in was declined in the browser. Type: codex-rota add", "The sign-in page said: access_denied")

	r.fault("exchange-500", times(1))
	x = r.startAdd(nil, "add", "--no-browser")
	browse(t, x.address())
	x.ends(1, "the sign-in server gave no usable answer", "500 server_error")

	for _, args := range [][]string{{"--device", "--paste"}, {"--label", "a\nb"}, {"work"}, {"--what"}} {
		r.startAdd(nil, append([]string{"add"}, args...)...).ends(2)
	}
	if err := os.WriteFile(filepath.Join(r.root(), "openai-codex-accounts.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.startAdd(nil, "add", "--device").ends(5, "left as it is")
	if n := len(r.sim.Calls(sim.KindDeviceCode)); n != 0 {
		t.Error("a login was begun that could not have been kept")
	}
}

// TestAddInterrupted: Ctrl-C cancels a login that waits. One whose code has come
// is finished: the code is spent, and the tokens would be lost.
func TestAddInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: there are no signals to send, so nothing was tested")
	}
	t.Parallel()
	r := newRig(t)
	seat := r.sim.AddSeat(sim.Seat{Name: "ann"})
	for _, method := range []string{"--no-browser", "--paste", "--device"} {
		x := r.startAdd(nil, "add", method)
		x.address()
		if err := x.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		x.ends(1, "the login was cancelled")
	}
	r.fault("exchange-hang")
	x := r.startAdd(nil, "add", "--no-browser")
	go browse(t, x.address())
	if _, err := r.sim.Wait(t.Context(), func(calls []sim.Call) bool { return len(calls) > 0 && calls[len(calls)-1].Held }); err != nil {
		t.Fatal(err)
	}
	if err := x.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.sim.Release()
	x.ends(0, "a new account")
	if r.account(seat).Refresh.Reveal() != seat.Tokens().Refresh {
		t.Error("the stored token is not the login's")
	}
}

// TestSameSeatAgainAmongOthers: while other processes run with a seat's old
// tokens, and one of them is renewing them at this very moment, the seat is logged
// in anew. None of them writes the old login back, and all go on with the new one.
func TestSameSeatAgainAmongOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("ann")...)
	seat := r.seats[0]
	var hosts []*miniHost
	for range 3 {
		h, _ := r.serve("")
		if _, _, err := r.call(h, hostCall{name: "before", session: "s"}); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	seat.RefuseAccess()
	r.fault("refresh-hang", times(1))
	renewing := make(chan error, 1)
	go func() {
		_, _, err := hosts[0].generate(context.Background(), hostCall{name: "renews", session: "s"})
		renewing <- err
	}()
	if _, err := r.sim.WaitCall(t.Context(), sim.KindRefresh, 1); err != nil {
		t.Fatal(err)
	}
	x := r.startAdd(nil, "add", "--no-browser")
	browse(t, x.address())
	login := seat.Tokens().Refresh
	r.sim.Release() // the old login gets new tokens only now, later than the new login
	if err := <-renewing; err != nil {
		t.Error(err)
	}
	x.ends(0, "Updated ann")
	for i, h := range hosts {
		if text, _, err := r.call(h, hostCall{name: "after", session: "s"}); text != "Hello from ann" {
			t.Errorf("process %d: %q, %v", i, text, err)
		}
	}
	r.must("token")
	if got := r.account(seat).Refresh.Reveal(); got != login {
		t.Error("an old login was written back")
	}
	if n := len(r.sim.Calls(sim.KindRefresh)); n != 1 {
		t.Errorf("%d refreshes", n)
	}
	calls := r.sim.Calls(sim.KindResponses)
	if got, want := strings.TrimPrefix(calls[len(calls)-1].Headers.Get("Authorization"), "Bearer "), r.account(seat).Access.Reveal(); got != want {
		t.Error("the last call went out with another token than the stored one")
	}
}
