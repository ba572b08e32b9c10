package rpc

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// maxNotices is how many notifications may wait for a host that is slow to read.
// More are dropped: none says anything that `status` does not.
const maxNotices = 64

// notices sends notifications to the host without ever making the service wait.
// Nothing goes out before the host's first message, which tells the framing.
type notices struct {
	log    hclog.Logger
	queue  chan notice
	begin  chan struct{}
	finish chan struct{}
	done   chan struct{}

	begun    sync.Once
	finished sync.Once
}

type notice struct {
	method string
	params any
}

func newNotices(log hclog.Logger) *notices {
	return &notices{
		log: log, queue: make(chan notice, maxNotices),
		begin: make(chan struct{}), finish: make(chan struct{}), done: make(chan struct{}),
	}
}

// put is the plugin.Notifier.
func (n *notices) put(method string, params any) {
	select {
	case n.queue <- notice{method, params}:
	default:
		n.log.Debug("the host is slow to read: notification dropped", "method", method)
	}
}

// start lets notifications out.
func (n *notices) start() { n.begun.Do(func() { close(n.begin) }) }

// end sends what waits and stops, within lastWords or until ctx ends.
func (n *notices) end(ctx context.Context) {
	n.finished.Do(func() { close(n.finish) })
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	select {
	case <-n.done:
	case <-ctx.Done():
	}
}

// pump sends from start to end.
func (n *notices) pump(send func(method string, params any) error) {
	defer close(n.done)
	select {
	case <-n.begin:
	case <-n.finish:
		select {
		case <-n.begin: // both have happened: what waits can still be sent
		default:
			return
		}
	}
	for {
		select {
		case next := <-n.queue:
			n.send(send, next)
		case <-n.finish:
			for {
				select {
				case next := <-n.queue:
					n.send(send, next)
				default:
					return
				}
			}
		}
	}
}

func (n *notices) send(send func(string, any) error, next notice) {
	if err := send(next.method, next.params); err != nil {
		n.log.Debug("notification not sent", "method", next.method, "error", err)
	}
}
