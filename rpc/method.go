package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/sourcegraph/jsonrpc2"

	"codex-rota/plugin"
)

// Service is what the methods call: *plugin.Service. Its methods may be called
// concurrently.
type Service interface {
	SetNotifier(plugin.Notifier)
	SetReclaimer(plugin.Reclaimer)
	HostResponse(*plugin.Error) *plugin.HostResponse
	Initialize(context.Context, plugin.InitializeParams) (*plugin.InitializeResult, error)
	Prepare(context.Context, plugin.PrepareParams, []byte) (*plugin.Prepared, error)
	Transform(context.Context, plugin.TransformParams, []byte) (*plugin.Transformed, error)
	Authorize(context.Context, plugin.AuthorizeParams) (*plugin.Authorized, error)
	Response(context.Context, plugin.ResponseParams, []byte) (*plugin.Verdict, error)
	Done(context.Context, plugin.DoneParams, []byte)
	Collapse(context.Context, plugin.CollapseParams, []byte) (*plugin.CollapseResult, error)
	LoginStart(context.Context, plugin.LoginStartParams) (*plugin.LoginStarted, error)
	LoginWait(context.Context, plugin.LoginParams) (*plugin.LoginResult, error)
	LoginPaste(context.Context, plugin.LoginPasteParams) (*plugin.LoginResult, error)
	LoginCancel(context.Context, plugin.LoginParams) (*plugin.Empty, error)
	AccountsList(context.Context, plugin.AccountsListParams) (*plugin.AccountsResult, error)
	AccountsUpdate(context.Context, plugin.AccountsUpdateParams) (*plugin.AccountResult, error)
	AccountsRemove(context.Context, plugin.AccountsRemoveParams) (*plugin.AccountsRemoveResult, error)
	QuotaRefresh(context.Context, plugin.QuotaRefreshParams) (*plugin.QuotaResult, error)
	Status(context.Context, plugin.StatusParams) (*plugin.Status, error)
	Explain(context.Context, plugin.StatusParams) (*plugin.Explanation, error)
	Instructions(context.Context, plugin.InstructionsParams) (*plugin.InstructionsResult, error)
	RunTool(context.Context, plugin.ToolParams) (*plugin.ToolResult, error)
}

var _ Service = (*plugin.Service)(nil)

// Method describes one method of the wire, for manifest.json and for dispatch.
type Method struct {
	Name        string
	Description string
	Params      reflect.Type
	Result      reflect.Type
	// Attachment says what the message's attachment is, "" for a method that
	// takes none. The same bytes may come as the string param `body`.
	Attachment string
	// Notification is true for a method that has no result. One that comes with
	// an id all the same is answered with {}.
	Notification bool

	call func(context.Context, *session, *call) (any, error)
}

// CancelParams are those of $/cancelRequest: the id of the request to cancel, as
// it was written there.
type CancelParams struct {
	ID json.RawMessage `json:"id"`
}

// Methods that the session itself has a part in.
const (
	methodInitialize = "initialize"
	methodPrepare    = "request/prepare"
	methodAuthorize  = "request/authorize"
	methodResponse   = "request/response"
	methodDone       = "request/done"
	methodShutdown   = "shutdown"
	methodCancel     = "$/cancelRequest"
)

// Methods lists what a host may call, in DESIGN 3's order.
func Methods() []Method {
	return []Method{
		plain(methodInitialize, "Introduces host and plugin to each other. May be left out; another protocol number is refused.", initialize),
		withBody(methodPrepare, "Makes an outgoing call ready to be sent: account, url, headers, edits.", "the request's body",
			func(p *plugin.PrepareParams) *string { return p.Body }, Service.Prepare),
		withBody("request/transform", "The half of request/prepare that needs no account.", "the request's body",
			func(p *plugin.TransformParams) *string { return p.Body }, Service.Transform),
		plain(methodAuthorize, "The half of request/prepare that needs no body.", service(Service.Authorize)),
		withBody(methodResponse, "Tells what came back, and answers what to do about it.", "an error's body, or the stream's bytes from offset on",
			func(p *plugin.ResponseParams) *string { return p.Body }, Service.Response),
		notification(withBody(methodDone, "Closes a call: usage and late limits are learned from its end.", "the stream's end, from the start of its last event",
			func(p *plugin.DoneParams) *string { return p.Body }, done)),
		withBody("response/collapse", "Makes one JSON answer of a whole stream.", "the whole stream",
			func(p *plugin.CollapseParams) *string { return p.Body }, Service.Collapse),
		plain("login/start", "Starts a login by browser, device code or pasted text; the account is added whether or not anybody waits for it.", service(Service.LoginStart)),
		plain("login/wait", "Waits until a login is over; it can be asked for again. Cancelling this cancels no login.", service(Service.LoginWait)),
		plain("login/paste", "Gives a login what the person copied from the browser, then waits as login/wait does.", service(Service.LoginPaste)),
		plain("login/cancel", "Ends a login, unless its answer has come already.", service(Service.LoginCancel)),
		plain("accounts/list", "Lists the accounts.", service(Service.AccountsList)),
		plain("accounts/update", "Changes an account's label, tags, note, enabled or pinned.", service(Service.AccountsUpdate)),
		plain("accounts/remove", "Removes an account and its tokens.", service(Service.AccountsRemove)),
		plain("quota/refresh", "Reads quota windows from the usage endpoint, without a model call.", service(Service.QuotaRefresh)),
		plain("status", "What the command status prints with --json.", service(Service.Status)),
		plain("explain", "Which account a call would get now, and why not the others.", service(Service.Explain)),
		plain("instructions/get", "The Codex instructions for a model.", service(Service.Instructions)),
		plain("tool/run", "Runs a host's tool by name.", service(Service.RunTool)),
		plain(methodShutdown, "Ends the taking of requests; the end of stdin then ends the process.", shutdown),
		notification(plain(methodCancel, "Cancels a request by its id; that request is answered with cancelled.", cancel)),
	}
}

