package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/plugin/proxy"
	"codex-rota/pool"
)

const (
	// frontEndWait bounds how long the front end may take to start: Codex kills
	// its token command after 5 s (FACTS-hosts 2).
	frontEndWait = 4 * time.Second
	firstLook    = 2 * time.Millisecond
	lastLook     = 50 * time.Millisecond
)

// frontEndSelf is what a front end that starts now would be.
func (a *app) frontEndSelf() (proxy.Self, error) {
	settings, err := os.ReadFile(filepath.Join(a.root(), "settings.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return proxy.Self{}, fmt.Errorf("settings: %w", err)
	}
	sum := sha256.Sum256(settings)
	return proxy.Self{Version: plugin.Version, Settings: hex.EncodeToString(sum[:8])}, nil
}

// strangerError says that another program listens on the front end's port.
type strangerError struct{ port int }

func (e *strangerError) Error() string {
	return fmt.Sprintf("another program listens on port %d, where the codex-rota front end should", e.port)
}

// ensureFrontEnd gives the port and the key of the pool's front end, and starts
// one when none runs. One of an older version, or with other settings than those
// of now, makes room for a new one; its answers in flight go on. The error is a
// *strangerError when the port is taken.
func (a *app) ensureFrontEnd(ctx context.Context) (port int, nonce logging.Secret, err error) {
	ctx, cancel := context.WithTimeout(ctx, frontEndWait)
	defer cancel()
	if _, err := pool.CheckRoot(a.root()); err != nil {
		return 0, nonce, &plugin.Error{Code: plugin.CodeStoreUnreadable, Message: err.Error()}
	}
	place := proxy.Place{Root: a.root()}
	if port, err = a.frontEndPort(ctx); err != nil {
		return 0, nonce, err
	}
	self, err := a.frontEndSelf()
	if err != nil {
		return 0, nonce, err
	}
	var started *startedFrontEnd
	for look := firstLook; ; look = min(2*look, lastLook) {
		if nonce, err = place.Nonce(); err != nil {
			return 0, nonce, err
		}
		visit := proxy.Visit{Port: port, Nonce: nonce}
		proof, err := visit.Knock(ctx)
		switch {
		case err == nil && !outdated(proof.Self, self):
			started.settle(ctx, proof.PID)
			return port, nonce, nil
		case err == nil:
			_, err = visit.Stop(ctx)
		case ctx.Err() != nil:
		case started == nil && !place.Taken(ctx):
			if started, err = a.startFrontEnd(); err != nil {
				return 0, nonce, err
			}
		}
		select {
		case err := <-started.end():
			if err != nil {
				return 0, nonce, a.notStarted(port, err)
			}
			started = nil // another was faster, and is looked for again
		case <-ctx.Done():
			return 0, nonce, a.notStarted(port, fmt.Errorf("it did not answer within %s: %w", frontEndWait, errors.Join(err, context.Cause(ctx))))
		case <-time.After(look):
		}
	}
}

// outdated reports whether a front end must make room: a newer one stays, or two
// installs would turn each other out for ever.
func outdated(running, now proxy.Self) bool {
	return running.Settings != now.Settings || older(running.Version, now.Version)
}

// older compares dotted numbers; what is no number counts as 0.
func older(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		var m, n int
		if i < len(x) {
			m, _ = strconv.Atoi(x[i])
		}
		if i < len(y) {
			n, _ = strconv.Atoi(y[i])
		}
		if m != n {
			return m < n
		}
	}
	return false
}

// startedFrontEnd is a front end that this process has started. Nil is none.
type startedFrontEnd struct {
	pid   int
	ended chan error // how it ended, if it does so while we are here
}

func (f *startedFrontEnd) end() <-chan error {
	if f == nil {
		return nil
	}
	return f.ended
}

// settleWait bounds how long a front end that came too late is waited for.
const settleWait = time.Second

