package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"codex-rota/plugin"
	"codex-rota/plugin/request"
)

// fakeService answers from its params alone. The model of `explain` and the name
// of `tool/run` choose what goes wrong.
type fakeService struct {
	notify  plugin.Notifier
	reclaim plugin.Reclaimer
	running atomic.Int64
	hold    chan struct{} // `explain hold` waits for it, whatever its context says
	bodies  sync.Map      // call → body
	done    chan plugin.DoneParams
	tails   chan string
}

func newFake() *fakeService {
	return &fakeService{hold: make(chan struct{}), done: make(chan plugin.DoneParams, 16), tails: make(chan string, 16)}
}

func (f *fakeService) SetNotifier(n plugin.Notifier) { f.notify = n }

func (f *fakeService) SetReclaimer(r plugin.Reclaimer) { f.reclaim = r }

func (f *fakeService) HostResponse(e *plugin.Error) *plugin.HostResponse {
	return &plugin.HostResponse{Status: 403, Headers: []plugin.Header{}, Body: e.Message}
}

func (f *fakeService) Initialize(_ context.Context, p plugin.InitializeParams) (*plugin.InitializeResult, error) {
	if p.Protocol != plugin.Protocol {
		return nil, &plugin.Error{Code: plugin.CodeProtocolMismatch, Hint: "codex-rota install " + p.Host.Name,
			Message: fmt.Sprintf("the host speaks protocol %d, codex-rota speaks 1", p.Protocol)}
	}
	if p.Directory == "slow" {
		<-f.hold
	}
	return &plugin.InitializeResult{Protocol: 1, Name: "codex-rota", Version: "1.2.3", Accounts: plugin.AccountCount{Total: 3, Ready: 2}}, nil
}

// Prepare puts "<EDIT>" before the body's last byte; a body of "{}" needs nothing.
func (f *fakeService) Prepare(_ context.Context, p plugin.PrepareParams, body []byte) (*plugin.Prepared, error) {
	f.bodies.Store(p.Call, body)
	if !strings.Contains(p.URL, "/responses") {
		return &plugin.Prepared{Pass: true, Call: p.Call, Edits: []request.Edit{}}, nil
	}
	return &plugin.Prepared{
		Call: p.Call, Account: &plugin.AccountRef{ID: "acct_0123456789ab", Label: "work"}, URL: "https://chatgpt.com/backend-api/codex/responses",
		Headers: append([]plugin.Header{}, p.Headers...), Edits: editsFor(body),
		Timeouts: &plugin.Timeouts{HeadersMs: 280000, IdleMs: 300000},
		Body:     edited(p.Body, body),
	}, nil
}

func edited(text *string, body []byte) *string {
	if text == nil || len(editsFor(body)) == 0 {
		return nil
	}
	edited := string(request.Apply(body, editsFor(body)))
	return &edited
}

func editsFor(body []byte) []request.Edit {
	if len(body) <= 2 {
		return []request.Edit{}
	}
	return []request.Edit{{Start: len(body) - 1, Text: "<EDIT>"}}
}

func (f *fakeService) Transform(_ context.Context, p plugin.TransformParams, body []byte) (*plugin.Transformed, error) {
	return &plugin.Transformed{URL: p.URL, Edits: editsFor(body), Body: edited(p.Body, body)}, nil
}

func (f *fakeService) Authorize(_ context.Context, p plugin.AuthorizeParams) (*plugin.Authorized, error) {
	return &plugin.Authorized{URL: p.URL, Headers: p.Headers, Account: &plugin.AccountRef{ID: "acct_0123456789ab"}}, nil
}

