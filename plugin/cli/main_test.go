package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// binary is the product, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// builtBinary names the binary to a test that runs in a process of its own.
const builtBinary = "CODEX_ROTA_TEST_BINARY"

func buildAndRun(m *testing.M) int {
	if binary = os.Getenv(builtBinary); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "codex-rota-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// What a shell runs in the background, or nohup, is to ignore these. Whatever is
	// started here would as well, unless they are listened to.
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	binary = filepath.Join(dir, "codex-rota")
	build := exec.Command("go", "build", "-o", binary, "codex-rota")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	stop := make(chan struct{})
	if !benchmarking {
		go seenProcesses.follow(stop)
	}
	code := m.Run()
	close(stop)
	fmt.Println(figuresOfWitnesses())
	return code
}

// rig is a playground with seats and the binary under test.
type rig struct {
	*playground
	t       *testing.T
	app     *app
	seats   []*sim.Seat
	path    string // PATH of the processes, "" for the test's own
	witness *witness
}

// newRig makes one. At the end of the test all that its processes left behind is
// searched for tokens (see witness).
func newRig(t *testing.T, seats ...sim.Seat) *rig {
	t.Helper()
	temp := filepath.Dir(t.TempDir()) // made now, so that it is removed after the search
	p, err := newPlayground()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	sys := OS()
	sys.Executable = binary
	r := &rig{playground: p, t: t, app: &app{System: sys}, witness: newWitness(p, temp)}
	t.Cleanup(func() {
		t.Helper()
		for _, leak := range r.witness.leaks() {
			t.Error(leak)
		}
	})
	if err := os.Mkdir(r.temp(), 0o700); err != nil {
		t.Fatal(err)
	}
	if r.seats, err = p.addSeats(t.Context(), seats...); err != nil {
		t.Fatal(err)
	}
	return r
}

// temp is where the rig's processes put temporary files.
func (r *rig) temp() string { return filepath.Join(r.dir, "tmp") }

func (r *rig) env(base []string, more ...string) []string {
	own := []string{"TMPDIR=" + r.temp()}
	if r.path != "" {
		own = append(own, "PATH="+r.path)
	}
	return r.playground.env(base, append(own, more...)...)
}

// command runs the binary and gives its stdout; what it said on stderr is the
// error when it fails.
func (r *rig) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = r.env(os.Environ())
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	r.witness.watch(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("codex-rota %s: %s", args[0], strings.TrimSpace(said.String()))
	}
	return out.String(), err
}

func (r *rig) fault(name string, change ...func(*sim.Fault)) {
	r.t.Helper()
	f := sim.Fault{Name: name}
	for _, c := range change {
		c(&f)
	}
	if err := r.sim.AddFault(f); err != nil {
		r.t.Fatal(err)
	}
}

func onSeat(name string) func(*sim.Fault) { return func(f *sim.Fault) { f.Seat = name } }
func times(n int) func(*sim.Fault)        { return func(f *sim.Fault) { f.Times = n } }

// serve starts the plugin and a host for it; host "" introduces nobody. Waits
// that a verdict asks for are noted and not waited.
func (r *rig) serve(hostName string, env ...string) (*miniHost, *[]time.Duration) {
	r.t.Helper()
	h, err := startMiniHost(context.Background(), binary, r.env(os.Environ(), env...), httpClient(),
		io.MultiWriter(os.Stderr, r.witness.hear("stderr of serve", saysNothing)), r.witness.hear("stdout of serve", saysProtocol))
	if err != nil {
		r.t.Fatal(err)
	}
	r.witness.started(h.cmd)
	var waits []time.Duration
	h.pause = func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}
	r.t.Cleanup(func() {
		if err := h.close(); err != nil {
			r.t.Errorf("serve: %v", err)
		}
	})
	if hostName != "" {
		var hello plugin.InitializeResult
		p := plugin.InitializeParams{Protocol: plugin.Protocol, Host: plugin.HostInfo{Name: hostName}}
		if err := h.ask(r.t.Context(), "initialize", p, &hello); err != nil {
			r.t.Fatal(err)
		}
	}
	return h, &waits
}

// call makes one call and gives "account status verdict" of each attempt.
func (r *rig) call(h *miniHost, c hostCall) (text string, attempts []string, err error) {
	r.t.Helper()
	text, sent, err := h.generate(r.t.Context(), c)
	for _, s := range sent {
		attempts = append(attempts, fmt.Sprintf("%s %d %s", s.Account, s.Status, s.Verdict))
	}
	return text, attempts, err
}

// mustBeObedient fails for anything the simulated backend objected to.
func (r *rig) mustBeObedient() {
	r.t.Helper()
	for _, c := range r.sim.Calls() {
		if c.Refused != "" || len(c.Notes) > 0 {
			r.t.Errorf("call %d to %s: refused %q, notes %q", c.ID, c.Path, c.Refused, c.Notes)
		}
	}
}

// states gives each account's state by its label.
func (r *rig) states() map[string]string {
	r.t.Helper()
	out, err := r.command(r.t.Context(), "list", "--json")
	if err != nil {
		r.t.Fatal(err)
	}
	states := map[string]string{}
	for _, a := range decode[struct{ Accounts []plugin.Account }](r.t, out).Accounts {
		states[a.Label] = a.State
	}
	return states
}

// codeOf is the data.code of a JSON-RPC error, or the code in a reply's body.
func codeOf(err error) string {
	var wire *wireError
	if errors.As(err, &wire) {
		return wire.Data.Code
	}
	var refusal *refusalError
	if errors.As(err, &refusal) {
		_, code, _ := strings.Cut(refusal.response.Body, `"code":"codex_rota_`)
		code, _, _ = strings.Cut(code, `"`)
		return code
	}
	return ""
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
