package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"codex-rota/logging"
	"codex-rota/plugin"
	"codex-rota/rpc"
)

// closeLimit bounds what may still run after stdin ended: a token exchange has
// its own 30 s.
const closeLimit = 35 * time.Second

func (a *app) serveCommand() *cobra.Command {
	var hostName string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer JSON-RPC on stdin and stdout; started by a host",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.InTerminal && a.Terminal {
				fmt.Fprint(a.Err, serveOnTerminal)
				return usagef("serve is started by a host, not by hand")
			}
			return a.serve(cmd.Context(), hostName)
		},
	}
	cmd.Flags().StringVar(&hostName, "host", "", "the host's name, before it introduces itself")
	return cmd
}

const serveOnTerminal = `This is the plugin side of codex-rota: it speaks JSON-RPC 2.0 on stdin and stdout.
OpenCode starts it by itself once it is registered:  codex-rota install opencode
A script may pipe messages into it, one JSON object a line:
  echo '{"jsonrpc":"2.0","id":1,"method":"accounts/list"}' | codex-rota serve

`

// serve answers a host on stdin and stdout.
func (a *app) serve(ctx context.Context, hostName string) error {
	return a.onStreams(ctx, hostName, func(ctx context.Context, s *plugin.Service, log hclog.Logger) error {
		return rpc.Serve(ctx, a.In, a.Out, rpc.Options{Service: s, Log: log})
	})
}

// onStreams runs a front end on stdin and stdout until stdin ends, or SIGTERM
// comes, which is taken as the same: a token exchange in flight is finished and
// stored first. SIGINT and SIGHUP are ignored: the host shares its process group,
// and stdin's end is the sign that it is gone. So is SIGPIPE: a host that died
// must not take a token exchange with it.
func (a *app) onStreams(ctx context.Context, hostName string, front func(context.Context, *plugin.Service, hclog.Logger) error) error {
	signal.Ignore(os.Interrupt, syscall.SIGHUP, syscall.SIGPIPE)
	serving, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	log, closer, err := logging.New(logging.Options{Stderr: a.Err, Level: hclog.Warn})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer closer.Close()
	s, err := a.service(hostName, log)
	if err != nil {
		return err
	}
	s.Settle(ctx)
	a.stay()
	serveErr := front(serving, s, log)
	if serving.Err() != nil {
		serveErr = nil // ended as it was told to
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	if err := s.Close(ending); err != nil && serveErr == nil {
		serveErr = err
	}
	return serveErr
}
