package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"codex-rota/logging"
	"codex-rota/plugin"
)

// tool describes one tool as tools/list does. Its name is also that of the host
// tool that does it (plugin.ToolParams).
type tool struct {
	Name        string             `json:"name"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	InputSchema *jsonschema.Schema `json:"inputSchema"`
	Annotations annotations        `json:"annotations"`
}

// annotations are hints to the client about what a call does. All are given: the
// protocol's defaults are a tool that destroys.
type annotations struct {
	ReadOnly    bool `json:"readOnlyHint"`
	Destructive bool `json:"destructiveHint"`
	Idempotent  bool `json:"idempotentHint"`
	OpenWorld   bool `json:"openWorldHint"` // asks somebody beyond this machine
}

func toolTable() []tool {
	text := func(description string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Description: description}
	}
	account := func(more string) *jsonschema.Schema {
		return &jsonschema.Schema{Types: []string{"string", "integer"}, Description: "an account's id, label or position in the list" + more}
	}
	return []tool{
		{"list_accounts", "List accounts", "List the ChatGPT accounts of codex-rota with their state, quota and resets.",
			object(nil), annotations{ReadOnly: true, Idempotent: true}},
		{"quota", "Read quota", "Read the quota windows of codex-rota's ChatGPT accounts, and when they reset. Makes no model call.",
			object(map[string]*jsonschema.Schema{"account": account("; all accounts without it")}),
			annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}},
		{"switch_account", "Switch account", "Use a ChatGPT account of codex-rota first for new sessions. A running session stays with its account.",
			object(map[string]*jsonschema.Schema{"account": account("")}, "account"), annotations{Idempotent: true}},
		{"explain", "Explain the choice", "Explain which ChatGPT account codex-rota would choose now, and why not the others.",
			object(map[string]*jsonschema.Schema{"model": text("for a call with this model"), "session": text("for a call of this session")}),
			annotations{ReadOnly: true, Idempotent: true}},
	}
}

// object is the schema of a tool's arguments: these and no others.
func object(properties map[string]*jsonschema.Schema, required ...string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", Properties: properties, Required: required,
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}}
}

// toolResult is what a tool says. A failure is a result too, so that the model
// reads the sentence.
type toolResult struct {
	Content []content `json:"content"`
	IsError bool      `json:"isError,omitempty"`
}

type content struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func says(text string, failed bool) toolResult {
	return toolResult{Content: []content{{"text", text}}, IsError: failed}
}

// callTool starts the call and answers when it is done; a cancelled call gets no
// answer.
func (s *session) callTool(m message, answer reply) {
	var p struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if err := decode(m.Params, &p); err != nil {
		answer(failed(m.ID, err))
		return
	}
	i := slices.IndexFunc(s.table, func(t tool) bool { return t.Name == p.Name })
	if i < 0 {
		answer(failed(m.ID, badParams("there is no tool %q", p.Name)))
		return
	}
	var given map[string]json.RawMessage
	if len(p.Arguments) > 0 && json.Unmarshal(p.Arguments, &given) != nil {
		answer(failed(m.ID, badParams("the arguments of %s are no object", p.Name)))
		return
	}
	if why := s.table[i].refuses(given); why != "" {
		answer(succeeded(m.ID, says(why, true)))
		return
	}
	ctx, closed, err := s.openCall(string(m.ID))
	if err != nil {
		answer(failed(m.ID, invalidRequest(err.Error())))
		return
	}
	go func() {
		defer s.running.Done()
		result := s.run(ctx, plugin.ToolParams{Name: p.Name, Args: p.Arguments})
		cancelled := context.Cause(ctx) == errCancelled
		closed()
		if cancelled {
			answer(nil)
			return
		}
		answer(succeeded(m.ID, result))
	}()
}

// openCall takes a call in once there is room for it, and counts it as running;
// closed forgets its id and gives the room back.
func (s *session) openCall(id string) (ctx context.Context, closed func(), err error) {
	select {
	case s.room <- struct{}{}:
	case <-s.work.Done():
		return nil, nil, errEnding
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.work.Err() != nil:
		err = errEnding
	case s.open[id] != nil:
		err = errors.New("the id is that of a call that still runs")
	}
	if err != nil {
		<-s.room
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(s.work)
	s.open[id] = cancel
	s.running.Add(1)
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, id)
		cancel(nil)
		<-s.room
	}, nil
}

// refuses says why the tool does not take what was given, "" when it does. What
// the values must be, the tool itself says.
func (t *tool) refuses(given map[string]json.RawMessage) string {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if t.InputSchema.Properties[name] != nil {
			continue
		}
		takes := "no arguments"
		if known := slices.Sorted(maps.Keys(t.InputSchema.Properties)); len(known) > 0 {
			takes = strings.Join(known, " and ")
		}
		return fmt.Sprintf("%s does not take %q: it takes %s", t.Name, name, takes)
	}
	return ""
}

// run runs one tool. A panic in it ends that call alone.
func (s *session) run(ctx context.Context, p plugin.ToolParams) (result toolResult) {
	broken := "codex-rota failed inside " + p.Name + ", and its log says why. Type: codex-rota logs"
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic", "tool", p.Name, "panic", logging.RedactString(fmt.Sprint(r)), "stack", string(debug.Stack()))
			result = says(broken, true)
		}
	}()
	ran, err := s.tools.RunTool(ctx, p)
	var known *plugin.Error
	switch {
	case ctx.Err() != nil && (err != nil || ran.Failed):
		return says(context.Cause(ctx).Error(), true)
	case errors.As(err, &known):
		return says(known.Message, true)
	case err != nil:
		s.log.Error("tool failed", "tool", p.Name, "error", err)
		return says(broken, true)
	}
	return says(ran.Text, ran.Failed)
}
