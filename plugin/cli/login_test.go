package cli

import (
	"io"
	"net/http"
	"testing"

	"codex-rota/plugin"
)

// freePort is a callback port that nobody has at this moment.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := unusedPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// browse is the browser: it opens the address, follows where it is sent, and
// gives the page that it ends on.
func browse(t *testing.T, address string) string {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(address)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(page)
}

func startLogin(t *testing.T, h *miniHost, p plugin.LoginStartParams) plugin.LoginStarted {
	t.Helper()
	var started plugin.LoginStarted
	if err := h.ask(t.Context(), "login/start", p, &started); err != nil {
		t.Fatal(err)
	}
	return started
}
