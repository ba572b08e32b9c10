package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/plugin/proxy"
)

// proxyCommand is the loopback front end for Codex. `token --front-end` starts it;
// by hand it runs in the foreground.
func (a *app) proxyCommand() *cobra.Command {
	idle := proxy.IdleLimit
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Answer the Codex CLI on a loopback port; started by token --front-end",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if idle <= 0 {
				return usagef("--idle must be longer than nothing")
			}
			return a.proxy(cmd.Context(), idle)
		},
	}
	a.rootFlag(cmd)
	cmd.Flags().DurationVar(&idle, "idle", idle, "end after so long without a request")
	return cmd
}

// proxy answers until it was idle for long, or is told to end; another that runs
// already is as good. Nobody reads its stderr, so it logs into the log folder.
func (a *app) proxy(ctx context.Context, idle time.Duration) (err error) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	ctx, stop := interruptible(ctx)
	defer stop()
	inherited := dropInherited()
	log, closer, err := a.frontEndLog()
	if err != nil {
		return err
	}
	defer closer.Close()
	if inherited != nil {
		log.Warn("what the front end was given open could not be closed", "reason", inherited)
	}
	err = a.answerCodex(ctx, idle, log)
	if errors.Is(err, proxy.ErrRunning) {
		fmt.Fprintln(a.Err, "The front end runs already.")
		return nil
	}
	if err != nil {
		log.Error("the front end failed", "reason", err)
	}
	return err
}

// frontEndLog is the log of the front end and of whoever starts it.
func (a *app) frontEndLog() (hclog.Logger, interface{ Close() error }, error) {
	log, closer, err := logging.New(logging.Options{Dir: a.requestLogDir(), Level: hclog.Info})
	if err != nil {
		return nil, nil, fmt.Errorf("the front end's log: %w", err)
	}
	return log, closer, nil
}

func (a *app) answerCodex(ctx context.Context, idle time.Duration, log hclog.Logger) (err error) {
	self, err := a.frontEndSelf() // before the settings are read: it may be too old, never too new
	if err != nil {
		return err
	}
	s, err := a.service(plugin.HostCodex, log)
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		err = errors.Join(err, s.Close(ending))
	}()
	s.SetNotifier(func(method string, params any) {
		if toast, ok := params.(plugin.ToastParams); ok {
			log.Info(toast.Message)
		}
	})
	s.Settle(ctx)
	a.stay()
	place := proxy.Place{Root: a.root()}
	release, err := place.Take(ctx)
	if err != nil {
		return err
	}
	defer release()
	port, err := place.Port(ctx)
	if err != nil {
		return err
	}
	listener, err := proxy.Listen(port)
	if err != nil {
		return fmt.Errorf("port %d cannot be had: %w", port, err)
	}
	nonce, err := place.RenewNonce()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	log.Info("the front end answers", "address", listener.Addr().String(), "version", plugin.Version)
	if a.Terminal {
		fmt.Fprintf(a.Out, "Answering Codex at http://%s%s; Ctrl-C ends it.\n", listener.Addr(), proxy.BasePath)
	}
	return proxy.Serve(ctx, listener, proxy.Options{Service: s, Nonce: nonce, Self: self, Idle: idle,
		HTTP: proxy.Transport(), Log: log, Released: release})
}
