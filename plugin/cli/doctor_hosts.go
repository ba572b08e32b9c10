package cli

import (
	"context"
	"fmt"
	"os"

	"codex-rota/plugin"
	"codex-rota/plugin/host"
)

const installOpenCode = "codex-rota install " + plugin.HostOpenCode

// checkHosts looks at how codex-rota is registered with each host, and at the
// front end for Codex.
func (a *app) checkHosts(ctx context.Context, fix bool) []plugin.Check {
	checks := append(a.checkOpenCode(fix), a.checkCodex(ctx, fix)...)
	return append(checks, a.checkFrontEnd(ctx)...)
}

// checkOpenCode looks at the shim; fix writes it anew where that is all that is
// amiss.
func (a *app) checkOpenCode(fix bool) []plugin.Check {
	o := a.openCode()
	state, err := o.State()
	if err != nil {
		return []plugin.Check{{Name: plugin.HostOpenCode, Result: plugin.CheckFail, Detail: err.Error()}}
	}
	check := a.checkShim(state)
	if fix && check.Mend != "" && !a.otherBinary(state) {
		check = reinstall(o, check)
	}
	return append([]plugin.Check{check}, checkTwins(o, state)...)
}

// checkShim judges what is registered. Not to be is no fault.
func (a *app) checkShim(state host.State) plugin.Check {
	c := plugin.Check{Name: plugin.HostOpenCode, Result: plugin.CheckFail, Mend: installOpenCode}
	switch {
	case !state.Registered:
		c.Result, c.Mend, c.Detail = plugin.CheckOK, "", state.Detail
	case state.Binary == "":
		c.Detail = fmt.Sprintf("%s names %s, which is missing or no shim", state.ConfigPath, state.ShimPath)
	case !exists(state.Binary):
		c.Detail = fmt.Sprintf("the shim starts %s, which is missing", state.Binary)
	case a.otherBinary(state):
		c.Result = plugin.CheckWarn
		c.Detail = fmt.Sprintf("OpenCode starts %s (its shim is of version %s), and this is %s %s", state.Binary, state.ShimVersion, a.Executable, plugin.Version)
	case state.ShimVersion != plugin.Version:
		c.Result = plugin.CheckWarn
		c.Detail = fmt.Sprintf("the shim is of version %s, and the binary it starts of version %s", state.ShimVersion, plugin.Version)
	case state.Stale:
		c.Result = plugin.CheckWarn
		c.Detail = fmt.Sprintf("the shim in %s is not what version %s writes", state.ShimPath, plugin.Version)
	default:
		c.Result, c.Mend, c.Detail = plugin.CheckOK, "", "registered in "+state.ConfigPath
	}
	return c
}

// otherBinary reports whether the shim starts another codex-rota than this one:
// which of them is meant is the person's to say.
func (a *app) otherBinary(state host.State) bool {
	return exists(state.Binary) && !a.isThis(state.Binary)
}

// isThis reports whether path is the binary that runs.
func (a *app) isThis(path string) bool {
	theirs, err := os.Stat(path)
	if err != nil {
		return false
	}
	own, err := os.Stat(a.Executable)
	return err == nil && os.SameFile(own, theirs)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func reinstall(o *host.OpenCode, was plugin.Check) plugin.Check {
	report, err := o.Install(false)
	if err != nil {
		was.Detail += "; installing it again failed: " + err.Error()
		return was
	}
	return plugin.Check{Name: was.Name, Result: plugin.CheckOK, Detail: was.Detail, Fixed: report.Done()}
}

// checkTwins looks for more than one shim: OpenCode loads them all, and one of
// another version speaks for the one that is installed.
func checkTwins(o *host.OpenCode, state host.State) []plugin.Check {
	twins, err := o.OtherShims()
	if err != nil {
		return []plugin.Check{{Name: plugin.HostOpenCode, Result: plugin.CheckFail, Detail: err.Error()}}
	}
	var checks []plugin.Check
	for _, twin := range twins {
		c := plugin.Check{Name: plugin.HostOpenCode, Result: plugin.CheckWarn, Mend: "take " + twin.Path + " out of " + twin.In}
		c.Detail = fmt.Sprintf("OpenCode loads a second shim of version %s from %s", twin.Version, twin.Path)
		if state.Registered && twin.Version != state.ShimVersion {
			c.Result = plugin.CheckFail
			c.Detail += fmt.Sprintf(", beside version %s from %s", state.ShimVersion, state.ShimPath)
		}
		checks = append(checks, c)
	}
	return checks
}
