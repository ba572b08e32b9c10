package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tailscale/hujson"

	"codex-rota/auth"
	"codex-rota/plugin/request"
	"codex-rota/pool"
)

// Settings is settings.json with the environment laid over it (DESIGN 8). Every
// field has a value: the default where nothing, or nothing valid, was set.
type Settings struct {
	Rotation             pool.Rotation       `json:"rotation"`
	MaskEmail            bool                `json:"maskEmail"`
	Transform            request.Mode        `json:"transform"`
	ModelFallback        map[string][]string `json:"modelFallback"`
	MaxWaitSeconds       int                 `json:"maxWaitSeconds"`
	RefreshBeforeMinutes int                 `json:"refreshBeforeMinutes"`
	RequestLogging       bool                `json:"requestLogging"`
	LogBodies            bool                `json:"logBodies"`
	Notifications        string              `json:"notifications"`
	AccountsForModel     map[string][]string `json:"accountsForModel"`
	ClientID             string              `json:"clientId"`
	Issuer               string              `json:"issuer"`
	CallbackPort         int                 `json:"callbackPort"`
	Backend              string              `json:"backend"`
	GitHubAPI            string              `json:"githubApi"`
	GitHubRaw            string              `json:"githubRaw"`
}

// The endpoints of production (DESIGN 8, FACTS-upstream 1, 3, 6).
const (
	DefaultBackend   = "https://chatgpt.com/backend-api"
	DefaultGitHubAPI = "https://api.github.com"
	DefaultGitHubRaw = "https://raw.githubusercontent.com"
)

// DefaultSettings is what an empty settings.json means.
func DefaultSettings() Settings {
	return Settings{
		Rotation:             pool.RotationDrain,
		Transform:            request.ModeNative,
		MaxWaitSeconds:       60,
		RefreshBeforeMinutes: 5,
		Notifications:        "all",
		ModelFallback:        map[string][]string{},
		AccountsForModel:     map[string][]string{},
		ClientID:             auth.DefaultClientID,
		Issuer:               auth.DefaultIssuer,
		CallbackPort:         auth.DefaultCallbackPort,
		Backend:              DefaultBackend,
		GitHubAPI:            DefaultGitHubAPI,
		GitHubRaw:            DefaultGitHubRaw,
	}
}

func (s Settings) maxWait() time.Duration { return time.Duration(s.MaxWaitSeconds) * time.Second }

// RefreshBefore is how long before its end an access token is renewed.
func (s Settings) RefreshBefore() time.Duration {
	return time.Duration(s.RefreshBeforeMinutes) * time.Minute
}

// setting is one key: what values it takes, for people, and how a value is read
// from JSON. Text is how the environment's text becomes that JSON.
type setting struct {
	key     string
	allowed string
	set     func(s *Settings, raw []byte) error
	text    func(env string) []byte
	origin  bool // an endpoint: the environment may only name a loopback address
}

// settingsTable is every setting there is. The environment name is derived from
// the key: maxWaitSeconds is CODEX_ROTA_MAX_WAIT_SECONDS.
func settingsTable() []setting {
	return []setting{
		word("rotation", []string{"drain", "spread", "round-robin"}, func(s *Settings, v string) { s.Rotation = pool.Rotation(v) }),
		boolean("maskEmail", func(s *Settings) *bool { return &s.MaskEmail }),
		word("transform", []string{"native", "codex", "off"}, func(s *Settings, v string) { s.Transform = request.Mode(v) }),
		lists("modelFallback", `an object of {"MODEL": "OTHER" or ["OTHER", …]}`, func(s *Settings) *map[string][]string { return &s.ModelFallback }),
		number("maxWaitSeconds", 0, 270, func(s *Settings) *int { return &s.MaxWaitSeconds }),
		number("refreshBeforeMinutes", 1, 60, func(s *Settings) *int { return &s.RefreshBeforeMinutes }),
		boolean("requestLogging", func(s *Settings) *bool { return &s.RequestLogging }),
		boolean("logBodies", func(s *Settings) *bool { return &s.LogBodies }),
		word("notifications", []string{"all", "errors", "none"}, func(s *Settings, v string) { s.Notifications = v }),
		lists("accountsForModel", `an object of {"MODEL": [WHO, …]}`, func(s *Settings) *map[string][]string { return &s.AccountsForModel }),
		{key: "clientId", allowed: "a client id", text: quoted, set: func(s *Settings, raw []byte) error {
			var v string
			if err := json.Unmarshal(raw, &v); err != nil || v == "" || strings.ContainsAny(v, " \t\r\n") {
				return errBadValue
			}
			s.ClientID = v
			return nil
		}},
		number("callbackPort", 1, 65535, func(s *Settings) *int { return &s.CallbackPort }),
		origin("issuer", func(s *Settings) *string { return &s.Issuer }),
		origin("backend", func(s *Settings) *string { return &s.Backend }),
		origin("githubApi", func(s *Settings) *string { return &s.GitHubAPI }),
		origin("githubRaw", func(s *Settings) *string { return &s.GitHubRaw }),
	}
}

