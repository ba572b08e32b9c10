package plugin

import (
	"testing"
	"time"

	"codex-rota/plugin/response"
	"codex-rota/pool"
)

var decideNow = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

func answer(class response.Class, wait time.Duration) outcome {
	a := response.Outcome{Class: class, Status: 429}
	if wait != 0 {
		a.Until = decideNow.Add(wait)
	}
	return outcome{what: answered, answer: a}
}

// TestDecide has a case for each row of DESIGN 4's table and for each cap.
func TestDecide(t *testing.T) {
	start := progress{startedAt: decideNow.Add(-time.Second), sentAt: decideNow.Add(-time.Second), tries: 1}
	with := func(change func(*progress)) progress { p := start; change(&p); return p }
	other := facts{account: "a", model: "m", maxWait: time.Minute, jitter: 0.5, repeats: true, editable: true, next: pool.Choice{Account: "b"}}
	alone := other
	alone.next = pool.Choice{}
	facing := func(base facts, change func(*facts)) facts { change(&base); return base }

	for _, test := range []struct {
		name  string
		call  progress
		out   outcome
		facts facts
		check func(t *testing.T, d decision, p progress)
	}{
		{"aborted by the user: nothing learned", start, outcome{what: aborted}, other, wants(actForget, "", 0)},
		{"undecided: more of the stream", start, answer(response.ClassMore, 0), other, wants(actMore, "", 0)},
		{"cap: undecided when the call's time is over", with(func(p *progress) { p.startedAt = decideNow.Add(-callLimit) }), answer(response.ClassMore, 0), other, wants(actDeliver, "", 0)},
		{"transport error: same account, jittered", start, outcome{what: transportFailed}, other, wants(actRetry, "a", 400*time.Millisecond)},
		{"transport error, second retry waits longer", with(func(p *progress) { p.transport = 1 }), outcome{what: transportFailed}, other, wants(actRetry, "a", 800*time.Millisecond)},
		{"cap: a third transport error", with(func(p *progress) { p.transport = 2 }), outcome{what: transportFailed}, other, fails(CodeUpstreamUnreachable)},
		{"cap: transport error with six tries used", with(func(p *progress) { p.tries = 6 }), outcome{what: transportFailed}, other, fails(CodeUpstreamUnreachable)},
		{"issuer does not answer: no other account", start, outcome{what: renewalUnreachable}, other, fails(CodeUpstreamUnreachable)},
		{"401 while the accounts file is broken", start, outcome{what: storeUnreadable}, other, fails(CodeStoreUnreadable)},
		{"401 revoked: adopt first", start, answer(response.ClassAuthRevoked, 0), other, wants(actAdopt, "", 0)},
		{"401 revoked and nothing to adopt: stop", start, outcome{what: nothingToAdopt}, other, flags(actFail, pool.FlagNeedsLogin)},
		{"refresh answer says revoked: stop", start, outcome{what: renewalRevoked}, other, flags(actFail, pool.FlagNeedsLogin)},
		{"401: renew once", start, answer(response.ClassAuth, 0), other, wants(actRenew, "", 0)},
		{"401 renewed: same account", with(func(p *progress) { p.renewed = map[string]bool{"a": true} }), outcome{what: renewed}, other, wants(actRetry, "a", 0)},
		{"401 again: needs login, next account", with(func(p *progress) { p.renewed = map[string]bool{"a": true} }), answer(response.ClassAuth, 0), other, flags(actRetry, pool.FlagNeedsLogin)},
		{"401 again on a second account of the call renews that one", with(func(p *progress) { p.renewed = map[string]bool{"z": true} }), answer(response.ClassAuth, 0), other, wants(actRenew, "", 0)},
		{"refresh refused for good: next account", start, outcome{what: renewalRefused}, other, flags(actRetry, pool.FlagNeedsLogin)},
		{"refresh refused for good, nothing left", start, outcome{what: renewalRefused}, alone, fails(CodeLoginRequired)},
		{"refresh refused, others limited", start, outcome{what: renewalRefused}, facing(alone, func(f *facts) { f.next.Soonest = decideNow.Add(time.Hour) }), fails(CodeAllLimited)},
		{"workspace: suspended, next account", start, answer(response.ClassWorkspace, 0), other, flags(actRetry, pool.FlagSuspended)},
		{"quota: block and next account", start, answer(response.ClassQuota, 5*24*time.Hour), other, blocks(actRetry, "b", pool.BlockQuota, 5*24*time.Hour)},
		{"quota: six tries do not stop it", with(func(p *progress) { p.tries = 6 }), answer(response.ClassQuota, time.Hour), other, blocks(actRetry, "b", pool.BlockQuota, time.Hour)},
		{"quota, nothing left: the soonest time", start, answer(response.ClassQuota, 2*time.Hour), facing(alone, func(f *facts) { f.next.Soonest = decideNow.Add(time.Hour) }), failsAt(CodeAllLimited, time.Hour)},
		{"quota, nothing left, own reset is sooner", start, answer(response.ClassQuota, time.Hour), facing(alone, func(f *facts) { f.next.Soonest = decideNow.Add(3 * time.Hour) }), failsAt(CodeAllLimited, time.Hour)},
		{"quota: an older block that lasts longer counts", start, answer(response.ClassQuota, time.Hour), facing(alone, func(f *facts) { f.until = decideNow.Add(4 * time.Hour) }), failsAt(CodeAllLimited, 4*time.Hour)},
		{"quota, nothing left, within maxWaitSeconds: wait once", start, answer(response.ClassQuota, 40*time.Second), alone, waits(40 * time.Second)},
		{"cap: the wait for the pool was used", with(func(p *progress) { p.waitedPool = true }), answer(response.ClassQuota, 40*time.Second), alone, failsAt(CodeAllLimited, 40*time.Second)},
		{"cap: a wait past 280 s of the call", with(func(p *progress) { p.startedAt = decideNow.Add(-250 * time.Second) }), answer(response.ClassQuota, 40*time.Second), alone, failsAt(CodeAllLimited, 40*time.Second)},
		{"quota on the pinned account: never bypassed", start, answer(response.ClassQuota, time.Hour), facing(alone, func(f *facts) { f.next.Pinned = true; f.next.Soonest = decideNow.Add(time.Second) }), failsAt(CodePinnedUnavailable, time.Hour)},
		{"rate limit up to 5 s: wait, same account", start, answer(response.ClassRateLimit, 5*time.Second), other, wants(actRetry, "a", 5*time.Second)},
		{"rate limit up to 5 s, a second time: block", with(func(p *progress) { p.waitedRate = true }), answer(response.ClassRateLimit, 3*time.Second), other, blocks(actRetry, "b", pool.BlockRateLimit, 3*time.Second)},
		{"rate limit, longer: block, next account", start, answer(response.ClassRateLimit, 6*time.Second), other, blocks(actRetry, "b", pool.BlockRateLimit, 6*time.Second)},
		{"rate limit, longer, nothing left", start, answer(response.ClassRateLimit, 10*time.Minute), alone, failsAt(CodeAllLimited, 10*time.Minute)},
		{"overload: delivered to a host that repeats", start, answer(response.ClassOverload, 0), other, wants(actDeliver, "", 0)},
		{"overload: other hosts, same account", start, answer(response.ClassOverload, 0), facing(other, func(f *facts) { f.repeats = false }), wants(actRetry, "a", 400*time.Millisecond)},
		{"overload: the hint is obeyed", start, answer(response.ClassOverload, 2*time.Second), facing(other, func(f *facts) { f.repeats = false }), wants(actRetry, "a", 2*time.Second)},
		{"cap: a third overload", with(func(p *progress) { p.overload = 2 }), answer(response.ClassOverload, 0), facing(other, func(f *facts) { f.repeats = false }), wants(actDeliver, "", 0)},
		{"model not supported: remember 24 h, next account", start, answer(response.ClassModel, 0), other, blocksModel(actRetry, "b", "m")},
		{"model not supported by anyone: the upstream's error", start, answer(response.ClassModel, 0), alone, blocksModel(actDeliver, "", "m")},
		{"model not supported by anyone, a fallback configured", start, answer(response.ClassModel, 0), facing(alone, func(f *facts) { f.fallback = "m2" }), func(t *testing.T, d decision, p progress) {
			if d.act != actRetry || d.model != "m2" || d.account != "" {
				t.Errorf("got %+v", d)
			}
		}},
		{"not in the plan, no model named: the account", start, answer(response.ClassEntitlement, 0), other, blocksModel(actRetry, "b", "")},
		{"encrypted content: drop, same account", start, answer(response.ClassEncryptedContent, 0), other, func(t *testing.T, d decision, p progress) {
			if d.act != actRetry || d.account != "a" || !p.dropped || len(d.events) != 0 {
				t.Errorf("got %+v", d)
			}
		}},
		{"encrypted content in a body that must not be edited", start, answer(response.ClassEncryptedContent, 0), facing(other, func(f *facts) { f.editable = false }), wants(actDeliver, "", 0)},
		{"encrypted content again: delivered", with(func(p *progress) { p.dropped = true }), answer(response.ClassEncryptedContent, 0), other, wants(actDeliver, "", 0)},
		{"a stream that has said nothing", start, answer(response.ClassMore, 0), other, wants(actMore, "", 0)},
		{"output: delivered, account credited", start, answer(response.ClassOutput, 0), other, func(t *testing.T, d decision, p progress) {
			if d.act != actDeliver || len(d.events) != 1 || !d.events[0].Success {
				t.Errorf("got %+v", d)
			}
		}},
		{"anything else: delivered unchanged", start, answer(response.ClassOther, 0), other, wants(actDeliver, "", 0)},
		{"cap: six tries, then what came is delivered", with(func(p *progress) { p.tries = 6 }), answer(response.ClassRateLimit, time.Minute), other, blocks(actDeliver, "", pool.BlockRateLimit, time.Minute)},
		{"cap: six tries, and no token is renewed for nobody", with(func(p *progress) { p.tries = 6 }), answer(response.ClassAuth, 0), other, fails(CodeLoginRequired)},
		{"blocked meanwhile: a transport error goes on with another", start, outcome{what: transportFailed}, facing(other, func(f *facts) { f.until = decideNow.Add(time.Hour) }), wants(actRetry, "b", 0)},
		{"blocked meanwhile, nothing left", start, outcome{what: transportFailed}, facing(alone, func(f *facts) { f.until = decideNow.Add(time.Hour); f.next.Soonest = decideNow.Add(time.Hour) }), failsAt(CodeAllLimited, time.Hour)},
		{"blocked meanwhile: no renewed token is presented", with(func(p *progress) { p.renewed = map[string]bool{"a": true} }), outcome{what: renewed}, facing(other, func(f *facts) { f.until = decideNow.Add(time.Hour) }), wants(actRetry, "b", 0)},
		{"a named limit blocks the account for that model", start, named("gpt_5_codex"), other, blocksWindow("gpt_5_codex", "m", pool.BlockQuota)},
		{"a named limit of a call whose model is not known", start, named("gpt_5_codex"), facing(other, func(f *facts) { f.model = "" }), blocksWindow("", "", pool.BlockRateLimit)},
		{"an account-wide limit blocks every model", start, named("secondary"), other, blocksWindow("secondary", "", pool.BlockQuota)},
		{"a rate limit behind which a window is spent", start, outcome{answer: response.Outcome{Class: response.ClassRateLimit, Status: 429, Until: decideNow.Add(time.Hour), Limit: "primary"}}, other, blocksWindow("primary", "", pool.BlockQuota)},
		{"a model refusal of a call whose model is not known", start, answer(response.ClassModel, 0), facing(other, func(f *facts) { f.model = "" }), wants(actDeliver, "", 0)},
		{"overload with a long hint is the host's to act on", start, answer(response.ClassOverload, 10*time.Second), facing(other, func(f *facts) { f.repeats = false }), wants(actDeliver, "", 0)},
		{"cap: six tries, a 401 is never delivered", with(func(p *progress) { p.tries = 6; p.renewed = map[string]bool{"a": true} }), outcome{what: renewed}, other, fails(CodeLoginRequired)},
		{"cap: 280 s, no more tries", with(func(p *progress) { p.startedAt = decideNow.Add(-281 * time.Second) }), answer(response.ClassModel, 0), other, blocksModel(actDeliver, "", "m")},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, p := decide(test.call, test.out, test.facts, decideNow)
			test.check(t, d, p)
			for _, e := range d.events {
				if e.Account != "a" {
					t.Errorf("charged %q, only the answering account may be", e.Account)
				}
			}
		})
	}
}

