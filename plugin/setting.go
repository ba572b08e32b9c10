package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"codex-rota/plugin/request"
	"codex-rota/pool"
)

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
