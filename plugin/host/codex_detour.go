package host

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// ProxyDetour is the variable of the environment by which Codex sends what is for
// the front end to a proxy instead, the key and the prompts in clear; "" for none.
// As seen with 0.169.0, HTTP_PROXY and ALL_PROXY hold for 127.0.0.1 too unless
// NO_PROXY has that address or a network around it: "localhost" and "*" do not
// help.
func ProxyDetour(env func(string) string) string {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for entry := range strings.SplitSeq(noProxy(env), ",") {
		entry = strings.TrimSpace(entry)
		if a, err := netip.ParseAddr(entry); err == nil && a == loopback {
			return ""
		}
		if p, err := netip.ParsePrefix(entry); err == nil && p.Contains(loopback) {
			return ""
		}
	}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		if env(name) != "" {
			return name
		}
	}
	return ""
}

func noProxy(env func(string) string) string { return cmp.Or(env("NO_PROXY"), env("no_proxy")) }

// DirectNoProxy is what NO_PROXY must be for Codex to come to the front end
// directly.
func DirectNoProxy(env func(string) string) string {
	return strings.TrimPrefix(noProxy(env)+",127.0.0.1", ",")
}

// Direct is an environment in which Codex comes to the front end directly, environ
// itself where it does.
func Direct(environ []string, env func(string) string) []string {
	if ProxyDetour(env) == "" {
		return environ
	}
	environ = slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return strings.EqualFold(name, "NO_PROXY")
	})
	value := DirectNoProxy(env)
	return append(environ, "NO_PROXY="+value, "no_proxy="+value)
}