// Notifications lists what the plugin tells the host unasked.
func Notifications() []Method {
	return []Method{
		{Name: "host/toast", Description: "Something the person should see.", Params: reflect.TypeFor[plugin.ToastParams](), Notification: true},
		{Name: "accounts/changed", Description: "The accounts are no longer what accounts/list said.", Params: reflect.TypeFor[plugin.Empty](), Notification: true},
	}
}

// plain is a method that takes params only.
func plain[P, R any](name, description string, f func(context.Context, *session, P) (*R, error)) Method {
	return Method{
		Name: name, Description: description, Params: reflect.TypeFor[P](), Result: reflect.TypeFor[R](),
		call: func(ctx context.Context, s *session, c *call) (any, error) {
			var p P
			if err := decodeParams(c, &p); err != nil {
				return nil, err
			}
			return f(ctx, s, p)
		},
	}
}

// service is a method of Service that needs nothing of the session.
func service[P, R any](f func(Service, context.Context, P) (*R, error)) func(context.Context, *session, P) (*R, error) {
	return func(ctx context.Context, s *session, p P) (*R, error) { return f(s.service, ctx, p) }
}

// withBody is a method whose bytes come as the attachment or as the string param
// that text gives.
func withBody[P, R any](name, description, attachment string, text func(*P) *string, f func(Service, context.Context, P, []byte) (*R, error)) Method {
	return Method{
		Name: name, Description: description, Attachment: attachment, Params: reflect.TypeFor[P](), Result: reflect.TypeFor[R](),
		call: func(ctx context.Context, s *session, c *call) (any, error) {
			var p P
			if err := decodeParams(c, &p); err != nil {
				return nil, err
			}
			body, err := bodyOf(c, text(&p))
			if err != nil {
				return nil, err
			}
			return f(s.service, ctx, p, body)
		},
	}
}

func notification(m Method) Method {
	m.Notification = true
	return m
}

// decodeParams reads the params, an object or nothing, into p. Members that p
// does not know are ignored. They are part of a message that was found valid.
func decodeParams(c *call, p any) error {
	params := bytes.TrimSpace(c.params)
	if len(params) == 0 || string(params) == "null" {
		return nil
	}
	if params[0] != '{' {
		return badParams("%s takes its params as an object, by name", c.method)
	}
	if direct, ok := p.(interface{ ReadJSON([]byte) bool }); ok && direct.ReadJSON(params) {
		return nil
	}
	err := json.Unmarshal(params, p)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return badParams("%s: param %s cannot be a JSON %s", c.method, wrong.Field, strings.Fields(wrong.Value + " value")[0])
	}
	if err != nil {
		return badParams("%s: %s", c.method, err)
	}
	return nil
}

func badParams(format string, args ...any) error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: fmt.Sprintf(format, args...)}
}

// bodyOf gives the bytes that came as the attachment or as text, nil when neither
// came. The bytes of a string are its UTF-8: a lone surrogate (\ud800) is U+FFFD,
// which is also what every host's own encoder makes of it when it sends the body.
func bodyOf(c *call, text *string) ([]byte, error) {
	switch {
	case text == nil:
		return c.attachment, nil
	case len(c.attachment) > 0:
		return nil, badParams("%s: the body came both as the attachment and as the param body", c.method)
	default:
		return []byte(*text), nil
	}
}

// initialize tells the host whether this framing carries attachments.
func initialize(ctx context.Context, s *session, p plugin.InitializeParams) (*plugin.InitializeResult, error) {
	result, err := s.service.Initialize(ctx, p)
	if result != nil {
		result.Capabilities.Attachments = s.reader.framing == framingHeaders
	}
	return result, err
}

func done(s Service, ctx context.Context, p plugin.DoneParams, tail []byte) (*plugin.Empty, error) {
	s.Done(ctx, p, tail)
	return &plugin.Empty{}, nil
}

// shutdown and cancel have done their work by the time they are called: Handle
// does it in the order in which the host wrote.
func shutdown(context.Context, *session, plugin.Empty) (*plugin.Empty, error) {
	return &plugin.Empty{}, nil
}

func cancel(context.Context, *session, CancelParams) (*plugin.Empty, error) {
	return &plugin.Empty{}, nil
}
