package plugin

import (
	"cmp"
	"time"

	"codex-rota/plugin/response"
	"codex-rota/pool"
)

// The caps of DESIGN 4.
const (
	maxTries         = 6                 // upstream tries of a call, quota answers not counted
	maxTransport     = 2                 // retries after a transport error
	maxOverload      = 2                 // retries for a host that does not repeat by itself
	shortWait        = 5 * time.Second   // a rate limit up to this is waited out on the same account
	callLimit        = 280 * time.Second // a call's life before delivery
	entitlementBlock = 24 * time.Hour
	firstBackoff     = 400 * time.Millisecond
)

// happened says what became of one attempt, or of the token renewal after it.
type happened int

const (
	answered           happened = iota // the backend answered: outcome.answer
	aborted                            // by the user
	transportFailed                    // the host's connection failed before any output
	renewed                            // the account has another token now
	renewalRefused                     // the issuer refused the refresh token for good
	renewalRevoked                     // the same, saying that tokens were revoked or reused
	renewalUnreachable                 // no answer of the issuer
	nothingToAdopt                     // the stored token is the one that was revoked
	storeUnreadable                    // the accounts file cannot be read, so nothing can be renewed
)

type outcome struct {
	what   happened
	answer response.Outcome
}

// progress is the call so far.
type progress struct {
	startedAt  time.Time
	sentAt     time.Time       // of the current attempt
	tries      int             // upstream tries, quota answers not counted
	transport  int             // retries after transport errors
	overload   int             // retries after overload
	renewed    map[string]bool // accounts whose token this call had renewed or adopted
	waitedRate bool            // a short rate limit was waited out
	waitedPool bool            // the wait for the pool (maxWaitSeconds) was used
	dropped    bool            // reasoning was dropped
}

// facts is what decide must know beside the call.
type facts struct {
	account  string      // that answered
	model    string      // that was asked for
	until    time.Time   // when that account's older blocks end, zero if it has none
	next     pool.Choice // the choice among the other accounts
	editable bool        // the body is at hand and may be changed
	repeats  bool        // the host repeats overload and 5xx by itself
	maxWait  time.Duration
	// fallback is the next model of the user's chain, "" when there is none.
	fallback string
	jitter   float64 // 0–1
}

// action is what happens next to the call.
type action int

const (
	actDeliver action = iota // the host gets what came
	actMore                  // undecided: more of the stream is needed
	actRetry                 // send again: decision.account after decision.after
	actRenew                 // get the account another token, then decide again
	actAdopt                 // the same, but only one that is stored already
	actFail                  // the host gets decision.code
	actForget                // the user ended the call: nothing is answered or learned
)

// decision is the verdict and what was learned.
type decision struct {
	act     action
	account string // actRetry: with this one; "" is whichever is ready after the wait
	after   time.Duration
	model   string // not "": retry with this model
	code    Code
	retryAt time.Time
	events  []pool.Event
	flag    *pool.Flag // the answering account's final verdict
	waiting bool       // the retry waits for the pool: the person is told the time
}

// decide is the table of DESIGN 4: one outcome of one attempt, with the call so
// far, gives what to do next and what was learned about the account. The rules
// are in the table's order. It has no side effects.
func decide(call progress, out outcome, f facts, now time.Time) (decision, progress) {
	switch out.what {
	case aborted:
		return decision{act: actForget}, call
	case transportFailed:
		return call.afterTransport(f, now)
	case renewalUnreachable:
		return decision{act: actFail, code: CodeUpstreamUnreachable}, call
	case storeUnreadable:
		return decision{act: actFail, code: CodeStoreUnreadable}, call
	case renewalRevoked, nothingToAdopt:
		d := needsLogin(f, "its tokens were revoked", now)
		d.act, d.code = actFail, CodeLoginRequired
		return d, call
	case renewed:
		return call.again(f, now, decision{code: CodeLoginRequired})
	case renewalRefused:
		return call.other(f, now, needsLogin(f, "its refresh token was refused", now))
	}
	return call.afterAnswer(out.answer, f, now)
}

