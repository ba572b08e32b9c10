package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"codex-rota/plugin"
)

// tool runs a host's tool: the command of the same name, whose output it gives.
// E-mails are always masked there (DESIGN 7).
func (a *app) tool(ctx context.Context, name string, args json.RawMessage) (*plugin.ToolResult, error) {
	command, ok := toolCommands()[strings.TrimPrefix(name, "codex-")]
	if !ok {
		return nil, nil
	}
	given, err := readToolArgs(args)
	if err != nil {
		return nil, err
	}
	argv, err := command(name, given)
	if err != nil {
		return nil, err
	}
	var out, errOut bytes.Buffer
	sys := a.System
	sys.In, sys.Out, sys.Err, sys.Terminal, sys.InTerminal = strings.NewReader(""), &out, &errOut, false, false
	sys.Env = func(key string) string {
		switch key {
		case "CODEX_ROTA_MASK_EMAIL":
			return "true"
		case "CODEX_MULTI_AUTH_DIR":
			return a.root() // as --root pinned it
		}
		return a.Env(key)
	}
	failed := Run(ctx, append([]string{"codex-rota"}, argv...), sys) != exitDone
	if failed {
		out.Write(errOut.Bytes())
	}
	return &plugin.ToolResult{Text: out.String(), Failed: failed}, nil
}

func readToolArgs(args json.RawMessage) (*toolArgs, error) {
	given := &toolArgs{}
	if len(args) == 0 {
		return given, nil
	}
	err := json.Unmarshal(args, given)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return nil, usagef("the tool's arguments: %s cannot be a JSON %s", cmp.Or(wrong.Field, "they"), wrong.Value)
	}
	if err != nil {
		return nil, usagef("the tool's arguments: %w", err)
	}
	return given, nil
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
	if json.Unmarshal(b, (*string)(w)) != nil {
		return errors.New("account wants an id, a label, an e-mail or a position")
	}
	return nil
}

// toolCommands gives each tool's command line. Tools that two hosts know by
// different names stand under both.
func toolCommands() map[string]func(name string, args *toolArgs) ([]string, error) {
	plain := func(argv ...string) func(string, *toolArgs) ([]string, error) {
		return func(string, *toolArgs) ([]string, error) { return argv, nil }
	}
	return map[string]func(string, *toolArgs) ([]string, error){
		"list": plain("list"), "list_accounts": plain("list"),
		"status": plain("status"),
		"doctor": plain("doctor"),
		"explain": func(_ string, args *toolArgs) ([]string, error) {
			return []string{"explain", "--model=" + args.Model, "--session=" + args.Session}, nil
		},
		"limits": quotaTool, "quota": quotaTool,
		"switch": switchTool, "switch_account": switchTool,
		"label": func(name string, args *toolArgs) ([]string, error) {
			if args.Account == "" || args.Label == nil {
				return nil, usagef("%s wants the account (an id, a label or a position) and its new label", name)
			}
			return []string{"label", "--", string(args.Account), *args.Label}, nil
		},
	}
}

func quotaTool(_ string, args *toolArgs) ([]string, error) {
	if args.Account == "" {
		return []string{"quota"}, nil
	}
	return []string{"quota", "--", string(args.Account)}, nil
}

func switchTool(name string, args *toolArgs) ([]string, error) {
	if args.Account == "" {
		return nil, usagef("%s wants the account: an id, a label or a position", name)
	}
	return []string{"switch", "--", string(args.Account)}, nil
}
