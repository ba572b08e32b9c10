package plugin

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"codex-rota/plugin/request"
	"codex-rota/pool"
)

func TestLoadSettings(t *testing.T) {
	for _, test := range []struct {
		name     string
		file     string
		env      map[string]string
		want     func(*Settings)
		warnings []string // each a part of one warning
	}{
		{"nothing", "", nil, func(*Settings) {}, nil},
		{"comments and trailing commas", "{\n // drain is the default\n \"rotation\": \"spread\",\n}", nil, func(s *Settings) { s.Rotation = pool.RotationSpread }, nil},
		{"a comment at the very end", `{"maskEmail": true} // mine`, nil, func(s *Settings) { s.MaskEmail = true }, nil},
		{"a typo names line and known keys", "{\n\n  \"rotaton\": \"spread\"\n}", nil, func(*Settings) {}, []string{`settings.json:3: unknown setting "rotaton"; known are rotation, `}},
		{"a bad word names the allowed ones", `{"transform": "magic"}`, nil, func(*Settings) {}, []string{`settings.json:1: setting "transform" wants native, codex, off`}},
		{"a number out of range", `{"maxWaitSeconds": 900}`, nil, func(*Settings) {}, []string{"a whole number from 0 to 270"}},
		{"a text for a number", `{"maxWaitSeconds": "60"}`, nil, func(*Settings) {}, []string{"a whole number"}},
		{"one bad value leaves the others", `{"maskEmail": "yes", "logBodies": true}`, nil, func(s *Settings) { s.LogBodies = true }, []string{`"maskEmail" wants true, false`}},
		{"broken JSON names the line", "{\n \"rotation\": \n", nil, func(*Settings) {}, []string{"all settings have their defaults"}},
		{"no object", "[]", nil, func(*Settings) {}, []string{"want an object"}},
		{"lists", `{"accountsForModel": {"m": ["work", 2]}, "modelFallback": {"m": "n"}}`, nil, func(s *Settings) {
			s.AccountsForModel = map[string][]string{"m": {"work", "2"}}
			s.ModelFallback = map[string][]string{"m": {"n"}}
		}, nil},
		{"the environment wins", `{"rotation": "spread"}`, map[string]string{"CODEX_ROTA_ROTATION": "round-robin", "CODEX_ROTA_MAX_WAIT_SECONDS": "5", "CODEX_ROTA_MASK_EMAIL": "1"}, func(s *Settings) {
			s.Rotation, s.MaxWaitSeconds, s.MaskEmail = pool.RotationRoundRobin, 5, true
		}, nil},
		{"a bad value in the environment", "", map[string]string{"CODEX_ROTA_TRANSFORM": "x"}, func(*Settings) {}, []string{"CODEX_ROTA_TRANSFORM wants native, codex, off"}},
		{"the old names of the logs", "", map[string]string{"ENABLE_PLUGIN_REQUEST_LOGGING": "1", "CODEX_PLUGIN_LOG_BODIES": "1"}, func(s *Settings) { s.RequestLogging, s.LogBodies = true, true }, nil},
		{"a loopback endpoint from the environment", "", map[string]string{"CODEX_ROTA_BACKEND": "http://127.0.0.1:9/backend-api/"}, func(s *Settings) { s.Backend = "http://127.0.0.1:9/backend-api" }, nil},
		{"IPv6 loopback", "", map[string]string{"CODEX_ROTA_ISSUER": "http://[::1]:9"}, func(s *Settings) { s.Issuer = "http://[::1]:9" }, nil},
		{"no other host from the environment", "", map[string]string{"CODEX_ROTA_ISSUER": "https://example.com"}, func(*Settings) {}, []string{"CODEX_ROTA_ISSUER: the environment may only name a literal loopback address"}},
		{"localhost is a name, not an address", "", map[string]string{"CODEX_ROTA_ISSUER": "http://localhost:9"}, func(*Settings) {}, []string{"literal loopback"}},
		{"another https origin in the file", `{"issuer": "https://login.example.com"}`, nil, func(s *Settings) { s.Issuer = "https://login.example.com" }, nil},
		{"no http to a far host", `{"backend": "http://example.com/backend-api"}`, nil, func(*Settings) {}, []string{`"backend" wants an https URL`}},
		{"no credentials in an endpoint", `{"backend": "https://me:pw@example.com"}`, nil, func(*Settings) {}, []string{`"backend" wants`}},
		{"no query in an endpoint", `{"githubApi": "https://example.com/?x=1"}`, nil, func(*Settings) {}, []string{`"githubApi" wants`}},
		{"no fragment in an endpoint", `{"githubRaw": "https://example.com/#x"}`, nil, func(*Settings) {}, []string{`"githubRaw" wants`}},
		{"transform", `{"transform": "codex"}`, nil, func(s *Settings) { s.Transform = request.ModeCodex }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "settings.json")
			if test.file != "" {
				if err := os.WriteFile(path, []byte(test.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, warnings := LoadSettings(path, func(key string) string { return test.env[key] })
			want := DefaultSettings()
			test.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if len(warnings) != len(test.warnings) {
				t.Fatalf("warnings %q, want %q", warnings, test.warnings)
			}
			for i, part := range test.warnings {
				if !strings.Contains(warnings[i], part) {
					t.Errorf("warning %q, want %q in it", warnings[i], part)
				}
			}
		})
	}
}

func FuzzLoadSettings(f *testing.F) {
	f.Add([]byte(`{"rotation": "spread", // x` + "\n}"))
	f.Add([]byte(`{"accountsForModel": {"m": [1, "a"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, _ := LoadSettings(path, func(string) string { return "" })
		if s.MaxWaitSeconds < 0 || s.MaxWaitSeconds > 270 || s.Rotation == "" || s.Backend == "" {
			t.Errorf("settings out of bounds: %+v", s)
		}
	})
}
