package host

import (
	"slices"
	"strings"
	"testing"
)

func TestProxyDetour(t *testing.T) {
	for _, test := range []struct {
		name, environ, want string
	}{
		{"none", "A=b", ""},
		{"a proxy for TLS only", "HTTPS_PROXY=http://p:1", ""},
		{"a proxy", "HTTP_PROXY=http://p:1", "HTTP_PROXY"},
		{"in small letters", "http_proxy=http://p:1", "http_proxy"},
		{"for everything", "ALL_PROXY=socks5://p:1", "ALL_PROXY"},
		{"for everything, in small letters", "all_proxy=socks5://p:1", "all_proxy"},
		{"not for the address", "HTTP_PROXY=http://p:1 NO_PROXY=a.example,127.0.0.1", ""},
		{"not for its network", "HTTP_PROXY=http://p:1 no_proxy=127.0.0.0/8", ""},
		{"not for localhost", "HTTP_PROXY=http://p:1 NO_PROXY=localhost", "HTTP_PROXY"},
		{"for nothing, Codex thinks otherwise", "HTTP_PROXY=http://p:1 NO_PROXY=*", "HTTP_PROXY"},
		{"the second list is not read", "HTTP_PROXY=http://p:1 NO_PROXY=a.example no_proxy=127.0.0.1", "HTTP_PROXY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			environ := strings.Fields(test.environ)
			if got := ProxyDetour(lookup(environ)); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			direct := Direct(environ, lookup(environ))
			if got := ProxyDetour(lookup(direct)); got != "" {
				t.Errorf("with %q there is %s still", direct, got)
			}
			if test.want == "" && !slices.Equal(direct, environ) {
				t.Errorf("%q was changed to %q", environ, direct)
			}
			if strings.Contains(test.environ, "a.example") && !strings.Contains(strings.Join(direct, " "), "a.example") {
				t.Errorf("%q lost what was there", direct)
			}
		})
	}
}

func lookup(environ []string) func(string) string {
	return func(name string) string {
		for _, entry := range environ {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
