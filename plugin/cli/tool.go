package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
)

// tool runs a host's tool: the command of the same name, whose output it gives.
// E-mails are always masked there (DESIGN 7).
func (a *app) tool(ctx context.Context, name string, args json.RawMessage) (string, bool, error) {
	command, ok := toolCommands()[strings.TrimPrefix(name, "codex-")]
	if !ok {
		return "", false, nil
	}
	var given toolArgs
	if len(args) > 0 {
		if err := json.Unmarshal(args, &given); err != nil {
			return "", true, usagef("the tool's arguments: %w", err)
		}
	}
	argv, err := command(&given)
	if err != nil {
		return "", true, err
	}
	var out, errOut bytes.Buffer
	sys := a.System
	sys.In, sys.Out, sys.Err, sys.Terminal, sys.InTerminal = strings.NewReader(""), &out, &errOut, false, false
	env := a.Env
	sys.Env = func(key string) string {
		if key == "CODEX_ROTA_MASK_EMAIL" {
			return "true"
		}
		return env(key)
	}
	if code := Run(ctx, append([]string{"codex-rota"}, argv...), sys); code != exitDone {
		out.Write(errOut.Bytes())
	}
	return out.String(), true, nil
}

// toolArgs are the arguments of all tools. A model writes them, so what it gives
// never stands where the command line would take it for a flag.
type toolArgs struct {
	Account toolWho `json:"account"`
	Label   *string `json:"label"`
	Model   string  `json:"model"`
	Session string  `json:"session"`
}

// toolWho is WHO as a string, or a position as a number.
type toolWho string

func (w *toolWho) UnmarshalJSON(b []byte) error {
	var position int
	if json.Unmarshal(b, &position) == nil {
		*w = toolWho(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(w))
}

// toolCommands gives each tool's command line.
func toolCommands() map[string]func(*toolArgs) ([]string, error) {
	plain := func(argv ...string) func(*toolArgs) ([]string, error) {
		return func(*toolArgs) ([]string, error) { return argv, nil }
	}
	return map[string]func(*toolArgs) ([]string, error){
		"list":   plain("list"),
		"status": plain("status"),
		"doctor": plain("doctor"),
		"explain": func(args *toolArgs) ([]string, error) {
			return []string{"explain", "--model=" + args.Model, "--session=" + args.Session}, nil
		},
		"limits": func(args *toolArgs) ([]string, error) {
			if args.Account == "" {
				return []string{"quota"}, nil
			}
			return []string{"quota", "--", string(args.Account)}, nil
		},
		"switch": func(args *toolArgs) ([]string, error) {
			if args.Account == "" {
				return nil, usagef("codex-switch wants the account: an id, a label or a position")
			}
			return []string{"switch", "--", string(args.Account)}, nil
		},
		"label": func(args *toolArgs) ([]string, error) {
			if args.Account == "" || args.Label == nil {
				return nil, usagef("codex-label wants the account (an id, a label or a position) and its new label")
			}
			return []string{"label", "--", string(args.Account), *args.Label}, nil
		},
	}
}
