package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"codex-rota/plugin/host"
	"codex-rota/plugin/proxy"
)

// muteFrontEnd holds the place of the front end, and its port, and proves nothing.
func muteFrontEnd(r *rig) []string {
	r.t.Helper()
	place := proxy.Place{Root: r.root()}
	release, err := place.Take(r.t.Context())
	r.do(err)
	r.t.Cleanup(release)
	port, err := place.Port(r.t.Context())
	r.do(err)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	r.do(server.Listener.Close())
	server.Listener, err = proxy.Listen(port)
	r.do(err)
	server.Start()
	r.t.Cleanup(server.Close)
	return nil
}

func doctorCodex() []doctorCase {
	type change func(*host.CodexOptions)
	// registered installs, and then changes something.
	registered := func(option change, how host.CodexInstall, then func(r *rig)) func(r *rig) []string {
		return func(r *rig) []string {
			o := host.CodexOptions{Home: r.dir, Env: func(string) string { return "" }, Environ: os.Environ(),
				Binary: binary, Root: r.root(), Port: 4141, Program: codexPath(r.t), ServerEnv: serverEnv()}
			if option != nil {
				option(&o)
			}
			_, err := host.NewCodex(o).Install(r.t.Context(), how)
			r.do(err)
			if then != nil {
				then(r)
			}
			return nil
		}
	}
	replace := func(file, old, new string) func(r *rig) {
		return func(r *rig) {
			text := r.read(file)
			if !strings.Contains(text, old) {
				r.t.Fatalf("no %q in\n%s", old, text)
			}
			r.write(file, strings.Replace(text, old, new, 1))
		}
	}
	plain, profile := host.CodexInstall{}, host.CodexInstall{ProfileOnly: true}
	const install = "codex-rota install codex"
	return []doctorCase{
		{name: "no Codex", spoil: func(*rig) []string { return nil }, line: "codex", level: "ok", says: "not registered"},
		{name: "a Codex that is well", spoil: registered(nil, plain, nil), line: "codex", level: "ok", says: "registered in "},
		{name: "Codex's version", spoil: registered(nil, plain, nil), line: "codex", level: "ok", says: "codex is version " + host.CodexVersion},
		{name: "a profile that is well", spoil: registered(nil, profile, nil), line: "codex", level: "ok", says: "for codex -p codex-rota"},
		{name: "Codex starts a missing binary", spoil: registered(func(o *host.CodexOptions) { o.Binary = "/nowhere/codex-rota" }, plain, nil),
			line: "codex", level: "fail", says: "starts /nowhere/codex-rota, which is missing", mend: install, exit: 1, fixed: "codex: renew the provider codex-rota in "},
		{name: "a profile starts a missing binary", spoil: registered(func(o *host.CodexOptions) { o.Binary = "/nowhere/codex-rota" }, profile, nil),
			line: "codex", level: "fail", says: "starts /nowhere/codex-rota, which is missing", mend: install + " --profile-only", exit: 1, fixed: "codex: write the profile "},
		{name: "Codex starts another binary", spoil: registered(func(o *host.CodexOptions) { o.Binary = "/bin/sh" }, plain, nil),
			line: "codex", level: "warn", says: "starts /bin/sh, and this is ", mend: install},
		{name: "Codex uses another pool", spoil: registered(func(o *host.CodexOptions) { o.Root = "/elsewhere" }, plain, nil),
			line: "codex", level: "warn", says: "is pinned to the pool in /elsewhere, and this is ", mend: install},
		{name: "Codex knows another port", spoil: registered(nil, plain, func(r *rig) { r.write("pool/front-end.json", `{"schema":1,"port":29999}`) }),
			line: "codex", level: "fail", says: "expects the front end on port 4141, and it is on port 29999", mend: install, exit: 1, fixed: "codex: renew the provider "},
		{name: "Codex's registration was edited", spoil: registered(nil, plain, replace(codexConfig, `wire_api = "responses"`, "")),
			line: "codex", level: "warn", says: "model_providers.codex-rota.wire_api", mend: install, fixed: "codex: renew the provider "},
		{name: "another default provider", spoil: registered(nil, plain, replace(codexConfig, `model_provider = "codex-rota"`, `model_provider = "oss"`)),
			line: "codex", level: "warn", says: "has another default provider (oss)", mend: install},
		{name: "another default provider, and a missing binary", spoil: registered(func(o *host.CodexOptions) { o.Binary = "/nowhere/codex-rota" }, plain, func(r *rig) {
			replace(codexConfig, `model_provider = "codex-rota"`, `model_provider = "oss"`)(r)
			r.t.Cleanup(func() {
				if !strings.Contains(r.read(codexConfig), `model_provider = "oss"`) {
					r.t.Error("--fix took the person's choice away")
				}
			})
		}), line: "codex", level: "fail", says: "/nowhere/codex-rota, which is missing", mend: install, exit: 1, fixed: "codex: renew the provider "},
		{name: "no default provider", spoil: registered(nil, plain, replace(codexConfig, `model_provider = "codex-rota"`, "")),
			line: "codex", level: "warn", says: "has no default provider", mend: install},
		{name: "Codex is gone", spoil: registered(nil, plain, func(r *rig) {
			r.do(os.Remove(filepath.Join(r.dir, ".codex/codex-rota/install.json"))) // it knows where Codex was
			r.withoutCodex()
		}), line: "codex", level: "warn", says: "codex is not in PATH", mend: "npm install -g @openai/codex"},
		{name: "a proxy in the way of Codex", spoil: func(r *rig) []string {
			registered(nil, plain, nil)(r)
			return []string{"http_proxy=http://proxy.example:1", "NO_PROXY=a.example"}
		}, line: "codex", level: "warn", says: "http_proxy is set", mend: "export NO_PROXY='a.example,127.0.0.1'"},
		{name: "a front end that runs", spoil: func(r *rig) []string {
			r.must("token", "--front-end")
			r.t.Cleanup(r.endFrontEnd)
			return nil
		}, line: "locks", level: "ok", says: "none"},
		{name: "a front end that does not answer", spoil: muteFrontEnd, line: "front end", level: "fail", says: "runs, and does not answer", mend: "codex-rota proxy", exit: 1},
		{name: "a config of Codex that does not parse", spoil: func(r *rig) []string {
			r.write(codexConfig, "model = = 1\n")
			return nil
		}, line: "codex", level: "fail", says: "config.toml: line 1", exit: 1},
	}
}
