package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
	"codex-rota/plugin/sim"
)

const (
	demoPrompt = "Say hello."
	demoModel  = "gpt-5.5"
	demoLimit  = 3 * time.Minute
)

func (a *app) demoCommand() *cobra.Command {
	var noHost bool
	var hostsDir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Tell the whole story against a simulated OpenAI: a limit, and the answer from the next account",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.demo(ctx, noHost, hostsDir)
		},
	}
	cmd.Flags().BoolVar(&noHost, "no-host", false, "without OpenCode: through the plugin's own pipe")
	cmd.Flags().StringVar(&hostsDir, "hosts-dir", "", "where OpenCode is installed from npm (default .hosts here)")
	return cmd
}

// demo plays the story and fails unless the answer came from the second account
// and the person saw no error.
func (a *app) demo(ctx context.Context, noHost bool, hostsDir string) error {
	p, err := newPlayground()
	if err != nil {
		return err
	}
	defer p.close()
	seats, err := p.addSeats(ctx, sim.Seat{Name: "personal"}, sim.Seat{Name: "work", Plan: "business"}, sim.Seat{Name: "second"})
	if err != nil {
		return err
	}
	if err := p.sim.AddFault(sim.Fault{Name: "weekly-limit", Seat: seats[0].Name}); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Three simulated accounts are in a temporary pool: personal, work, second.\nThe weekly limit of \"personal\" is spent.\n\n")
	env := p.env(a.Environ(), "ENABLE_PLUGIN_REQUEST_LOGGING=1")
	var answer, said string // said: on stderr
	if noHost {
		fmt.Fprintln(a.Out, "codex-rota serve is asked through its own pipe:")
		answer, err = a.demoPipe(ctx, env)
	} else {
		answer, said, err = a.demoOpenCode(ctx, p, env, hostsDir)
	}
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	fmt.Fprintf(a.Out, "\n%s\n\n", indent(answer))
	if err := a.printCalls(p); err != nil {
		return err
	}
	return judgeDemo(p.sim.Calls(sim.KindResponses), answer, said, seats[1].Name)
}

// demoPipe makes the call through the plugin's own pipe.
func (a *app) demoPipe(ctx context.Context, env []string) (string, error) {
	h, err := startMiniHost(ctx, a.Executable, env, httpClient(), a.Err, nil)
	if err != nil {
		return "", err
	}
	text, _, err := h.generate(ctx, hostCall{name: "demo", session: "ses_demo"})
	if cerr := h.close(); err == nil {
		err = cerr
	}
	return text, err
}

// demoOpenCode registers the plugin in the temporary home and runs the real
// OpenCode there. It gives what OpenCode wrote on stdout and on stderr.
func (a *app) demoOpenCode(ctx context.Context, p *playground, env []string, hostsDir string) (answer, said string, err error) {
	if hostsDir == "" {
		here, err := os.Getwd()
		if err != nil {
			return "", "", err
		}
		hostsDir = filepath.Join(here, ".hosts")
	}
	binary, err := host.FindOrInstallOpenCode(ctx, hostsDir, a.Err)
	if err != nil {
		return "", "", err
	}
	if err := host.PrepareHome(p.dir); err != nil {
		return "", "", err
	}
	registered := host.NewOpenCode(host.OpenCodeOptions{Home: p.dir, Env: func(string) string { return "" }, Binary: a.Executable, Version: plugin.Version})
	if _, err := registered.Install(false); err != nil {
		return "", "", err
	}
	fmt.Fprintf(a.Out, "$ opencode run %q --model openai/%s\n", demoPrompt, demoModel)
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	project := filepath.Join(p.dir, "project")
	if err := os.MkdirAll(project, 0o700); err != nil {
		return "", "", err
	}
	cmd := exec.CommandContext(ctx, binary, "run", demoPrompt, "--model", "openai/"+demoModel)
	cmd.Dir = project
	cmd.Env = append(host.OpenCodeEnv(p.dir, env...), "PWD="+project)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", "", fmt.Errorf("opencode run: %w\n%s%s", err, out.String(), errOut.String())
	}
	return strings.TrimSpace(out.String()), errOut.String(), nil
}

// printCalls joins what the simulation received with what the request log says
// of it: one row a model call.
func (a *app) printCalls(p *playground) error {
	said, err := readVerdicts(filepath.Join(p.root(), "logs", "codex-plugin"))
	if err != nil {
		return err
	}
	t := newTable(a.Out, a.style(), column{head: "CALL"}, column{head: "ACCOUNT"}, column{head: "STATUS"}, column{head: "VERDICT"}, column{head: "WHY"})
	for i, call := range p.sim.Calls(sim.KindResponses) {
		verdict, why := said.of(call)
		t.row(cell{text: strconv.Itoa(i + 1)}, cell{text: call.Seat}, cell{text: strconv.Itoa(call.Status)}, cell{text: verdict}, cell{text: why})
	}
	return t.flush()
}
