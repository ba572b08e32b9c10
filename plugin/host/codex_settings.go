package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// codexName names our provider, our MCP server and our profile in Codex. The
// provider must not be called "OpenAI" (FACTS-hosts 2).
const codexName = "codex-rota"

// The key paths that are ours, whole: taking them out is the undo.
const (
	keyDefault  = "model_provider"
	keyProvider = "model_providers." + codexName
	keyServer   = "mcp_servers." + codexName

	keyBaseURL      = keyProvider + ".base_url"
	keyAuthCommand  = keyProvider + ".auth.command"
	keyAuthArgs     = keyProvider + ".auth.args"
	keyServerArgs   = keyServer + ".args"
	keyServerBinary = keyServer + ".command"
	keyServerEnv    = keyServer + ".env_vars"
)

const codexBasePath = "/backend-api/codex"

// CodexSetting is one key of Codex's config, as a dotted path, with its value: a
// string, a bool, an int or a []string; nil takes the key out.
type CodexSetting struct {
	Key   string
	Value any
}

// String is the setting as Codex's -c takes it, KEY=VALUE with the value in TOML.
func (s CodexSetting) String() string { return s.Key + "=" + tomlValue(s.Value) }

// Settings is everything that a registration says (DESIGN 9), for config.toml, a
// profile, and the -c of a single run alike. Codex itself revives the front end:
// it runs the token command again when the interval has passed (FACTS-hosts 2),
// and tells it which port it was given.
func (c *Codex) Settings() []CodexSetting {
	token, tools := []string{"token", "--front-end"}, []string{"mcp"}
	if c.root != "" {
		token, tools = append(token, "--root", c.root), append(tools, "--root", c.root)
	}
	token = append(token, "--port", strconv.Itoa(c.port))
	settings := []CodexSetting{
		{keyDefault, codexName},
		{keyProvider + ".name", codexName},
		{keyBaseURL, codexBaseURL(c.port)},
		{keyProvider + ".wire_api", "responses"},
		{keyProvider + ".supports_standalone_web_search", true},
		{keyAuthCommand, c.binary},
		{keyAuthArgs, token},
		{keyProvider + ".auth.refresh_interval_ms", 1000},
		{keyServerBinary, c.binary},
		{keyServerArgs, tools},
	}
	if len(c.serverEnv) > 0 {
		settings = append(settings, CodexSetting{keyServerEnv, c.serverEnv})
	}
	return settings
}

func codexBaseURL(port int) string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + codexBasePath
}

// tomlValue is the JSON of a value, which TOML reads alike for a setting's types,
// but for DEL.
func tomlValue(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprintf("%q", err.Error()) // of no type that a setting has
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}
