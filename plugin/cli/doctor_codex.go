package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
	"codex-rota/plugin/proxy"
)

const installCodex = "codex-rota install " + plugin.HostCodex

// checkCodex looks at how codex-rota is registered with the Codex CLI; fix renews
// what is stale. Which pool, which binary and which default provider are meant
// is the person's to say.
func (a *app) checkCodex(ctx context.Context, fix bool) []plugin.Check {
	fail := func(err error) []plugin.Check {
		return []plugin.Check{{Name: plugin.HostCodex, Result: plugin.CheckFail, Detail: err.Error()}}
	}
	codex, err := a.knownCodex()
	if err != nil {
		return fail(err)
	}
	state, err := codex.State()
	if err != nil {
		return fail(err)
	}
	if !state.Registered() {
		return []plugin.Check{{Name: plugin.HostCodex, Result: plugin.CheckOK, Detail: state.Detail}}
	}
	var checks []plugin.Check
	for _, e := range []*host.CodexEntry{state.Config, state.Profile} {
		if e == nil {
			continue
		}
		profile := e == state.Profile
		c, safe := a.checkCodexEntry(e, profile)
		if fix && safe {
			c = a.renewCodex(ctx, profile, c)
		}
		checks = append(checks, c)
	}
	if name := host.ProxyDetour(a.Env); name != "" {
		checks = append(checks, plugin.Check{Name: plugin.HostCodex, Result: plugin.CheckWarn,
			Detail: fmt.Sprintf("%s is set, by which Codex sends what is for the front end to that proxy, prompts and key in clear", name),
			Mend:   fmt.Sprintf("export NO_PROXY='%s'", host.DirectNoProxy(a.Env))})
	}
	return append(checks, checkCodexProgram(ctx, codex))
}

// checkCodexEntry judges one registration; safe says that to renew it takes no
// choice from the person.
func (a *app) checkCodexEntry(e *host.CodexEntry, profile bool) (c plugin.Check, safe bool) {
	c = plugin.Check{Name: plugin.HostCodex, Result: plugin.CheckWarn, Mend: installCodex}
	if profile {
		c.Mend += " --profile-only"
	}
	port, err := proxy.Place{Root: a.root()}.KnownPort()
	root, rerr := filepath.Abs(a.root())
	if err := errors.Join(err, rerr); err != nil {
		c.Result, c.Mend, c.Detail = plugin.CheckFail, "", err.Error()
		return c, false
	}
	switch {
	case !exists(e.Binary):
		c.Result, safe = plugin.CheckFail, true
		c.Detail = fmt.Sprintf("%s starts %s, which is missing", e.Path, e.Binary)
	case !a.isThis(e.Binary):
		c.Detail = fmt.Sprintf("%s starts %s, and this is %s", e.Path, e.Binary, a.Executable)
	case !samePath(e.Root, root):
		c.Detail = fmt.Sprintf("%s is pinned to the pool in %s, and this is the one in %s", e.Path, e.Root, root)
	case port != 0 && e.Port != port:
		c.Result, safe = plugin.CheckFail, true
		c.Detail = fmt.Sprintf("%s expects the front end on port %d, and it is on port %d", e.Path, e.Port, port)
	case len(e.Differs) > 0:
		safe = true
		c.Detail = fmt.Sprintf("%s is not what version %s writes: %s", e.Path, plugin.Version, strings.Join(e.Differs, ", "))
	case !e.Default():
		c.Detail = fmt.Sprintf("%s has another default provider (%s), so that Codex does not use the pool", e.Path, e.Provider)
		if e.Provider == "" {
			c.Detail = fmt.Sprintf("%s has no default provider, so that Codex does not use the pool", e.Path)
		}
	case profile:
		c.Result, c.Mend, c.Detail = plugin.CheckOK, "", fmt.Sprintf("registered in %s, for codex -p %s", e.Path, host.CodexProfile)
	default:
		c.Result, c.Mend, c.Detail = plugin.CheckOK, "", "registered in "+e.Path
	}
	return c, safe
}

func (a *app) renewCodex(ctx context.Context, profile bool, was plugin.Check) plugin.Check {
	report, err := a.installCodex(ctx, installFlags{profileOnly: profile, keepDefault: true})
	if err != nil {
		was.Detail += "; installing it again failed: " + err.Error()
		return was
	}
	return plugin.Check{Name: was.Name, Result: plugin.CheckOK, Detail: was.Detail, Fixed: report.Done()}
}

// checkCodexProgram looks for the Codex that is to use the registration.
func checkCodexProgram(ctx context.Context, codex *host.Codex) plugin.Check {
	path, version, err := codex.Program(ctx)
	switch {
	case errors.Is(err, host.ErrNoCodex):
		return plugin.Check{Name: plugin.HostCodex, Result: plugin.CheckWarn, Detail: "registered, but codex is not in PATH",
			Mend: "npm install -g @openai/codex"}
	case err != nil:
		return plugin.Check{Name: plugin.HostCodex, Result: plugin.CheckWarn, Detail: err.Error(), Mend: "npm install -g @openai/codex@latest"}
	}
	detail := fmt.Sprintf("%s is version %s", path, version)
	if version != host.CodexVersion {
		detail += "; codex-rota is tested with " + host.CodexVersion
	}
	return plugin.Check{Name: plugin.HostCodex, Result: plugin.CheckOK, Detail: detail}
}

// samePath compares folders as they are on disk, where they are.
func samePath(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// codexState is how the Codex CLI is registered, for status.
func (a *app) codexState() plugin.HostState {
	h := plugin.HostState{Name: plugin.HostCodex}
	codex, err := a.knownCodex()
	if err != nil {
		h.Detail = err.Error()
		return h
	}
	state, err := codex.State()
	if err != nil {
		h.Detail = err.Error()
		return h
	}
	h.Registered, h.Detail = state.Registered(), state.Detail
	return h
}

// checkCodexHost looks at the real registration for the self-test; none is no
// fault.
func checkCodexHost(_ context.Context, a *app) (string, error) {
	codex, err := a.knownCodex()
	if err != nil {
		return "", err
	}
	state, err := codex.State()
	if err != nil {
		return "", err
	}
	if !state.Registered() {
		return "", &skipped{state.Detail}
	}
	for _, e := range []*host.CodexEntry{state.Config, state.Profile} {
		if e == nil {
			continue
		}
		if !exists(e.Binary) {
			return "", fmt.Errorf("the registered binary %s is missing; %s mends it", e.Binary, installCodex)
		}
		if len(e.Differs) > 0 {
			return "", fmt.Errorf("%s is not what this version writes; %s renews it", e.Path, installCodex)
		}
	}
	return state.Detail, nil
}
