package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"codex-rota/plugin/sim"
)

// TestScripts runs the binary as a person and as a script do: testdata/script
// holds a scene each. Besides testscript's own commands there are:
//
//	seats NAME[=EMAIL][!]…      log seats in, labelled by NAME ("-NAME" for no label); "!" has an expired token
//	window NAME WINDOW PERCENT  what the usage endpoint says of a seat
//	fault NAME [SEAT]           one of the simulation's faults; "fault -" ends them all
//	call SESSION                one model call, as a host makes it
//	exits CODE COMMAND…         run a command that ends with this exit code
//	json                        stdout was one JSON object with "schema": 1
//	secretless                  neither stdout nor stderr held a token
//	forgotten NAME WHAT…        no file of the pool holds the seat's tokens, email or ids
//	asked KIND N                the simulation was asked N times
func TestScripts(t *testing.T) {
	testscript.RunT(&scriptT{T: t}, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup:               setScene,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"seats": scriptSeats, "window": scriptWindow, "fault": scriptFault, "call": scriptCall, "exits": scriptExits,
			"json": scriptJSON, "secretless": scriptSecretless, "forgotten": scriptForgotten, "asked": scriptAsked,
		},
	})
}

// scriptT runs a script as a *testing.T does, and has all that its commands print
// and leave behind searched for tokens (see witness).
type scriptT struct {
	*testing.T
	witness *witness // of one script
}

func (t *scriptT) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(inner *testing.T) { f(&scriptT{T: inner}) })
}

// Verbose has testscript log the whole of what was printed.
func (t *scriptT) Verbose() bool { return true }

// Log gets that at the end.
func (t *scriptT) Log(args ...any) {
	t.T.Log(args...)
	if t.witness != nil {
		fmt.Fprint(t.witness.hear("the script", saysToken), args...)
		t.tell(t.witness.leaksHeard(marksOf(t.witness.p.sim.Issued())))
	}
}

func (t *scriptT) tell(leaks []string) {
	for _, leak := range leaks {
		t.Error(leak)
	}
}

type sceneKey struct{}

func setScene(env *testscript.Env) error {
	p, err := newPlayground()
	if err != nil {
		return err
	}
	t := env.T().(*scriptT)
	t.witness = newWitness(p, env.WorkDir)
	env.Defer(func() {
		t.tell(t.witness.leaks())
		p.close()
	})
	env.Values[sceneKey{}] = t.witness
	for _, entry := range p.env(env.Vars) {
		name, value, _ := strings.Cut(entry, "=")
		env.Setenv(name, value)
	}
	env.Setenv("ROOT", p.root())
	env.Setenv("TZ", "UTC")
	env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
	return nil
}

func scene(ts *testscript.TestScript) *playground { return witnessOf(ts).p }

func witnessOf(ts *testscript.TestScript) *witness { return ts.Value(sceneKey{}).(*witness) }

func seatCalled(ts *testscript.TestScript, name string) *sim.Seat {
	for _, seat := range scene(ts).sim.Seats() {
		if seat.Name == name {
			return seat
		}
	}
	ts.Fatalf("there is no seat %q", name)
	return nil
}

func scriptSeats(ts *testscript.TestScript, neg bool, args []string) {
	p := scene(ts)
	for _, arg := range args {
		arg, expired := strings.CutSuffix(arg, "!")
		name, email, _ := strings.Cut(arg, "=")
		name, unlabelled := strings.CutPrefix(name, "-")
		_, err := p.addSeats(context.Background(), sim.Seat{Name: name, Email: email, Expired: expired})
		ts.Check(err)
		if unlabelled {
			ts.Check(ts.Exec("codex-rota", "label", name, ""))
		}
	}
}

func scriptWindow(ts *testscript.TestScript, neg bool, args []string) {
	used, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	minutes := map[string]int{sim.Primary: 300, sim.Secondary: 10080}[args[1]]
	// Half a minute more, so that the words for the time do not change while the scene plays.
	reset := time.Now().Add(time.Duration(minutes)*time.Minute/2 + 30*time.Second)
	seatCalled(ts, args[0]).SetWindow(sim.Window{Name: args[1], UsedPercent: used, Minutes: minutes, ResetAt: reset})
}

func scriptFault(ts *testscript.TestScript, neg bool, args []string) {
	if args[0] == "-" {
		scene(ts).sim.ClearFaults()
		return
	}
	f := sim.Fault{Name: args[0]}
	if len(args) > 1 {
		f.Seat = args[1]
	}
	ts.Check(scene(ts).sim.AddFault(f))
}

func scriptCall(ts *testscript.TestScript, neg bool, args []string) {
	env := []string{"PATH=" + ts.Getenv("PATH"), "ENABLE_PLUGIN_REQUEST_LOGGING=" + ts.Getenv("ENABLE_PLUGIN_REQUEST_LOGGING")}
	h, err := startMiniHost(context.Background(), binary, scene(ts).env(env), httpClient(),
		io.MultiWriter(os.Stderr, witnessOf(ts).hear("stderr of serve", saysNothing)), witnessOf(ts).hear("stdout of serve", saysProtocol))
	ts.Check(err)
	witnessOf(ts).started(h.cmd)
	_, _, err = h.generate(context.Background(), hostCall{name: "call-" + args[0], session: args[0]})
	ts.Check(errors.Join(err, h.close()))
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	var object struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &object); err != nil || object.Schema != 1 {
		ts.Fatalf("not one JSON object of schema 1: %v", err)
	}
}

func scriptSecretless(ts *testscript.TestScript, neg bool, args []string) {
	shown := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	for _, seat := range scene(ts).sim.Seats() {
		for _, token := range []string{seat.Tokens().Access, seat.Tokens().Refresh, seat.Tokens().ID} {
			if strings.Contains(shown, token) {
				ts.Fatalf("a token of %s is shown", seat.Name)
			}
		}
	}
}

// scriptForgotten looks through every byte under the pool's folder.
func scriptForgotten(ts *testscript.TestScript, neg bool, args []string) {
	seat := seatCalled(ts, args[0])
	marks := map[string][]string{
		"tokens": {seat.Tokens().Access, seat.Tokens().Refresh},
		"email":  {seat.Email},
		"ids":    {seat.AccountID, seat.UserID, seat.AccountUserID},
	}
	var found []string
	ts.Check(filepath.WalkDir(scene(ts).root(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, what := range args[1:] {
			for _, mark := range marks[what] {
				if strings.Contains(string(data), mark) {
					found = append(found, fmt.Sprintf("%s holds its %s", path, what))
				}
			}
		}
		return err
	}))
	if neg == (len(found) == 0) {
		ts.Fatalf("found: %q", found)
	}
}

func scriptAsked(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := len(scene(ts).sim.Calls(sim.Kind(args[0]))); got != want {
		ts.Fatalf("asked %d times for %s, want %d", got, args[0], want)
	}
}
