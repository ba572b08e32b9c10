package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// checkLogin logs three people in, each in another way, through a child of this
// binary. The browser is an HTTP client here.
func checkLogin(ctx context.Context, a *app) (string, error) {
	return inPlayground(ctx, nil, func(p *playground, _ []*sim.Seat) (string, error) {
		port, err := unusedPort()
		if err != nil {
			return "", err
		}
		people := []*sim.Seat{p.sim.AddSeat(sim.Seat{Name: "browser"}), p.sim.AddSeat(sim.Seat{Name: "paste"}), p.sim.AddSeat(sim.Seat{Name: "device"})}
		p.sim.SignInAs(people...)
		h, err := startMiniHost(ctx, a.Executable, p.env(a.Environ(), plugin.EnvironmentName("callbackPort")+"="+port), httpClient(), nil, nil)
		if err != nil {
			return "", err
		}
		for _, person := range people {
			if err = p.logIn(ctx, h, person); err != nil {
				err = fmt.Errorf("login by %s: %w", person.Name, err)
				break
			}
		}
		return "by browser, pasted address and device code: three accounts", errors.Join(err, h.close())
	})
}

// logIn logs one person in by the method of the person's name.
func (p *playground) logIn(ctx context.Context, h *miniHost, person *sim.Seat) error {
	var started plugin.LoginStarted
	if err := h.ask(ctx, "login/start", plugin.LoginStartParams{Method: person.Name, Label: person.Name}, &started); err != nil {
		return err
	}
	finish, params := "login/wait", plugin.LoginPasteParams{Login: started.Login}
	var err error
	switch started.Method {
	case plugin.LoginBrowser:
		_, err = visit(ctx, started.URL, true)
	case plugin.LoginPaste:
		finish = "login/paste"
		params.Text, err = visit(ctx, started.URL, false)
	case plugin.LoginDevice:
		err = p.sim.ApproveDevice(started.UserCode, person)
	}
	if err != nil {
		return err
	}
	var result plugin.LoginResult
	if err := h.ask(ctx, finish, params, &result); err != nil {
		return err
	}
	if result.Account.Label != person.Name || result.Account.State != "ready" {
		return fmt.Errorf("it became the account %q, %s", result.Account.Label, result.Account.State)
	}
	return nil
}

// visit opens an address as a browser does. It follows where it is sent, or gives
// that address.
func visit(ctx context.Context, address string, follow bool) (next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if !follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	answer, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if follow && answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the browser ended with status %d", answer.StatusCode)
	}
	return answer.Header.Get("Location"), nil
}

// unusedPort is a port of 127.0.0.1 that nobody has at this moment.
func unusedPort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), l.Close()
}
