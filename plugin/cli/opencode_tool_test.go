package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"codex-rota/auth"
	"codex-rota/logging"
	"codex-rota/plugin/sim"
	"codex-rota/pool"
)

// TestOpenCodeTools has the model use each of the plugin's tools.
func TestOpenCodeTools(t *testing.T) {
	o := newOpenCode(t, sim.Seat{Name: "a", Email: "someone.known@example.com"})
	o.addUnlabelled(sim.Seat{Name: "b", Email: "nobody.else@example.com"})
	type use struct {
		tool, arguments string
		says            []string // among its words
	}
	both := []string{"a", "no***@example.com", "ready"}
	uses := []use{{"codex-list", `{}`, both}, {"codex-status", `{}`, both}, {"codex-doctor", `{}`, []string{"ready", "opencode", "network"}}}
	if o.giveLibrary() {
		uses = append(uses, use{"codex-explain", `{"model":"gpt-5.5"}`, both}, use{"codex-limits", `{}`, both},
			use{"codex-switch", `{"account":"2"}`, []string{"no***@example.com", "first"}},
			use{"codex-label", `{"account":"2","label":"garden"}`, []string{"no***@example.com", "garden."}})
	}
	var tools []string
	for _, u := range uses {
		tools = append(tools, u.tool)
	}
	outputs := func(c sim.Call) []gjson.Result {
		return gjson.Get(c.Body, `input.#(type=="function_call_output")#.output`).Array()
	}
	o.sim.SetReply(func(c sim.Call) sim.Reply {
		used := len(outputs(c))
		if isTitle(c) || used == len(uses) {
			return sim.Reply{Text: "Done."}
		}
		return sim.Reply{Tool: &sim.ToolCall{ID: "call_" + uses[used].tool, Name: uses[used].tool, Arguments: uses[used].arguments}}
	})
	if got := o.ask("List my accounts.", untitled...); got.code != 0 || got.out != "Done.\n" {
		t.Errorf("the person sees %q (exit code %d)", got.out, got.code)
	}
	talk := o.talk()
	var offered []string
	for _, name := range gjson.Get(talk[0].Body, "tools.#.name").Array() {
		if strings.HasPrefix(name.Str, "codex-") {
			offered = append(offered, name.Str)
		}
	}
	slices.Sort(offered)
	if want := slices.Sorted(slices.Values(tools)); !slices.Equal(offered, want) {
		t.Errorf("the model is offered %q, want %q", offered, want)
	}
	said := outputs(talk[len(talk)-1])
	if len(said) != len(tools) {
		t.Fatalf("%d tools answered, want %d", len(said), len(tools))
	}
	for i, output := range said {
		text := output.String()
		for _, want := range uses[i].says {
			if !slices.Contains(strings.Fields(text), want) {
				t.Errorf("%s does not say %q: %s", tools[i], want, text)
			}
		}
		secrets := o.marks()
		for _, seat := range o.seats {
			secrets = append(secrets, seat.Email, seat.AccountID, seat.UserID)
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q: %s", tools[i], secret, text)
			}
		}
	}
	o.mustBeObedient()
}

// addUnlabelled logs an account in that its e-mail alone names.
func (o *openCode) addUnlabelled(config sim.Seat) {
	o.t.Helper()
	store, err := pool.OpenStore(pool.Options{Dir: o.root(), Refresh: o.issuer().Refresh, Now: time.Now})
	if err != nil {
		o.t.Fatal(err)
	}
	seat := o.sim.AddSeat(config)
	tokens := seat.Tokens()
	_, _, err = store.Add(o.t.Context(), auth.Tokens{Access: logging.NewSecret(tokens.Access), Refresh: logging.NewSecret(tokens.Refresh),
		ID: logging.NewSecret(tokens.ID), ExpiresAt: tokens.ExpiresAt}, "", "simulation")
	if err := errors.Join(err, store.Close(o.t.Context())); err != nil {
		o.t.Fatal(err)
	}
	o.seats = append(o.seats, seat)
}

// giveLibrary puts OpenCode's plugin library where OpenCode itself would install
// it, if npm has brought it here. Without it tools that take arguments are left
// out.
func (o *openCode) giveLibrary() bool {
	o.t.Helper()
	library, err := filepath.Abs(filepath.Join("..", "..", "node_modules", "@opencode-ai"))
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(library, "plugin")); errors.Is(err, fs.ErrNotExist) {
		o.t.Logf("NOT TESTED: the tools with arguments in OpenCode, because its plugin library is not in %s", library)
		return false
	}
	if err := os.Symlink(library, filepath.Join(o.dir, ".config", "opencode", "node_modules", "@opencode-ai")); err != nil {
		o.t.Fatal(err)
	}
	return true
}