func (f *fakeService) Response(_ context.Context, p plugin.ResponseParams, data []byte) (*plugin.Verdict, error) {
	if p.Status != 429 {
		return &plugin.Verdict{Verdict: plugin.VerdictDeliver}, nil
	}
	at := time.Now().Add(90 * time.Minute)
	until := at
	return nil, fmt.Errorf("deciding: %w", &plugin.Error{
		Code: plugin.CodeAllLimited, Message: "all 2 ChatGPT accounts have reached their limit", RetryAt: at, Hint: "codex-rota status",
		Accounts: []plugin.AccountState{{ID: "acct_0123456789ab", Label: "work", State: "limited", Until: &until, Reason: "weekly"}},
		Response: &plugin.HostResponse{Status: 403, Headers: []plugin.Header{{"content-type", "application/json"}}, Body: `{"error":{"message":"a <b> & c"}}`},
	})
}

func (f *fakeService) Done(_ context.Context, p plugin.DoneParams, tail []byte) {
	f.done <- p
	f.tails <- string(tail)
}

func (f *fakeService) Collapse(_ context.Context, _ plugin.CollapseParams, stream []byte) (*plugin.CollapseResult, error) {
	return &plugin.CollapseResult{Response: plugin.HostResponse{Status: 200, Headers: []plugin.Header{}, Body: string(stream)}}, nil
}

func (f *fakeService) LoginStart(_ context.Context, p plugin.LoginStartParams) (*plugin.LoginStarted, error) {
	if p.Method != plugin.LoginDevice {
		return nil, &plugin.Error{Code: plugin.CodeInternal, Params: true, Message: "method wants browser, device or paste"}
	}
	return &plugin.LoginStarted{Login: "login_1", Method: p.Method, URL: "https://auth.openai.com/codex/device?a=1&b=2", UserCode: "ABCD-EFGH",
		Instructions: "Type the code.", ExpiresAt: time.Now().Add(15 * time.Minute)}, nil
}

func (f *fakeService) LoginWait(ctx context.Context, _ plugin.LoginParams) (*plugin.LoginResult, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("waiting for the login: %w", ctx.Err())
}

func (f *fakeService) LoginPaste(_ context.Context, p plugin.LoginPasteParams) (*plugin.LoginResult, error) {
	if p.Text == "denied" {
		return nil, &plugin.Error{Code: plugin.CodeLoginRequired, Hint: "codex-rota add", Message: "the sign-in was declined in the browser. Type: codex-rota add"}
	}
	return &plugin.LoginResult{Account: plugin.Account{ID: "acct_0123456789ab", Tags: []string{}, Windows: []plugin.Window{}}, Added: "second seat"}, nil
}

func (f *fakeService) LoginCancel(context.Context, plugin.LoginParams) (*plugin.Empty, error) {
	return &plugin.Empty{}, nil
}

func (f *fakeService) AccountsList(context.Context, plugin.AccountsListParams) (*plugin.AccountsResult, error) {
	return &plugin.AccountsResult{Accounts: []plugin.Account{}}, nil
}

func (f *fakeService) AccountsUpdate(context.Context, plugin.AccountsUpdateParams) (*plugin.AccountResult, error) {
	return &plugin.AccountResult{}, nil
}

func (f *fakeService) AccountsRemove(context.Context, plugin.AccountsRemoveParams) (*plugin.AccountsRemoveResult, error) {
	return nil, &plugin.Error{Code: plugin.CodeInternal, Params: true, Message: "account is missing"}
}

func (f *fakeService) QuotaRefresh(context.Context, plugin.QuotaRefreshParams) (*plugin.QuotaResult, error) {
	return &plugin.QuotaResult{}, nil
}

func (f *fakeService) Status(context.Context, plugin.StatusParams) (*plugin.Status, error) {
	return &plugin.Status{Schema: 1, Version: "1.2.3"}, nil
}

