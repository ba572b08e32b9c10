package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"codex-rota/logging"
	"codex-rota/pool/atomicfile"
)

// The names under the pool's root (DESIGN 6). The nonce is a key to the accounts
// for whoever can reach 127.0.0.1: 0600 as they are.
const (
	PortFile  = "front-end.json"
	NonceFile = "front-end.nonce"
	RunLock   = "front-end.lock"      // held for as long as a front end accepts requests
	portLock  = "front-end-port.lock" // held while the port is chosen
)

// Place is where the front end of one pool keeps its port, its nonce and its
// lock.
type Place struct{ Root string }

type portFile struct {
	Schema int `json:"schema"`
	Port   int `json:"port"`
}

// Port is the port of this pool's front end: chosen once, then kept, because it
// stands in Codex's config.
func (p Place) Port(ctx context.Context) (int, error) {
	if port, err := p.readPort(); err != nil || port != 0 {
		return port, err
	}
	return p.choosePort(ctx)
}

// KeepPort makes port the one of this pool, in place of one that another program
// sits on. Codex's config must name it first: a front end that nobody finds does
// no harm, a key sent to the old port would.
func (p Place) KeepPort(ctx context.Context, port int) error {
	lock, err := p.lock(ctx, portLock, 2*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }()
	return p.writePort(port)
}

func (p Place) writePort(port int) error {
	b, err := json.Marshal(portFile{Schema: 1, Port: port})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(p.Root, PortFile), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("the front end's port: %w", err)
	}
	return nil
}

// KnownPort is Port without choosing one: 0 when none was chosen yet.
func (p Place) KnownPort() (int, error) { return p.readPort() }

// readPort gives 0 when none was chosen yet.
func (p Place) readPort() (int, error) {
	path := filepath.Join(p.Root, PortFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the front end's port: %w", err)
	}
	var f portFile
	if json.Unmarshal(b, &f) != nil || f.Schema != 1 || f.Port < 1 || f.Port > 65535 {
		return 0, fmt.Errorf("%s is damaged. Type: rm '%s' && codex-rota install codex", path, path)
	}
	return f.Port, nil
}

func (p Place) choosePort(ctx context.Context) (int, error) {
	lock, err := p.lock(ctx, portLock, 2*time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { _ = lock.Unlock() }()
	if port, err := p.readPort(); err != nil || port != 0 {
		return port, err
	}
	port, err := FreePort(0)
	if err != nil {
		return 0, err
	}
	return port, p.writePort(port)
}

// Ports are taken from a range that no system gives to outgoing connections.
const (
	firstPort = 20000
	portCount = 10000
	portTries = 100
)

// FreePort is one of them that nobody listens on now, and not the one given.
func FreePort(but int) (int, error) {
	var err error
	for range portTries {
		n, rerr := rand.Int(rand.Reader, big.NewInt(portCount))
		port := firstPort + int(n.Int64())
		if rerr != nil || port == but {
			err = errors.Join(err, rerr)
			continue
		}
		var listener net.Listener
		if listener, err = Listen(port); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("no free port for the front end: %w", err)
}

// Listen binds 127.0.0.1 and nothing else.
func Listen(port int) (net.Listener, error) {
	return net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// Nonce is the key of the front end that runs, or ran last; zero when none ever
// did.
func (p Place) Nonce() (logging.Secret, error) {
	b, err := os.ReadFile(filepath.Join(p.Root, NonceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return logging.Secret{}, nil
	}
	if err != nil {
		return logging.Secret{}, fmt.Errorf("the front end's key: %w", err)
	}
	if len(b) != nonceLength {
		return logging.Secret{}, nil // another starts with another
	}
	return logging.NewSecret(string(b)), nil
}

const nonceLength = 64

// RenewNonce makes the key of a front end that starts. Its lock must be held.
func (p Place) RenewNonce() (logging.Secret, error) {
	key := make([]byte, nonceLength/2)
	_, _ = rand.Read(key) // never fails
	text := hex.EncodeToString(key)
	if err := atomicfile.WriteNoSync(filepath.Join(p.Root, NonceFile), []byte(text), 0o600); err != nil {
		return logging.Secret{}, fmt.Errorf("the front end's key: %w", err)
	}
	return logging.NewSecret(text), nil
}

// ErrRunning says that another front end holds the place.
var ErrRunning = errors.New("a front end runs already")

// takeTime is how long a front end that starts tries to take the place: whoever
// looks whether it is taken holds it for a moment.
const takeTime = 300 * time.Millisecond

// Take takes the place; release gives it back and may be called again. The error
// is ErrRunning or the file system's.
func (p Place) Take(ctx context.Context) (release func(), err error) {
	lock, err := p.lock(ctx, RunLock, takeTime)
	if errors.Is(err, errHeld) {
		return nil, ErrRunning
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = lock.Unlock() }, nil // it ends with the process at the latest
}

// Taken reports whether a front end holds the place.
func (p Place) Taken(ctx context.Context) bool {
	lock, err := p.lock(ctx, RunLock, 0)
	if err == nil {
		_ = lock.Unlock() // it ends with the process at the latest
	}
	return errors.Is(err, errHeld)
}

var errHeld = errors.New("another process holds the lock")

// lock takes a lock file of the pool's (DESIGN 5): never unlinked, and after it
// was taken its path must still name it.
func (p Place) lock(ctx context.Context, name string, wait time.Duration) (*flock.Flock, error) {
	path := filepath.Join(p.Root, "locks", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("the front end's lock: %w", err)
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
		ok, err := lock.TryLock()
		if err == nil && !ok && wait > 0 {
			ok, err = lock.TryLockContext(waiting, 10*time.Millisecond)
		}
		if errors.Is(err, context.DeadlineExceeded) || err == nil && !ok {
			return nil, errHeld
		}
		if err != nil {
			return nil, fmt.Errorf("the front end's lock: %w", err)
		}
		held, herr := lock.Stat()
		named, nerr := os.Stat(path)
		if herr == nil && nerr == nil && os.SameFile(held, named) {
			return lock, nil
		}
		if err := lock.Unlock(); err != nil {
			return nil, fmt.Errorf("the front end's lock: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}
