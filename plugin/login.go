package plugin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"codex-rota/auth"
	"codex-rota/pool"
)

// loginMemory is how long the outcome of a login can still be asked for.
const loginMemory = 15 * time.Minute

// login is a login on its way into the pool. done is closed when it is there, or
// will never be: then either result or fail is set.
type login struct {
	*auth.Login
	browser bool
	done    chan struct{}
	result  *LoginResult
	fail    *Error
	ended   time.Time
}

// loginTable is the logins of this process. There is one callback port, so there
// is one login by browser at a time.
type loginTable struct {
	port chan struct{} // holds an element while a login by browser starts

	mu   sync.Mutex
	byID map[string]*login
}

// LoginStart starts a login. It lives on when ctx ends, and its account is added
// whether or not anybody waits for it. An earlier login by browser is cancelled.
// Errors are in the params; login_required where logging in this way is not
// allowed; upstream_unreachable; or the accounts file's.
func (s *Service) LoginStart(ctx context.Context, p LoginStartParams) (*LoginStarted, error) {
	if err := CheckLabel(p.Label); err != nil {
		return nil, err
	}
	options := auth.CodeOptions{Port: s.settings.CallbackPort}
	accounts, err := s.store.Accounts()
	if err != nil {
		return nil, s.storeError(err)
	}
	if options.Fresh = len(accounts) > 0; p.Fresh != nil {
		options.Fresh = *p.Fresh
	}
	life, end := context.WithCancel(s.stop)
	detach := context.AfterFunc(ctx, end)
	started, l, err := s.startLogin(ctx, life, p.Method, options)
	if err != nil {
		end()
		return nil, s.loginError(err)
	}
	s.background.Go(func() {
		defer end()
		s.finishLogin(l, p.Label, started.Method)
	})
	if !detach() { // nobody learned of the login
		return nil, s.loginError(auth.ErrLoginCancelled)
	}
	return started, nil
}

// startLogin starts the login and makes it known. life is the login's own
// context, ctx its caller's.
func (s *Service) startLogin(ctx, life context.Context, method string, o auth.CodeOptions) (started *LoginStarted, l *login, err error) {
	started, l = &LoginStarted{Login: "login_" + rand.Text(), Method: method}, &login{done: make(chan struct{})}
	switch method {
	case LoginBrowser:
		if err := s.takePort(ctx); err != nil {
			return nil, nil, err
		}
		defer func() { <-s.logins.port }()
		l.Login, err = s.issuer.StartBrowser(life, o)
		var port *auth.PortError
		if l.browser = err == nil; !l.browser && errors.As(err, &port) {
			started.Method, started.Notice = LoginPaste, fmt.Sprintf("%s, so the browser cannot come back by itself", port)
			l.Login, err = s.issuer.StartPaste(life, o), nil
		}
	case LoginPaste:
		l.Login = s.issuer.StartPaste(life, o)
	case LoginDevice:
		l.Login, err = s.issuer.StartDevice(life)
	default:
		err = badParams("method wants %s, %s or %s", LoginBrowser, LoginDevice, LoginPaste)
	}
	if err != nil {
		return nil, nil, err
	}
	if l.HalfPort != nil {
		started.Notice = fmt.Sprintf("%s at one of its two addresses, so the browser may end there", l.HalfPort)
	}
	started.URL, started.UserCode, started.ExpiresAt = l.URL, l.UserCode, l.ExpiresAt.UTC().Truncate(time.Millisecond)
	started.Instructions = started.instructions()
	s.logins.put(started.Login, l, s.now().Add(-loginMemory))
	return started, l, nil
}

// takePort ends an earlier login by browser and keeps others from starting. An
// exchange under way in the earlier one is finished first.
func (s *Service) takePort(ctx context.Context) error {
	select {
	case s.logins.port <- struct{}{}:
	case <-ctx.Done():
		return auth.ErrLoginCancelled
	}
	for _, l := range s.logins.browsers() {
		l.Cancel()
		select {
		case <-l.done:
		case <-ctx.Done():
			<-s.logins.port
			return auth.ErrLoginCancelled
		}
		l.Cancel() // the port is free now, whatever was under way before
	}
	return nil
}

