package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"codex-rota/auth"
	"codex-rota/instructions"
	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/pool"
)

// app is one run of the binary: the system it runs in, and the objects built
// from it.
type app struct {
	System
	pinned string // the pool's folder by --root, "" for none
}

// root is the pool's folder (DESIGN 6): the one a host was registered with wins
// over the environment that the host happens to run in.
func (a *app) root() string {
	if a.pinned != "" {
		return a.pinned
	}
	return pool.ResolveRoot(a.Env, a.Home)
}

// rootFlag lets a command that a host starts be pinned to one pool.
func (a *app) rootFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.pinned, "root", "", "the pool's folder, whatever the environment says")
}

// service builds the service over the pool's folder. The caller closes it.
func (a *app) service(host string, log hclog.Logger) (*plugin.Service, error) {
	root := a.root()
	warnings, err := pool.CheckRoot(root)
	if err != nil {
		return nil, &plugin.Error{Code: plugin.CodeStoreUnreadable, Message: err.Error()}
	}
	settings, more := plugin.LoadSettings(filepath.Join(root, "settings.json"), a.Env)
	warnings = append(warnings, more...)
	for _, w := range warnings {
		log.Warn(w)
	}
	client := httpClient()
	issuer := &auth.Client{Issuer: settings.Issuer, ClientID: settings.ClientID, HTTP: client, Now: time.Now}
	store, err := pool.OpenStore(pool.Options{Dir: root, Refresh: issuer.Refresh, Now: time.Now, Log: log, RefreshBefore: settings.RefreshBefore()})
	if err != nil {
		return nil, err
	}
	requests, err := a.requestLog(settings, log)
	if err != nil {
		return nil, err
	}
	return plugin.NewService(plugin.Options{
		Version: plugin.Version, Root: root, Host: host,
		Store: store, Book: openBook(root, store, log),
		Instructions: instructions.New(instructions.Options{Dir: filepath.Join(root, "cache"), GitHubAPI: settings.GitHubAPI,
			GitHubRaw: settings.GitHubRaw, HTTP: client, Now: time.Now, Log: log}),
		Issuer:   issuer,
		Settings: settings, Warnings: warnings, HTTP: client, Now: time.Now, Log: log, Requests: requests,
		Tool: a.tool, Hosts: a.hosts,
	}), nil
}

func openBook(root string, store *pool.Store, log hclog.Logger) *pool.BookFile {
	return pool.OpenBook(pool.BookOptions{Path: filepath.Join(root, "quota-cache.json"), LockPath: filepath.Join(store.LockDir(), "quota-cache.lock"),
		Now: time.Now, Log: log, Holding: store.Holding})
}

func (a *app) requestLog(settings plugin.Settings, log hclog.Logger) (*logging.RequestLog, error) {
	if !settings.RequestLogging {
		return nil, nil
	}
	return logging.OpenRequestLog(logging.RequestLogOptions{Dir: a.requestLogDir(), Bodies: settings.LogBodies, Log: log})
}

// httpClient talks to OpenAI and GitHub only. Redirects are not followed: a
// token goes where the settings say and nowhere else.
func httpClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// quietLog is for commands: only errors, on stderr.
func (a *app) quietLog() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: plugin.Name, Level: hclog.Error, Output: logging.NewRedactingWriter(a.Err)})
}

// withService runs f on a service and closes it.
func (a *app) withService(ctx context.Context, f func(*plugin.Service) error) (err error) {
	s, err := a.service("", a.quietLog())
	if err != nil {
		return err
	}
	for _, warning := range s.Warnings() {
		fmt.Fprintf(a.Err, "codex-rota: warning: %s\n", warning)
	}
	defer func() {
		if cerr := s.Close(ctx); err == nil {
			err = cerr
		}
	}()
	return f(s)
}

// printJSON writes one object, indented, without HTML escapes.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