func (f *fakeService) Explain(ctx context.Context, p plugin.StatusParams) (*plugin.Explanation, error) {
	f.running.Add(1)
	defer f.running.Add(-1)
	switch p.Model {
	case "slow": // until cancelled
		<-ctx.Done()
		return nil, fmt.Errorf("choosing: %w", ctx.Err())
	case "hold":
		<-f.hold
	case "second":
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return &plugin.Explanation{Schema: 1, Model: p.Model, Reason: "because", Candidates: []plugin.ExplainedAccount{}}, nil
}

func (f *fakeService) Instructions(_ context.Context, p plugin.InstructionsParams) (*plugin.InstructionsResult, error) {
	return &plugin.InstructionsResult{Text: strings.Repeat("x", 100_000), Source: "embedded"}, nil
}

func (f *fakeService) RunTool(_ context.Context, p plugin.ToolParams) (*plugin.ToolResult, error) {
	switch p.Name {
	case "panic":
		panic("a Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWNyZXQifQ.c2lnbmF0dXJlc2lnbmF0dXJl")
	case "wrapped":
		return nil, fmt.Errorf("outer: %w", &jsonrpc2.Error{Code: -31999, Message: "inner"})
	case "plain":
		return nil, fmt.Errorf("open /home/someone/secret: no such file")
	case "change":
		f.notify("accounts/changed", plugin.Empty{})
	case "toasts":
		for range maxNotices {
			f.notify("host/toast", plugin.ToastParams{Level: "info", Message: "hello"})
		}
	case "toast":
		f.notify("host/toast", plugin.ToastParams{Level: "info", Message: "hello"})
	}
	return &plugin.ToolResult{Text: "ran " + p.Name}, nil
}

// output is a host that reads everything at once.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// take gives what was written since the last take.
func (o *output) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := bytes.Clone(o.buf.Bytes())
	o.buf.Reset()
	return b
}

// conn is a test's end of a served connection, inside a synctest bubble.
type conn struct {
	t       *testing.T
	service *fakeService
	in      *io.PipeWriter
	out     *output
	ended   chan error
}

func serve(t *testing.T) *conn {
	t.Helper()
	read, write := io.Pipe()
	c := &conn{t: t, service: newFake(), in: write, out: &output{}, ended: make(chan error, 1)}
	go func() { c.ended <- Serve(t.Context(), read, c.out, Options{Service: c.service}) }()
	return c
}

// send writes bytes as they are and gives what was answered once nothing moves.
func (c *conn) send(text string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.in, text); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
	return string(c.out.take())
}

// close ends stdin and wants Serve to return nil.
func (c *conn) close() string {
	c.t.Helper()
	c.in.Close()
	if err := <-c.ended; err != nil {
		c.t.Errorf("Serve: %v", err)
	}
	return string(c.out.take())
}

// answer is what a test wants to know of one answer.
type answer struct {
	ID     json.RawMessage
	Method string
	Result json.RawMessage
	Error  *struct {
		Code    int64
		Message string
		Data    json.RawMessage
	}
}

// answers reads newline-delimited answers.
func answers(t *testing.T, text string) []answer {
	t.Helper()
	var all []answer
	for line := range strings.Lines(text) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("answer %q: %v", line, err)
		}
		all = append(all, a)
	}
	return all
}

// unframe splits header-framed answers strictly, as a host would.
func unframe(t testing.TB, text []byte) []string {
	t.Helper()
	var all []string
	for len(text) > 0 {
		head, rest, ok := bytes.Cut(text, []byte("\r\n\r\n"))
		var n int
		if _, err := fmt.Sscanf(string(head), "Content-Length: %d", &n); !ok || err != nil || n > len(rest) || fmt.Sprintf("Content-Length: %d", n) != string(head) {
			t.Fatalf("a header block that is none, or a length that lies: %.80q", text)
		}
		all = append(all, string(rest[:n]))
		text = rest[n:]
	}
	return all
}

// framed is a header-framed message.
func framed(text, attachment string) string {
	head := fmt.Sprintf("Content-Length: %d\r\n", len(text))
	if attachment != "" {
		head += fmt.Sprintf("Attachment-Length: %d\r\n", len(attachment))
	}
	return head + "\r\n" + text + attachment
}
