package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"codex-rota/logging"
	"codex-rota/plugin/proxy"
	"codex-rota/plugin/sim"
)

// TestCodexKeepsSecrets goes through refresh, refused token, limit, tool use and a
// new front end with every log on. The tokens are then searched for as at the end
// of every test; here each key that a front end had is too: it belongs into its
// file alone, and none goes upstream.
func TestCodexKeepsSecrets(t *testing.T) {
	c := newCodex(t, sim.Seat{Name: "a", Expired: true}, sim.Seat{Name: "b"})
	c.fault("unauthorized", onSeat("b"), times(1))
	c.fault("weekly-limit", onSeat("a"))
	c.useTools(1, nil)
	var keys []string
	key := func() {
		nonce, err := proxy.Place{Root: c.root()}.Nonce()
		c.do(err)
		keys = append(keys, nonce.Reveal())
	}
	said := ""
	for range 2 {
		got := c.startWith([]string{"CODEX_PLUGIN_LOG_BODIES=1", "RUST_LOG=info,codex_login=trace,codex_client=trace"}, "exec", "--skip-git-repo-check", "Say hello.").shown()
		if got.code != 0 || got.out != "Hello from b\n" {
			t.Errorf("the person sees %q (exit code %d)", got.out, got.code)
		}
		said += got.out + got.err + got.log
		key()
		c.endFrontEnd()
	}
	c.mustRefresh(map[string]int{"a": 1, "b": 1})
	if keys[0] == keys[1] {
		t.Error("two front ends had one key")
	}
	tokens := marksOf(c.sim.Issued())
	for name, text := range c.homeFiles() {
		for i, key := range keys {
			if strings.Contains(text, key) != (name == "pool/"+proxy.NonceFile && i == 1) {
				t.Errorf("key %d and %s: %t", i+1, name, strings.Contains(text, key))
			}
		}
		if strings.HasPrefix(name, ".codex/") && tokens.in([]byte(text)) != "" {
			t.Errorf("there is a token in %s", name)
		}
	}
	if log := c.read("pool/logs/codex-plugin/" + logging.RequestsLog); !strings.Contains(log, "Say hello.") {
		t.Error("the bodies were not logged, so that nothing was searched")
	}
	places := []string{said}
	for _, call := range c.sim.Calls() {
		places = append(places, fmt.Sprint(call.Path, call.Headers, call.Body))
	}
	for i, key := range keys {
		if slices.ContainsFunc(places, func(text string) bool { return strings.Contains(text, key) }) {
			t.Errorf("key %d was said or sent upstream", i+1)
		}
		if seenProcesses.saw(c.dir, key) {
			t.Errorf("key %d is in arguments or the environment of a process", i+1)
		}
	}
	// The token command may be over between two looks; its arguments are those of
	// Codex's config, which was searched above.
	if !seenProcesses.saw(c.dir, "\x00proxy\x00") {
		t.Error("the front end was not seen among the processes, so nothing was searched")
	}
}
