package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"codex-rota/logging"
	"codex-rota/plugin/proxy"
	"codex-rota/plugin/sim"
)

// checkFrontEndCall has the token command start the front end as Codex would, meets a
// spent limit through it, and ends it.
func checkFrontEndCall(ctx context.Context, a *app) (string, error) {
	return inPlayground(ctx, named("spent", "fresh"), func(p *playground, seats []*sim.Seat) (detail string, err error) {
		inside := *a
		inside.pinned = p.root()
		key, err := p.command(ctx, a, "token", "--front-end")
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, inside.stopFrontEnd(ctx)) }()
		port, err := inside.frontEndPort(ctx)
		if err != nil {
			return "", err
		}
		if err := p.sim.AddFault(sim.Fault{Name: "weekly-limit", Seat: seats[0].Name}); err != nil {
			return "", err
		}
		text, err := askFrontEnd(ctx, port, logging.NewSecret(strings.TrimSpace(key)))
		if err == nil && !strings.Contains(text, seats[1].Name) {
			err = fmt.Errorf("the answer is %q, want it from the second account", text)
		}
		return "started by its token command; 429 on the first account, answer from the second", err
	})
}

// askFrontEnd makes one model call as Codex does and gives the answer's text.
func askFrontEnd(ctx context.Context, port int, key logging.Secret) (string, error) {
	body, err := demoBody("self-test")
	if err != nil {
		return "", err
	}
	address := fmt.Sprintf("http://127.0.0.1:%d%s/responses", port, proxy.BasePath)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+key.Reveal())
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Thread-Id", "self-test")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, answer)
	}
	return streamText(answer), err
}
