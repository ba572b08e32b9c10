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
	argv, ok := toolCommands()[strings.TrimPrefix(name, "codex-")]
	if !ok {
		return "", false, nil
	}
	var given struct {
		Model   string `json:"model"`
		Session string `json:"session"`
	}
	if len(args) > 0 {
		if err := json.Unmarshal(args, &given); err != nil {
			return "", true, usagef("the tool's arguments: %w", err)
		}
	}
	if argv[0] == "explain" && given.Model != "" {
		argv = append(argv, "--model", given.Model)
	}
	if argv[0] == "explain" && given.Session != "" {
		argv = append(argv, "--session", given.Session)
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

func toolCommands() map[string][]string {
	return map[string][]string{"list": {"list"}, "status": {"status"}, "explain": {"explain"}}
}
