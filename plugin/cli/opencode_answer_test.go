package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"codex-rota/plugin/sim"
)

func TestOpenCodeAnswers(t *testing.T) {
	o := newOpenCode(t, named("a")...)
	o.ask("Say hello.").mustSay(t, "Hello from a")
	o.mustTalk("a 200")
	body := o.talk()[0].Body
	if got := gjson.Get(body, "input.@reverse.0.content.0.text").Str; !strings.Contains(got, "Say hello.") {
		t.Errorf("the model was asked %q", got)
	}
	if id := o.talk()[0].Headers.Get("Session-Id"); id == "" || gjson.Get(body, "prompt_cache_key").Str != id {
		t.Errorf("session %q, prompt_cache_key %s", id, gjson.Get(body, "prompt_cache_key"))
	}
	o.mustBeObedient()
}

// TestOpenCodeNativeRuntime: OpenCode's own runtime for models hands over bytes
// and a URL object, and adds tracing headers.
func TestOpenCodeNativeRuntime(t *testing.T) {
	o := newOpenCode(t, named("a", "b")...)
	o.fault("weekly-limit", onSeat("a"))
	args := append([]string{"run", "Say hello.", "--model", "openai/gpt-5.5", printLogs}, untitled...)
	got := o.startWith([]string{"OPENCODE_EXPERIMENTAL_NATIVE_LLM=1"}, args...).wait()
	got.mustSay(t, "Hello from b")
	if !strings.Contains(got.log, "llm.runtime=native") {
		t.Error("OpenCode did not use its own runtime")
	}
	o.mustTalk("a 429", "b 200")
	o.mustBeObedient()
}

// TestOpenCodeAnswersBesideTitle holds both calls of a first turn open at once.
func TestOpenCodeAnswersBesideTitle(t *testing.T) {
	o := newOpenCode(t, named("a")...)
	o.sim.SetReply(func(c sim.Call) sim.Reply {
		title := isTitle(c)
		o.hold(func(calls []sim.Call) bool {
			return slices.ContainsFunc(calls, func(other sim.Call) bool {
				return other.Kind == sim.KindResponses && isTitle(other) != title && (title || other.End == sim.EndAnswered)
			})
		})
		if title {
			return sim.Reply{Text: "The name of the session"}
		}
		return sim.Reply{Text: "The answer to the person"}
	})
	o.ask("Say hello.").mustSay(t, "The answer to the person")
	judged := o.verdicts()
	slices.Sort(judged)
	if want := []string{"1.1 200 deliver", "2.1 200 deliver"}; !slices.Equal(judged, want) {
		t.Errorf("the plugin's verdicts are %q, want %q", judged, want)
	}
	calls := o.sim.Calls(sim.KindResponses)
	if len(calls) != 2 || len(o.talk()) != 1 {
		t.Fatalf("the backend got %s, want a title and an answer", summary(calls))
	}
	for _, c := range calls {
		if c.Seat != "a" || c.Status != 200 || c.Headers.Get("Session-Id") != calls[0].Headers.Get("Session-Id") {
			t.Errorf("account %q, status %d, session %q", c.Seat, c.Status, c.Headers.Get("Session-Id"))
		}
	}
	o.mustBeObedient()
}
