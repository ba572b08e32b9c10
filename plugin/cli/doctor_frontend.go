package cli

import (
	"context"
	"errors"
	"fmt"

	"codex-rota/plugin"
	"codex-rota/plugin/proxy"
)

// checkFrontEnd looks who listens on the front end's port. Not to run is no
// fault: Codex starts it.
func (a *app) checkFrontEnd(ctx context.Context) []plugin.Check {
	c := plugin.Check{Name: "front end", Result: plugin.CheckFail}
	place := proxy.Place{Root: a.root()}
	port, err := place.KnownPort()
	if err == nil && port == 0 {
		return nil // Codex was never told of it
	}
	nonce, nerr := place.Nonce()
	if err := errors.Join(err, nerr); err != nil {
		c.Detail = err.Error()
		return []plugin.Check{c}
	}
	proof, err := proxy.Visit{Port: port, Nonce: nonce}.Knock(ctx)
	switch {
	case err == nil:
		c.Result, c.Detail = plugin.CheckOK, fmt.Sprintf("version %s answers on port %d", proof.Version, port)
	case errors.Is(err, proxy.ErrNobody):
		c.Result, c.Detail = plugin.CheckOK, fmt.Sprintf("not running; Codex starts it on port %d", port)
	case place.Taken(ctx):
		c.Detail, c.Mend = fmt.Sprintf("%v (port %d)", errMute, port), endMute
	default:
		c.Result, c.Mend = plugin.CheckWarn, "codex-rota token --front-end"
		c.Detail = fmt.Sprintf("another program listens on its port %d; it moves to another one when it is started", port)
	}
	return []plugin.Check{c}
}
