package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
	"codex-rota/plugin/sim"
	"codex-rota/pool"
)

// playground is a temporary home with a pool of its own, beside a simulated
// OpenAI and GitHub: demo and self-test play in it and touch nothing else.
type playground struct {
	dir string // home of everything; removed by close
	sim *sim.Server
}

func newPlayground() (*playground, error) {
	dir, err := os.MkdirTemp("", "codex-rota-")
	if err != nil {
		return nil, err
	}
	server, err := sim.Start(sim.Options{AnyCallbackPort: true, DeviceInterval: 1})
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("start the simulation: %w", err)
	}
	return &playground{dir: dir, sim: server}, nil
}

func (p *playground) close() {
	p.sim.Close()
	os.RemoveAll(p.dir)
}

func (p *playground) root() string { return filepath.Join(p.dir, "pool") }

// env is the system's environment, less what would lead out of the playground.
func (p *playground) env(base []string, more ...string) []string {
	var out []string
	for _, entry := range base {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "CODEX_") || strings.HasPrefix(name, "XDG_") || strings.HasPrefix(name, "OPENCODE") || name == "HOME" {
			continue
		}
		out = append(out, entry)
	}
	out = append(out, "HOME="+p.dir, "CODEX_MULTI_AUTH_DIR="+p.root())
	return append(append(out, p.sim.Env()...), more...)
}

// addSeats makes simulated seats and logs them into the playground's pool in
// this order.
func (p *playground) addSeats(ctx context.Context, seats ...sim.Seat) ([]*sim.Seat, error) {
	// The logins are an hour old, so that a token may have expired since.
	loggedIn := func() time.Time { return time.Now().Add(-time.Hour) }
	store, err := pool.OpenStore(pool.Options{Dir: p.root(), Refresh: p.issuer().Refresh, Now: loggedIn})
	if err != nil {
		return nil, err
	}
	defer store.Close(ctx)
	var added []*sim.Seat
	for _, config := range seats {
		seat := p.sim.AddSeat(config)
		tokens := seat.Tokens()
		_, _, err := store.Add(ctx, auth.Tokens{Access: logging.NewSecret(tokens.Access), Refresh: logging.NewSecret(tokens.Refresh),
			ID: logging.NewSecret(tokens.ID), ExpiresAt: tokens.ExpiresAt}, seat.Name, "simulation")
		if err != nil {
			return nil, fmt.Errorf("add seat %s: %w", seat.Name, err)
		}
		added = append(added, seat)
	}
	return added, nil
}

func (p *playground) issuer() *auth.Client {
	return &auth.Client{Issuer: p.sim.Issuer(), ClientID: sim.DefaultClientID, HTTP: httpClient(), Now: time.Now}
}