// afterAnswer handles what the backend said.
func (call progress) afterAnswer(a response.Outcome, f facts, now time.Time) (decision, progress) {
	learned := decision{events: windowsEvent(a, f, call.sentAt)}
	switch a.Class {
	case response.ClassMore:
		if !call.roomFor(now) { // a stream that drips: the host waits for its head no longer
			return decision{act: actDeliver}, call
		}
		return decision{act: actMore}, call
	case response.ClassAuthRevoked:
		call = call.withRenewal(f.account)
		learned.act = actAdopt
		return learned, call
	case response.ClassAuth:
		if call.tries >= maxTries || !call.roomFor(now) { // a renewal would be for nobody
			learned.act, learned.code = actFail, CodeLoginRequired
			return learned, call
		}
		if call.renewed[f.account] {
			return call.other(f, now, needsLogin(f, "a renewed token was refused", now))
		}
		call = call.withRenewal(f.account)
		learned.act = actRenew
		return learned, call
	case response.ClassWorkspace:
		learned.flag = &pool.Flag{Kind: pool.FlagSuspended, Reason: "the workspace is deactivated", At: now}
		learned.events = append(learned.events, failure(f, call.sentAt))
		return call.other(f, now, learned)
	case response.ClassQuota:
		call.tries-- // a quota answer is not counted: it blocks an account, so it ends
		return call.afterLimit(a, f, now, learned, pool.BlockQuota)
	case response.ClassRateLimit:
		wait := a.Until.Sub(now)
		if wait <= shortWait && !call.waitedRate && call.roomFor(now.Add(wait)) {
			call.waitedRate = true
			learned.after = max(wait, 0)
			return call.again(f, now, learned)
		}
		if a.Limit != "" { // a spent window stands behind it, whose early reset may end the block
			return call.afterLimit(a, f, now, learned, pool.BlockQuota)
		}
		return call.afterLimit(a, f, now, learned, pool.BlockRateLimit)
	case response.ClassOverload:
		return call.afterOverload(a, f, now, learned)
	case response.ClassModel, response.ClassEntitlement:
		return call.afterEntitlement(a, f, now, learned)
	case response.ClassEncryptedContent:
		if call.dropped || !f.editable {
			return learned, call
		}
		call.dropped = true // the next attempt goes without encrypted reasoning
		return call.again(f, now, learned)
	case response.ClassOutput:
		learned.events = append(learned.events, pool.Event{Account: f.account, At: call.sentAt, Success: true})
		return learned, call
	}
	return learned, call
}

// afterTransport: the network's fault. No account is charged, no other tried.
func (call progress) afterTransport(f facts, now time.Time) (decision, progress) {
	unreachable := decision{act: actFail, code: CodeUpstreamUnreachable}
	if call.transport >= maxTransport {
		return unreachable, call
	}
	call.transport++
	d, call := call.again(f, now, decision{after: backoff(call.transport, f.jitter)})
	if d.act == actDeliver { // the caps: and nothing came that could be delivered
		return unreachable, call
	}
	return d, call
}

// afterOverload: it is global, so no other account is tried. A hint of a long wait
// is the host's to act on.
func (call progress) afterOverload(a response.Outcome, f facts, now time.Time, d decision) (decision, progress) {
	if f.repeats || call.overload >= maxOverload || a.Until.After(now.Add(shortWait)) {
		return d, call
	}
	call.overload++
	d.after = backoff(call.overload, f.jitter)
	if a.Until.After(now) {
		d.after = a.Until.Sub(now)
	}
	return call.again(f, now, d)
}

// afterLimit blocks the account until the limit ends and goes on with another;
// with none left the soonest time is waited for once, or told.
func (call progress) afterLimit(a response.Outcome, f facts, now time.Time, d decision, kind pool.BlockKind) (decision, progress) {
	block := &pool.Block{Kind: kind, Window: a.Limit, Until: a.Until, Reason: "usage limit reached"}
	if kind == pool.BlockRateLimit {
		block.Window, block.Reason = "", "rate limit"
	} else if a.Limit != "" && !response.AccountWide(a.Limit) {
		block.Model = f.model // a named limit concerns the model whose answer named it
		if block.Model == "" {
			block.Kind, block.Window = pool.BlockRateLimit, "" // no model to block, so the account, by time alone
			block.Until = minTime(a.Until, now.Add(time.Minute))
		}
	}
	d.events = append(d.events, pool.Event{Account: f.account, At: call.sentAt, Block: block})
	if kind == pool.BlockRateLimit {
		d.events = append(d.events, failure(f, call.sentAt))
	}
	if f.next.Account != "" {
		return call.other(f, now, d)
	}
	own := latest(a.Until, f.until)
	free := own
	if !f.next.Pinned {
		free = soonest(f.next.Soonest, own)
	}
	wait := max(free.Sub(now), 0)
	if !call.waitedPool && wait <= f.maxWait && call.roomFor(free) {
		call.waitedPool = true
		d.after, d.waiting, d.retryAt = wait, true, free
		return call.send(d, now)
	}
	d.act, d.code, d.retryAt = actFail, CodeAllLimited, free
	if f.next.Pinned {
		d.code = CodePinnedUnavailable
	}
	return d, call
}

