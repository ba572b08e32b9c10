package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

const selfTestLimit = 2 * time.Minute

// selfCheck is one line of the self-test. A check that has nothing to look at
// gives a *skipped.
type selfCheck struct {
	name string
	run  func(ctx context.Context, a *app) (detail string, err error)
}

type skipped struct{ why string }

func (s *skipped) Error() string { return s.why }

func (a *app) selfTestCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "self-test",
		Short: "Check this install against a simulated OpenAI; touches no account and no network",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, selfTestLimit)
			defer cancel()
			return a.selfTest(ctx, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

type selfTestLine struct {
	Name   string `json:"name"`
	Result string `json:"result"` // ok, fail or skip
	Detail string `json:"detail"`
}

func (a *app) selfTest(ctx context.Context, asJSON bool) error {
	var lines []selfTestLine
	failed := false
	for _, check := range selfChecks() {
		line := selfTestLine{Name: check.name, Result: "ok"}
		detail, err := check.run(ctx, a)
		var skip *skipped
		switch {
		case errors.As(err, &skip):
			line.Result, line.Detail = "skip", skip.why
		case err != nil:
			line.Result, line.Detail, failed = "fail", err.Error(), true
		default:
			line.Detail = detail
		}
		if !asJSON {
			fmt.Fprintf(a.Out, "%-5s %-14s %s\n", line.Result, line.Name, line.Detail)
		}
		lines = append(lines, line)
	}
	if asJSON {
		if err := printJSON(a.Out, struct {
			Schema int            `json:"schema"`
			Passed bool           `json:"passed"`
			Checks []selfTestLine `json:"checks"`
		}{1, !failed, lines}); err != nil {
			return err
		}
	}
	if failed {
		return errSaid
	}
	return nil
}

func selfChecks() []selfCheck {
	return []selfCheck{
		{"binary", checkBinary},
		{"store", checkStore},
		{"locks", checkLocks},
		{"rpc", checkRPC},
		{"login", checkLogin},
		{"refresh", checkRefresh},
		{"fail-over", checkFailOver},
		{"front end", checkFrontEndCall},
		{"instructions", checkInstructions},
		{"host opencode", checkOpenCodeHost},
		{"host codex", checkCodexHost},
	}
}

// checkBinary runs this very binary, as a host would.
func checkBinary(ctx context.Context, a *app) (string, error) {
	out, err := exec.CommandContext(ctx, a.Executable, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s does not run: %w", a.Executable, err)
	}
	said := strings.TrimSpace(string(out))
	if !strings.Contains(said, plugin.Version) {
		return "", fmt.Errorf("%s says %q, this is version %s", a.Executable, said, plugin.Version)
	}
	return a.Executable + " " + plugin.Version, nil
}

// checkStore adds accounts in one process and reads them in another.
func checkStore(ctx context.Context, a *app) (string, error) {
	return inPlayground(ctx, named("one", "two"), func(p *playground, _ []*sim.Seat) (string, error) {
		listed, err := p.command(ctx, a, "list", "--json")
		if err == nil && strings.Count(listed, `"state": "ready"`) != 2 {
			err = errors.New("two accounts were written, but not read back")
		}
		return "written and read back in a temporary folder", err
	})
}

// checkLocks lets three processes want the same expired token at once: with
// working locks the issuer is asked once.
func checkLocks(ctx context.Context, a *app) (string, error) { return oneRefresh(ctx, a, 3) }

// checkRefresh renews one expired token.
func checkRefresh(ctx context.Context, a *app) (string, error) { return oneRefresh(ctx, a, 1) }

func oneRefresh(ctx context.Context, a *app, processes int) (string, error) {
	return inPlayground(ctx, []sim.Seat{{Name: "expired", Expired: true}}, func(p *playground, seats []*sim.Seat) (string, error) {
		failures := make(chan error, processes)
		for range processes {
			go func() {
				_, err := p.command(ctx, a, "token")
				failures <- err
			}()
		}
		var err error
		for range processes {
			err = errors.Join(err, <-failures)
		}
		if n := p.sim.RefreshCount(seats[0]); err == nil && n != 1 {
			err = fmt.Errorf("%d processes sent %d refresh requests, want 1", processes, n)
		}
		return fmt.Sprintf("%d process(es), one refresh request", processes), err
	})
}

// checkRPC talks to a child of this binary over real pipes.
func checkRPC(ctx context.Context, a *app) (string, error) {
	return withMiniHost(ctx, a, nil, func(_ *playground, _ []*sim.Seat, h *miniHost) (string, error) {
		var hello plugin.InitializeResult
		err := h.ask(ctx, "initialize", plugin.InitializeParams{Protocol: plugin.Protocol, Host: plugin.HostInfo{Name: "self-test"}}, &hello)
		if err == nil && hello.Version != plugin.Version {
			err = fmt.Errorf("the child is version %s", hello.Version)
		}
		return "a child answered over its pipes and ended with them", err
	})
}

// checkFailOver meets a spent limit and expects the answer from the next account.
func checkFailOver(ctx context.Context, a *app) (string, error) {
	return withMiniHost(ctx, a, named("spent", "fresh"), func(p *playground, seats []*sim.Seat, h *miniHost) (string, error) {
		if err := p.sim.AddFault(sim.Fault{Name: "weekly-limit", Seat: seats[0].Name}); err != nil {
			return "", err
		}
		text, _, err := h.generate(ctx, hostCall{name: "self-test", session: "ses_self_test"})
		if err == nil && !strings.Contains(text, seats[1].Name) {
			err = fmt.Errorf("the answer is %q, want it from the second account", text)
		}
		return "429 on the first account, answer from the second", err
	})
}

// checkInstructions fetches them once and reads them again from the cache.
func checkInstructions(ctx context.Context, a *app) (string, error) {
	return withMiniHost(ctx, a, nil, func(_ *playground, _ []*sim.Seat, h *miniHost) (string, error) {
		var first, second plugin.InstructionsResult
		p := plugin.InstructionsParams{Model: demoModel}
		if err := errors.Join(h.ask(ctx, "instructions/get", p, &first), h.ask(ctx, "instructions/get", p, &second)); err != nil {
			return "", err
		}
		if first.Source != "network" || second.Source != "cache" || first.Text != second.Text || first.Text == "" {
			return "", fmt.Errorf("they came from %s, then from %s", first.Source, second.Source)
		}
		return "fetched once, then from the cache", nil
	})
}

// inPlayground runs a check in a playground of its own with these seats.
func inPlayground(ctx context.Context, seats []sim.Seat, check func(*playground, []*sim.Seat) (string, error)) (string, error) {
	p, err := newPlayground()
	if err != nil {
		return "", err
	}
	defer p.close()
	added, err := p.addSeats(ctx, seats...)
	if err != nil {
		return "", err
	}
	detail, err := check(p, added)
	if err != nil {
		return "", err
	}
	return detail, nil
}

// withMiniHost is inPlayground with a host that talks to a child of this binary.
func withMiniHost(ctx context.Context, a *app, seats []sim.Seat, check func(*playground, []*sim.Seat, *miniHost) (string, error)) (string, error) {
	return inPlayground(ctx, seats, func(p *playground, added []*sim.Seat) (string, error) {
		h, err := startMiniHost(ctx, a.Executable, p.env(a.Environ()), httpClient(), nil, nil)
		if err != nil {
			return "", err
		}
		detail, err := check(p, added, h)
		return detail, errors.Join(err, h.close())
	})
}

// named makes seats of these names.
func named(names ...string) []sim.Seat {
	seats := make([]sim.Seat, len(names))
	for i, name := range names {
		seats[i].Name = name
	}
	return seats
}

// checkOpenCodeHost looks at the real registration; none is no fault.
func checkOpenCodeHost(_ context.Context, a *app) (string, error) {
	state, err := a.openCode().State()
	if err != nil {
		return "", err
	}
	if !state.Registered {
		return "", &skipped{"not registered; codex-rota install opencode does it"}
	}
	if _, err := os.Stat(state.Binary); err != nil {
		return "", fmt.Errorf("the registered binary is missing: %w; codex-rota install opencode mends it", err)
	}
	if state.ShimVersion != plugin.Version {
		return "", fmt.Errorf("the shim is of version %s; codex-rota install opencode renews it", state.ShimVersion)
	}
	return "registered in " + state.ConfigPath, nil
}

// command runs this binary in the playground and gives what it printed.
func (p *playground) command(ctx context.Context, a *app, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, a.Executable, args...)
	cmd.Env = p.env(a.Environ())
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("codex-rota %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}