var errBadValue = errors.New("bad value")

func quoted(env string) []byte { b, _ := json.Marshal(env); return b }
func plain(env string) []byte  { return []byte(env) }

func word(key string, allowed []string, set func(*Settings, string)) setting {
	return setting{key: key, allowed: strings.Join(allowed, ", "), text: quoted, set: func(s *Settings, raw []byte) error {
		var v string
		if err := json.Unmarshal(raw, &v); err != nil {
			return errBadValue
		}
		for _, a := range allowed {
			if v == a {
				set(s, v)
				return nil
			}
		}
		return errBadValue
	}}
}

func boolean(key string, at func(*Settings) *bool) setting {
	return setting{key: key, allowed: "true, false",
		text: func(env string) []byte {
			switch strings.ToLower(env) {
			case "1", "true", "yes", "on":
				return []byte("true")
			case "0", "false", "no", "off":
				return []byte("false")
			}
			return quoted(env)
		},
		set: func(s *Settings, raw []byte) error {
			var v bool
			if err := json.Unmarshal(raw, &v); err != nil {
				return errBadValue
			}
			*at(s) = v
			return nil
		}}
}

func number(key string, low, high int, at func(*Settings) *int) setting {
	return setting{key: key, allowed: fmt.Sprintf("a whole number from %d to %d", low, high), text: plain,
		set: func(s *Settings, raw []byte) error {
			v, err := strconv.Atoi(string(raw))
			if err != nil || v < low || v > high {
				return errBadValue
			}
			*at(s) = v
			return nil
		}}
}

// lists reads an object whose values are a string (or number) or a list of them.
func lists(key, allowed string, at func(*Settings) *map[string][]string) setting {
	return setting{key: key, allowed: allowed, text: plain, set: func(s *Settings, raw []byte) error {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil || object == nil {
			return errBadValue
		}
		out := make(map[string][]string, len(object))
		for name, value := range object {
			var items []json.RawMessage
			if json.Unmarshal(value, &items) != nil {
				items = []json.RawMessage{value}
			}
			list := make([]string, 0, len(items))
			for _, item := range items {
				who, err := textOrNumber(item)
				if err != nil {
					return errBadValue
				}
				list = append(list, who)
			}
			out[name] = list
		}
		*at(s) = out
		return nil
	}}
}

func textOrNumber(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return strconv.Itoa(n), nil
	}
	return "", errBadValue
}

func origin(key string, at func(*Settings) *string) setting {
	return setting{key: key, allowed: "an https URL, or http to a literal loopback address, without credentials, query or fragment", text: quoted, origin: true,
		set: func(s *Settings, raw []byte) error {
			var v string
			if err := json.Unmarshal(raw, &v); err != nil {
				return errBadValue
			}
			u, err := endpoint(v)
			if err != nil {
				return err
			}
			*at(s) = u
			return nil
		}}
}

// endpoint accepts https to any host and http to a literal loopback address,
// and drops a trailing slash (DESIGN 8).
func endpoint(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(v, "#") {
		return "", errBadValue
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u)) {
		return "", errBadValue
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}