// afterEntitlement remembers what the account may not serve. Never another
// model unless the person configured one.
func (call progress) afterEntitlement(a response.Outcome, f facts, now time.Time, d decision) (decision, progress) {
	block := &pool.Block{Kind: pool.BlockEntitlement, Until: now.Add(entitlementBlock), Reason: "not in this account's plan"}
	if a.Class == response.ClassModel || a.Model != "" {
		block.Model, block.Reason = cmp.Or(f.model, a.Model), "the model is not available to this account"
		if block.Model == "" {
			return d, call // a model that nobody named: remembering it would cost the account every model
		}
	}
	d.events = append(d.events, pool.Event{Account: f.account, At: call.sentAt, Block: block})
	if f.next.Account != "" {
		return call.other(f, now, d)
	}
	if f.fallback != "" {
		d.model = f.fallback
		return call.send(d, now)
	}
	return d, call // deliver the upstream's own error
}

// again retries the same account, unless another call has learned meanwhile that
// it is blocked: a blocked account gets zero requests.
func (call progress) again(f facts, now time.Time, d decision) (decision, progress) {
	if f.until.After(now.Add(d.after)) {
		d.after = 0
		return call.other(f, now, d)
	}
	d.account = f.account
	return call.send(d, now)
}

// other goes on with the account that was chosen beside the answering one, or
// says why there is none.
func (call progress) other(f facts, now time.Time, d decision) (decision, progress) {
	if f.next.Account != "" {
		d.account = f.next.Account
		return call.send(d, now)
	}
	d.act, d.code, d.retryAt = actFail, CodeLoginRequired, time.Time{}
	if f.next.Pinned {
		d.code = CodePinnedUnavailable
	} else if f.next.Soonest.After(now) {
		d.code, d.retryAt = CodeAllLimited, f.next.Soonest
	}
	return d, call
}

// send spends one try, unless the caps say that the call has had enough: then
// the host gets what came, or d.code where what came must not be shown (a 401).
func (call progress) send(d decision, now time.Time) (decision, progress) {
	if call.tries >= maxTries || !call.roomFor(now.Add(d.after)) {
		d.act, d.account, d.after, d.waiting = actDeliver, "", 0, false
		if d.code != "" {
			d.act = actFail
		}
		return d, call
	}
	call.tries++
	d.act, d.code = actRetry, ""
	return d, call
}

func (call progress) roomFor(t time.Time) bool { return t.Before(call.startedAt.Add(callLimit)) }

func (call progress) withRenewal(account string) progress {
	seen := make(map[string]bool, len(call.renewed)+1)
	for id := range call.renewed {
		seen[id] = true
	}
	seen[account] = true
	call.renewed = seen
	return call
}

func needsLogin(f facts, reason string, now time.Time) decision {
	return decision{
		flag:   &pool.Flag{Kind: pool.FlagNeedsLogin, Reason: reason, At: now},
		events: []pool.Event{failure(f, now)},
		code:   CodeLoginRequired,
	}
}

func failure(f facts, at time.Time) pool.Event {
	return pool.Event{Account: f.account, At: at, Failure: true}
}

// windowsEvent is what every answer teaches, a 200 too.
func windowsEvent(a response.Outcome, f facts, sentAt time.Time) []pool.Event {
	if len(a.Windows) == 0 && a.Plan == "" {
		return nil
	}
	e := pool.Event{Account: f.account, At: sentAt, Plan: a.Plan}
	for _, w := range a.Windows {
		e.Windows = append(e.Windows, pool.Window{Name: w.Name, UsedPercent: w.UsedPercent,
			WindowMinutes: w.WindowMinutes, ResetAt: w.ResetAt, ObservedAt: sentAt})
	}
	return []pool.Event{e}
}

// backoff doubles from retry to retry, with jitter so that many processes do
// not come back in step.
func backoff(retry int, jitter float64) time.Duration {
	base := firstBackoff << (retry - 1)
	return base/2 + time.Duration(float64(base)*jitter)
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// soonest ignores the zero time, which means that no time is known.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