// instructions tell the person what to do.
func (l *LoginStarted) instructions() string {
	text := "Sign in in the browser. It comes back by itself."
	switch {
	case l.Method == LoginDevice:
		text = "Open the address on any device, sign in, and type the code " + l.UserCode + " there."
	case l.Method == LoginPaste:
		text = "Sign in in the browser. It ends on a page that cannot be opened: copy that page's whole address and paste it here."
	case l.Notice != "":
		text += " If it does not, start the login again and choose the one that pastes the address."
	}
	if l.Notice != "" {
		text = "Note: " + l.Notice + ". " + text
	}
	return text
}

// finishLogin waits for the login and puts it into the pool. Whoever waits or
// not, the account is added: the tokens would be lost otherwise.
func (s *Service) finishLogin(l *login, label, method string) {
	defer close(l.done)
	defer func() { l.ended = s.now() }()
	tokens, err := l.Wait(context.Background()) // it ends by itself, when its time or the service does
	if err != nil {
		if l.fail = s.loginError(err); l.fail.Code != CodeCancelled {
			s.log.Warn("a login failed", "method", method, "error", err)
		}
		return
	}
	a, added, err := s.store.Add(context.WithoutCancel(s.stop), tokens, label, method)
	if errors.Is(err, pool.ErrConsumed) {
		l.fail = s.loginRefusal(CodeLoginRequired, err.Error(), "codex-rota add", err)
		return
	}
	var found *AccountResult
	if err = s.changed(err); err == nil {
		found, err = s.account(a.ID)
	}
	if err != nil {
		l.fail = s.storeError(err)
		return
	}
	l.result = &LoginResult{Account: found.Account, Added: string(added)}
}

// LoginWait gives the account, or why there is none: login_required with the
// reason, upstream_unreachable, cancelled, or the accounts file's error. ctx ends
// this waiting and not the login.
func (s *Service) LoginWait(ctx context.Context, p LoginParams) (*LoginResult, error) {
	l, fail := s.logins.get(p.Login)
	if fail != nil {
		return nil, fail
	}
	return l.outcome(ctx)
}

// LoginPaste gives a login what the person copied, and then is LoginWait. A text
// that cannot be used is an error in the params, and leaves the login waiting.
func (s *Service) LoginPaste(ctx context.Context, p LoginPasteParams) (*LoginResult, error) {
	l, fail := s.logins.get(p.Login)
	if fail != nil {
		return nil, fail
	}
	err := l.Paste(p.Text)
	switch {
	case err == nil:
		return l.outcome(ctx)
	case errors.Is(err, auth.ErrLoginOver) && l.failed():
		return nil, l.fail
	}
	return nil, &Error{Code: CodeInternal, Params: true, Message: err.Error(), cause: err}
}

// LoginCancel ends a login, unless its code has come: that is still exchanged and
// the account added. Cancelling a login that is over does nothing.
func (s *Service) LoginCancel(_ context.Context, p LoginParams) (*Empty, error) {
	l, fail := s.logins.get(p.Login)
	if fail != nil {
		return nil, fail
	}
	l.Cancel()
	return &Empty{}, nil
}

func (l *login) outcome(ctx context.Context) (*LoginResult, error) {
	select {
	case <-l.done:
	case <-ctx.Done():
		if !l.over() {
			return nil, fmt.Errorf("waiting for the login: %w", ctx.Err())
		}
	}
	if l.fail != nil {
		return nil, l.fail
	}
	return l.result, nil
}

func (l *login) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *login) failed() bool { return l.over() && l.fail != nil }

// put makes a login known, and forgets those that ended before old.
func (t *loginTable) put(id string, l *login, old time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, known := range t.byID {
		if known.over() && known.ended.Before(old) {
			delete(t.byID, id)
		}
	}
	t.byID[id] = l
}

func (t *loginTable) get(id string) (*login, *Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.byID[id]; l != nil {
		return l, nil
	}
	return nil, badParams("login names no login that this process knows; login/start gives one")
}

// browsers are the logins by browser. One that is over may still hold the port
// for a while, to tell a browser that comes late.
func (t *loginTable) browsers() []*login {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*login
	for _, l := range t.byID {
		if l.browser {
			out = append(out, l)
		}
	}
	return out
}
