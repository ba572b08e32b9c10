package cli

import (
	"context"
	"path/filepath"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
	"codex-rota/plugin/proxy"
)

// codex is the person's Codex CLI, with this pool's front end on port; 0 for not
// known.
func (a *app) codex(port int) (*host.Codex, error) {
	// What stands in Codex's config must not depend on the folder it runs in.
	root, err := filepath.Abs(a.root())
	if err != nil {
		return nil, err
	}
	return host.NewCodex(host.CodexOptions{Home: a.Home, Env: a.Env, Environ: a.Environ(), Binary: a.Executable, Root: root, Port: port, ServerEnv: serverEnv()}), nil
}

// serverEnv is what the tools read of the environment: the settings, so that they
// explain what the front end does, and the way out to the usage endpoint.
func serverEnv() []string {
	names := []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}
	for _, s := range plugin.SettingsInfo() {
		names = append(names, s.Environment)
	}
	return names
}

// knownCodex is codex with the port that was chosen, for those who only look.
func (a *app) knownCodex() (*host.Codex, error) {
	port, err := proxy.Place{Root: a.root()}.KnownPort()
	if err != nil {
		return nil, err
	}
	return a.codex(port)
}

// installCodex keeps the port only once Codex's config names it: an install that
// fails changes nothing.
func (a *app) installCodex(ctx context.Context, o installFlags) (host.Report, error) {
	place := proxy.Place{Root: a.root()}
	known, err := place.KnownPort()
	if err != nil {
		return host.Report{}, err
	}
	port := known
	switch {
	case known == 0:
		port, err = a.firstPort()
	case a.strangerAt(ctx, known):
		port, err = proxy.FreePort(known)
	}
	if err != nil {
		return host.Report{}, err
	}
	codex, err := a.codex(port)
	if err != nil {
		return host.Report{}, err
	}
	report, err := codex.Install(ctx, host.CodexInstall{DryRun: o.dryRun, ProfileOnly: o.profileOnly, KeepDefault: o.keepDefault})
	if err == nil && port != known && !o.dryRun {
		err = place.KeepPort(ctx, port)
	}
	return report, err
}

// firstPort is the one that Codex knows already, from a pool that was deleted
// meanwhile, else any free one.
func (a *app) firstPort() (int, error) {
	codex, err := a.codex(0)
	if err != nil {
		return 0, err
	}
	state, err := codex.State()
	if err != nil {
		return 0, err
	}
	for _, e := range []*host.CodexEntry{state.Config, state.Profile} {
		if e != nil && e.Port != 0 {
			return e.Port, nil
		}
	}
	return proxy.FreePort(0)
}

func (a *app) uninstallCodex(ctx context.Context, o installFlags) (host.Report, error) {
	codex, err := a.codex(0)
	if err != nil {
		return host.Report{}, err
	}
	report, err := codex.Uninstall(ctx, host.CodexUninstall{DryRun: o.dryRun, ProfileOnly: o.profileOnly})
	if err != nil || o.dryRun {
		return report, err
	}
	if state, err := codex.State(); err != nil || state.Registered() {
		return report, err
	}
	return report, a.stopFrontEnd(ctx) // nobody is left to ask it
}

// moveCodex tells Codex's config, where it names this pool's front end, that it
// is on another port.
func (a *app) moveCodex(ctx context.Context, port int) error {
	codex, err := a.codex(port)
	if err != nil {
		return err
	}
	_, err = codex.MovePort(ctx, port)
	return err
}