// LoadSettings reads the file at path (comments and trailing commas allowed)
// and lays the environment over it. A missing file is all defaults. What cannot
// be used is told in warnings, which name the file, the line and the allowed
// values; the default is used in its place. env is the lookup, as os.Getenv.
func LoadSettings(path string, env func(string) string) (Settings, []string) {
	s := DefaultSettings()
	warnings := s.readFile(path)
	warnings = append(warnings, s.readEnvironment(env)...)
	return s, warnings
}

func (s *Settings) readFile(path string) []string {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name := filepath.Base(path)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v; all settings have their defaults", name, errors.Unwrap(err))}
	}
	value, err := hujson.Parse(append(text, '\n')) // hujson wants an end of line behind a comment
	if err != nil {
		return []string{fmt.Sprintf("%s: %v; all settings have their defaults", path, err)}
	}
	object, ok := value.Value.(*hujson.Object)
	if !ok {
		return []string{fmt.Sprintf("%s:1: want an object of settings; all settings have their defaults", path)}
	}
	byKey := map[string]setting{}
	for _, known := range settingsTable() {
		byKey[known.key] = known
	}
	var warnings []string
	for i := range object.Members {
		member := &object.Members[i]
		key := member.Name.Value.(hujson.Literal).String()
		where := fmt.Sprintf("%s:%d", path, 1+strings.Count(string(text[:member.Name.StartOffset]), "\n"))
		known, ok := byKey[key]
		if !ok {
			if key != "$schema" {
				warnings = append(warnings, fmt.Sprintf("%s: unknown setting %q; known are %s", where, key, strings.Join(settingKeys(), ", ")))
			}
			continue
		}
		raw := member.Value.Clone()
		raw.Standardize()
		if err := known.set(s, []byte(strings.TrimSpace(raw.String()))); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s: setting %q wants %s; the default is used", where, key, known.allowed))
		}
	}
	return warnings
}

// readEnvironment lays CODEX_ROTA_<NAME> over the file. An endpoint from there
// may only be a loopback address: a project's own environment file must not
// redirect tokens.
func (s *Settings) readEnvironment(env func(string) string) []string {
	var warnings []string
	for _, known := range settingsTable() {
		name := EnvironmentName(known.key)
		value := env(name)
		if value == "" {
			continue
		}
		if known.origin {
			if u, err := url.Parse(value); err != nil || !loopback(u) {
				warnings = append(warnings, fmt.Sprintf("%s: the environment may only name a literal loopback address; put any other https origin into settings.json", name))
				continue
			}
		}
		if err := known.set(s, known.text(value)); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s wants %s; ignored", name, known.allowed))
		}
	}
	if env("ENABLE_PLUGIN_REQUEST_LOGGING") == "1" {
		s.RequestLogging = true
	}
	if env("CODEX_PLUGIN_LOG_BODIES") == "1" {
		s.LogBodies = true
	}
	return warnings
}

func settingKeys() []string {
	table := settingsTable()
	keys := make([]string, len(table))
	for i, known := range table {
		keys[i] = known.key
	}
	return keys
}

// EnvironmentName is the variable that sets key: CODEX_ROTA_MAX_WAIT_SECONDS
// for maxWaitSeconds.
func EnvironmentName(key string) string {
	var b strings.Builder
	b.WriteString("CODEX_ROTA_")
	for i, r := range key {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// SettingInfo describes one setting for the manifest.
type SettingInfo struct {
	Key         string `json:"key"`
	Environment string `json:"environment"`
	Allowed     string `json:"allowed"`
	Default     any    `json:"default"`
}

// SettingsInfo lists every setting.
func SettingsInfo() []SettingInfo {
	text, _ := json.Marshal(DefaultSettings())
	var defaults map[string]any
	_ = json.Unmarshal(text, &defaults)
	var out []SettingInfo
	for _, known := range settingsTable() {
		out = append(out, SettingInfo{Key: known.key, Environment: EnvironmentName(known.key), Allowed: known.allowed, Default: defaults[known.key]})
	}
	return out
}