// settle waits for the end of a front end that lost the race against the one that
// answers now: left alone, it could take the place of one that is ended on purpose
// in that moment.
func (f *startedFrontEnd) settle(ctx context.Context, answers int) {
	if f == nil || f.pid == answers {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	select {
	case <-f.ended:
	case <-ctx.Done():
	}
}

// startFrontEnd starts `codex-rota proxy` in a session of its own, with nothing of
// ours but the environment: it outlives us, and Codex waits for the end of our
// output.
func (a *app) startFrontEnd() (*startedFrontEnd, error) {
	child := exec.Command(a.Executable, "proxy", "--root", a.root())
	child.Env = a.Environ()
	child.SysProcAttr = ownSession()
	if exists(a.Home) {
		child.Dir = a.Home // not the project's folder, which may be unmounted or deleted
	}
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("the front end could not be started: %w", err)
	}
	f := &startedFrontEnd{pid: child.Process.Pid, ended: make(chan error, 1)}
	go func() { f.ended <- child.Wait() }() // it ends with the front end
	return f, nil
}

// errMute says that a front end holds the place and does not answer: it hangs, or
// the machine is very busy. endMute is what ends it.
var errMute = errors.New("the front end runs, and does not answer")

const endMute = "end the process: codex-rota proxy"

// notStarted says why there is no front end, as well as it can be known from here.
func (a *app) notStarted(port int, err error) error {
	listener, lerr := proxy.Listen(port)
	taken := (proxy.Place{Root: a.root()}).Taken(context.Background())
	switch {
	case lerr == nil:
		err = errors.Join(err, listener.Close())
	case taken:
		return fmt.Errorf("%w within %s. If that goes on, %s", errMute, frontEndWait, endMute)
	default:
		return &strangerError{port}
	}
	_, closer, lerr := a.frontEndLog()
	if lerr != nil { // then it could not log why either
		return fmt.Errorf("the front end did not start (%w): %w", err, lerr)
	}
	_ = closer.Close() // nothing was written
	return fmt.Errorf("the front end did not start (%w); its log: %s", err, filepath.Join(a.requestLogDir(), logging.PluginLog))
}

// strangerAt reports whether another program sits on the front end's port.
func (a *app) strangerAt(ctx context.Context, port int) bool {
	place := proxy.Place{Root: a.root()}
	nonce, err := place.Nonce()
	if err != nil {
		return false // told by whoever needs it
	}
	_, err = proxy.Visit{Port: port, Nonce: nonce}.Knock(ctx)
	return errors.Is(err, proxy.ErrStranger) && !place.Taken(ctx)
}

// frontEndPort is the port that Codex is told at install, chosen now if it never
// was.
func (a *app) frontEndPort(ctx context.Context) (int, error) {
	return proxy.Place{Root: a.root()}.Port(ctx)
}

// stopWait bounds how long the end of a front end is waited for: what it still
// answers may take longer.
const stopWait = 3 * time.Second

// stopFrontEnd ends the front end if one runs, and waits until it is gone or
// stopWait is over.
func (a *app) stopFrontEnd(ctx context.Context) error {
	place := proxy.Place{Root: a.root()}
	if !exists(filepath.Join(a.root(), proxy.NonceFile)) || !place.Taken(ctx) {
		return nil
	}
	port, err := place.Port(ctx)
	if err != nil {
		return err
	}
	nonce, err := place.Nonce()
	if err != nil {
		return err
	}
	pid, err := proxy.Visit{Port: port, Nonce: nonce}.Stop(ctx)
	if errors.Is(err, proxy.ErrStranger) && place.Taken(ctx) {
		err = fmt.Errorf("%w. To end it: %s", errMute, endMute)
	}
	if err != nil {
		return fmt.Errorf("the front end could not be ended: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	for pool.ProcessLives(pid) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(lastLook):
		}
	}
	return nil
}

// moveFrontEnd leaves a port that another program sits on. The Codex that asks
// still knows the old port, so that even this is an error to it.
func (a *app) moveFrontEnd(ctx context.Context, stranger *strangerError) error {
	port, err := a.leavePort(ctx, stranger)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w; it moved to port %d: start Codex again", stranger, port)
}

// leavePort gives the port to go to. Codex's config, where it names the old one,
// is told first: when that fails everything stays as it was, and is tried again.
func (a *app) leavePort(ctx context.Context, stranger *strangerError) (port int, err error) {
	port, err = proxy.FreePort(stranger.port)
	if err != nil {
		return 0, errors.Join(stranger, err)
	}
	if err := a.moveCodex(ctx, port); err != nil {
		return 0, fmt.Errorf("%w, and Codex's config could not be changed: %w. Type: codex-rota install codex", stranger, err)
	}
	if err := (proxy.Place{Root: a.root()}).KeepPort(ctx, port); err != nil {
		return 0, errors.Join(stranger, err)
	}
	return port, nil
}
