// Package plugin is the service that every front end calls: one model call's
// life from the outgoing request to the end of its answer, and the accounts,
// settings and status around it. It owns the decisions; sockets, framing, argv
// and terminals belong to the front ends (rpc, proxy, mcp, cli).
package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/auth"
	"codex-rota/instructions"
	"codex-rota/logging"
	"codex-rota/pool"
)

// Name is how the service introduces itself.
const Name = "codex-rota"

// Tool runs a host's tool by the name of its command and gives what the command
// prints. Without an error, a nil result means that the name is no tool.
type Tool func(ctx context.Context, name string, args json.RawMessage) (*ToolResult, error)

// Options is what a Service is built from. Everything but Tool, Hosts and
// Requests is required.
type Options struct {
	Version      string
	Root         string // the pool's folder
	Host         string // known before initialize (serve --host), or ""
	Store        *pool.Store
	Book         *pool.BookFile
	Instructions *instructions.Cache
	Issuer       *auth.Client // for logins; refreshes are the Store's
	Settings     Settings
	Warnings     []string // from settings and the root's check, shown by status
	HTTP         *http.Client
	Now          func() time.Time
	Log          hclog.Logger
	Requests     *logging.RequestLog // nil: no request log
	Tool         Tool
	Hosts        func() []HostState
}

// Service answers the methods of DESIGN 3. Its methods may be called
// concurrently; each returns *Error for anything a person must be told.
type Service struct {
	store    *pool.Store
	book     *pool.BookFile
	texts    *instructions.Cache
	issuer   *auth.Client
	settings Settings
	options  Options // what only status and initialize show
	client   *http.Client
	now      func() time.Time
	log      hclog.Logger
	requests *logging.RequestLog
	ledger   ledger

	host     atomic.Pointer[string]
	notify   Notifier
	reclaim  Reclaimer
	calls    callTable
	sessions sessionTable
	logins   loginTable
	refused  refusedTokens
	probes   probes
	models   atomic.Pointer[knownModels]
	servers  atomic.Pointer[modelServers]
	troubles troubleLog
	callSeq  atomic.Uint64
	revision atomic.Int64 // of the accounts, as the host knows them

	background sync.WaitGroup
	stop       context.Context
	cancel     context.CancelFunc
}

// NewService builds a Service; Close ends it.
func NewService(o Options) *Service {
	s := &Service{
		store: o.Store, book: o.Book, texts: o.Instructions, issuer: o.Issuer, settings: o.Settings, options: o,
		client: o.HTTP, now: o.Now, log: o.Log, requests: o.Requests,
		ledger: ledger{dir: filepath.Join(o.Root, "usage")},
		logins: loginTable{port: make(chan struct{}, 1), byID: map[string]*login{}},
	}
	s.stop, s.cancel = context.WithCancel(context.Background())
	s.host.Store(&o.Host)
	return s
}

// Notifier sends a notification to the host: host/toast or accounts/changed. It
// must not block.
type Notifier func(method string, params any)

// SetNotifier is called at most once, before the first method.
func (s *Service) SetNotifier(n Notifier) { s.notify = n }

// Reclaimer is given the bytes of a body that Prepare was given, once nothing
// refers to them: at the delivery or the end of the call, or when Prepare fails.
// A body that is forgotten in another way it never sees. It must not block.
type Reclaimer func(body []byte)

// SetReclaimer is called at most once, before the first method. Whoever calls it
// leaves the bodies to Prepare for good.
func (s *Service) SetReclaimer(r Reclaimer) { s.reclaim = r }

// Initialize learns the host's name and refuses another protocol.
func (s *Service) Initialize(_ context.Context, p InitializeParams) (*InitializeResult, error) {
	if p.Protocol != Protocol {
		e := &Error{Code: CodeProtocolMismatch, Hint: "codex-rota install " + HostOpenCode}
		e.Message = "the host speaks protocol " + strconv.Itoa(p.Protocol) + ", this codex-rota (" + s.options.Version + ") speaks " +
			strconv.Itoa(Protocol) + ". Type: " + e.Hint
		e.Response = hostResponse(p.Host.Name, e)
		return nil, e
	}
	if p.Host.Name != "" {
		s.host.Store(&p.Host.Name)
	}
	for _, notice := range s.store.Notices() {
		s.log.Warn(notice)
		s.toast("warning", notice)
	}
	result := &InitializeResult{Protocol: Protocol, Name: Name, Version: s.options.Version, Capabilities: Capabilities{Attachments: p.Attachments}}
	for _, a := range s.accountStates() {
		result.Accounts.Total++
		if a.State == string(pool.StateReady) {
			result.Accounts.Ready++
		}
	}
	return result, nil
}

func (s *Service) hostName() string { return *s.host.Load() }

// toast tells the person, as far as the setting `notifications` wants it.
func (s *Service) toast(level, message string) {
	switch s.settings.Notifications {
	case "none":
		return
	case "errors":
		if level != "error" {
			return
		}
	}
	s.announce("host/toast", ToastParams{Level: level, Message: message})
}

func (s *Service) announce(method string, params any) {
	if s.notify != nil {
		s.notify(method, params)
	}
}

// Settle writes back what another tool has overwritten, once its content was
// merged, so that no used token of it lies about. It is called when a front end
// starts.
func (s *Service) Settle(ctx context.Context) {
	if err := s.store.Settle(ctx); err != nil {
		s.log.Warn("what another tool wrote over the accounts could not be mended", "reason", err)
	}
}

// noticeChanges tells the host when the accounts are no longer what they were at
// its last call: another process changed them.
func (s *Service) noticeChanges(accounts *pool.Roster) {
	revision := accounts.Revision()
	if last := s.revision.Swap(revision); last != 0 && last != revision {
		s.announce("accounts/changed", Empty{})
	}
}

// RunTool runs a host's tool by name.
func (s *Service) RunTool(ctx context.Context, p ToolParams) (*ToolResult, error) {
	if s.options.Tool == nil {
		return nil, badParams("there are no tools here")
	}
	before, _ := s.store.Revision() // of a store that cannot be read the tool tells
	defer func() {
		if now, err := s.store.Revision(); err == nil && now != before {
			s.announce("accounts/changed", Empty{})
		}
	}()
	result, err := s.options.Tool(ctx, p.Name, p.Args)
	if err != nil {
		var known *Error
		if errors.As(err, &known) {
			return nil, known
		}
		return nil, badParams("%s", err)
	}
	if result == nil {
		return nil, badParams("there is no tool %q", p.Name)
	}
	return result, nil
}

func (s *Service) newCallID() CallID {
	return CallID(strconv.Quote("rota-" + strconv.FormatUint(s.callSeq.Add(1), 10)))
}

func (s *Service) jitter() float64 { return rand.Float64() }

// goDo runs f in the background with a deadline; Close waits for it.
func (s *Service) goDo(limit time.Duration, f func(context.Context)) {
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(s.stop, limit)
		defer cancel()
		f(ctx)
	})
}

// Close ends what runs in the background, logins too. A token exchange in flight
// is finished and stored first, however long that takes up to its own 30 s limit;
// ctx bounds the rest.
func (s *Service) Close(ctx context.Context) error {
	s.cancel()
	s.background.Wait()
	return errors.Join(s.store.Close(ctx), s.book.Close(ctx), s.ledger.close(), s.texts.Close(ctx), s.requests.Close())
}
