package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
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
