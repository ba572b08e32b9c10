package auth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"codex-rota/logging"
)

// How long a person has (FACTS-upstream 1). A pasted login holds no port, and
// the address often travels to another machine and back, so it gets as long as
// a device login.
const (
	browserLimit = 5 * time.Minute
	pasteTime    = 15 * time.Minute
	deviceLimit  = 15 * time.Minute
	// lateLimit is how long the port is kept after a login expired, to tell a
	// person who comes late what happened.
	lateLimit = time.Minute
)

// DefaultCallbackPort is the registered one (FACTS-upstream 1). It is a setting.
const DefaultCallbackPort = 1455

// CodeOptions are those of the browser and the paste login.
type CodeOptions struct {
	Port  int  // of the redirect, DefaultCallbackPort when 0
	Fresh bool // ask for the sign-in form even when the browser is signed in (prompt=login): wanted as soon as the pool is not empty
}

func (o CodeOptions) port() int {
	if o.Port == 0 {
		return DefaultCallbackPort
	}
	return o.Port
}

// redirect is the registered address; the listener has literal ones.
func (o CodeOptions) redirect() string {
	return "http://localhost:" + strconv.Itoa(o.port()) + callbackPath
}

// Login is one login under way, whichever its method: a browser that comes back
// to a port of ours, a text that is pasted, or a device code. It ends once: with
// tokens, with an error, by Cancel, by its time running out, or with the context
// it was started in. All of its methods may be called concurrently.
//
// The one code that a login takes is exchanged exactly once, by a request that
// neither Cancel nor a context cuts short (at most 30 s).
type Login struct {
	URL       string     // where the person signs in, or types the code
	UserCode  string     // of a device login, else ""
	ExpiresAt time.Time  // when it gives up
	HalfPort  *PortError // one of the port's two addresses is another's: the browser may go astray to it, and then the person should paste; else nil

	state   logging.Secret
	replies chan arrival // nil for a device login: it takes none
	cancel  context.CancelCauseFunc

	taken   chan struct{} // a code or a no has come
	closed  chan struct{} // no reply is taken any more
	decided chan struct{} // tokens and err are set
	done    chan struct{} // so, and the browser has its page
	gone    chan struct{} // nothing of the login runs or listens any more
	tokens  Tokens
	err     error
}

// arrival is a reply on its way to the login. shown, where there is one, is
// closed when the browser has the page that tells how it went.
type arrival struct {
	reply
	shown <-chan struct{}
}

func newLogin() *Login {
	return &Login{
		taken: make(chan struct{}), closed: make(chan struct{}), decided: make(chan struct{}),
		done: make(chan struct{}), gone: make(chan struct{}),
	}
}

// StartBrowser listens on the callback port and waits for the browser that the
// caller sends to URL, for 5 minutes. Paste works beside it. The login lives in
// ctx. Its error is a *PortError: StartPaste needs no port.
func (c *Client) StartBrowser(ctx context.Context, o CodeOptions) (*Login, error) {
	return c.startBrowser(ctx, o, browserLimit)
}

func (c *Client) startBrowser(ctx context.Context, o CodeOptions, limit time.Duration) (*Login, error) {
	listeners, half, err := listenLoopback(o.port())
	if err != nil {
		return nil, err
	}
	l := c.startCode(ctx, o, limit, func(l *Login) func() {
		return serveCallback(&callback{login: l, port: o.port(), issuer: c.endpoint("")}, listeners)
	})
	l.HalfPort = half
	return l, nil
}

// StartPaste waits for Paste, for 15 minutes, and listens nowhere: the browser
// ends on an address that cannot be opened, and the person copies it. The login
// lives in ctx.
func (c *Client) StartPaste(ctx context.Context, o CodeOptions) *Login {
	return c.startCode(ctx, o, pasteTime, nil)
}

// startCode starts a login that a reply ends. listen, if any, opens the door for
// the browser and gives what closes it.
func (c *Client) startCode(ctx context.Context, o CodeOptions, limit time.Duration, listen func(*Login) (stop func())) *Login {
	l, ch := newLogin(), newChallenge()
	l.URL, l.ExpiresAt = c.authorizeURL(ch, o.redirect(), o.Fresh), c.now().Add(limit)
	l.state, l.replies = ch.state, make(chan arrival)
	life, cancel := context.WithCancelCause(ctx)
	l.cancel = cancel
	waiting, stopWaiting := context.WithTimeoutCause(life, limit, ErrLoginExpired)
	stop := func() {}
	if listen != nil {
		stop = listen(l)
	}
	go func() {
		defer close(l.gone)
		defer cancel(nil)
		defer stop()
		defer stopWaiting()
		l.awaitReply(waiting, func(code logging.Secret) (Tokens, error) {
			return c.redeem(ctx, code, ch.verifier, o.redirect())
		})
		if listen != nil && errors.Is(l.err, ErrLoginExpired) {
			select {
			case <-time.After(lateLimit):
			case <-life.Done():
			}
		}
	}()
	return l
}

// awaitReply takes one reply, makes of it what it is worth, and tells everyone.
func (l *Login) awaitReply(ctx context.Context, redeem func(code logging.Secret) (Tokens, error)) {
	var a arrival
	select {
	case a = <-l.replies:
		close(l.taken)
	case <-ctx.Done():
		l.err = context.Cause(ctx)
	}
	close(l.closed)
	switch {
	case l.err != nil:
	case a.denied != nil:
		l.err = a.denied
	default:
		l.tokens, l.err = redeem(a.code)
	}
	close(l.decided)
	if a.shown != nil {
		<-a.shown // a process that ends now would leave the browser without its page
	}
	close(l.done)
}

// offer hands a reply over, or gives ErrLoginOver when none is taken any more.
func (l *Login) offer(a arrival) error {
	select {
	case l.replies <- a:
		return nil
	case <-l.closed:
		return ErrLoginOver
	}
}

// Wait gives the tokens, or why there are none: a *DeniedError, an
// *ExchangeError, ErrLoginCancelled, ErrLoginExpired, the cause of the end of
// the login's own context, or an error that wraps ErrNoSeat or says what else
// the tokens lack. ctx ends this waiting, with its error, and not the login.
// Everyone who waits gets the same.
func (l *Login) Wait(ctx context.Context) (Tokens, error) {
	select {
	case <-l.done:
	case <-ctx.Done():
		if !isClosed(l.done) {
			return Tokens{}, fmt.Errorf("waiting for the login: %w", ctx.Err())
		}
	}
	return l.tokens, l.err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Paste gives the login what the person copied from the browser; Wait then has
// the outcome. Errors wrap ErrPaste, and ErrStateMismatch where that is why, and
// leave the login waiting; or are ErrLoginOver. An address with the issuer's no
// in it ends the login with that.
func (l *Login) Paste(text string) error {
	if l.replies == nil {
		return fmt.Errorf("%w: a login by device code takes none", ErrPaste)
	}
	r, err := parsePaste(text)
	if err != nil {
		return err
	}
	if !r.state.IsZero() && !r.state.Equal(l.state) {
		return fmt.Errorf("%w: %w", ErrPaste, ErrStateMismatch)
	}
	return l.offer(arrival{reply: r})
}

// Cancel ends the login with ErrLoginCancelled, unless its code has come: that
// is still exchanged. The port is free when Cancel returns, but for such an
// exchange, for which it does not wait. It may be called any number of times,
// and after the login's end.
func (l *Login) Cancel() {
	l.cancel(ErrLoginCancelled)
	select {
	case <-l.gone:
	case <-l.taken:
		if isClosed(l.decided) {
			<-l.gone
		}
	}
}