func wants(act action, account string, after time.Duration) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		if d.act != act || act == actRetry && d.account != account || d.after != after {
			t.Errorf("got act %v account %q after %v", d.act, d.account, d.after)
		}
		if len(d.events) != 0 || d.flag != nil {
			t.Errorf("learned %+v %+v, want nothing", d.events, d.flag)
		}
	}
}

func fails(code Code) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		if d.act != actFail || d.code != code {
			t.Errorf("got act %v code %q, want %q", d.act, d.code, code)
		}
	}
}

func failsAt(code Code, in time.Duration) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		fails(code)(t, d, p)
		if got := d.retryAt.Sub(decideNow); got != in {
			t.Errorf("told %v, want %v", got, in)
		}
	}
}

func waits(in time.Duration) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		if d.act != actRetry || !d.waiting || d.after != in || !p.waitedPool {
			t.Errorf("got %+v", d)
		}
	}
}

func flags(act action, kind pool.FlagKind) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		if d.act != act || d.flag == nil || d.flag.Kind != kind {
			t.Errorf("got act %v flag %+v", d.act, d.flag)
		}
		if act == actRetry && d.account != "b" {
			t.Errorf("goes on with %q, want b", d.account)
		}
	}
}

func blocks(act action, account string, kind pool.BlockKind, in time.Duration) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		if d.act != act || d.account != account {
			t.Errorf("got act %v account %q", d.act, d.account)
		}
		if b := blockOf(d); b == nil || b.Kind != kind || b.Until.Sub(decideNow) != in || b.Model != "" {
			t.Errorf("got block %+v", b)
		}
	}
}

func blocksModel(act action, account, model string) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		if d.act != act || d.account != account {
			t.Errorf("got act %v account %q", d.act, d.account)
		}
		if b := blockOf(d); b == nil || b.Kind != pool.BlockEntitlement || b.Model != model || b.Until.Sub(decideNow) != 24*time.Hour {
			t.Errorf("got block %+v", b)
		}
	}
}

// named is a quota answer whose reset belongs to this window.
func named(window string) outcome {
	return outcome{answer: response.Outcome{Class: response.ClassQuota, Status: 429, Until: decideNow.Add(time.Hour), Limit: window, ActiveLimit: window}}
}

func blocksWindow(window, model string, kind pool.BlockKind) func(*testing.T, decision, progress) {
	return func(t *testing.T, d decision, p progress) {
		t.Helper()
		if d.act != actRetry || d.account != "b" {
			t.Errorf("got act %v account %q", d.act, d.account)
		}
		if b := blockOf(d); b == nil || b.Window != window || b.Model != model || b.Kind != kind {
			t.Errorf("got block %+v", b)
		}
	}
}

func blockOf(d decision) *pool.Block {
	for _, e := range d.events {
		if e.Block != nil {
			return e.Block
		}
	}
	return nil
}
