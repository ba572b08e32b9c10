package plugin

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
	"codex-rota/plugin/response"
)

// TestLongRetryAfterIsKeptFromOpenCode: it would sleep for days.
func TestLongRetryAfterIsKeptFromOpenCode(t *testing.T) {
	for _, test := range []struct {
		name, host string
		wait       string
		drop       []string
	}{
		{"days, for OpenCode", HostOpenCode, "259200", []string{"Retry-After"}},
		{"seconds, for OpenCode", HostOpenCode, "20", nil},
		{"days, for a host that keeps its head", "other", "259200", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newServiceRig(t, 1, rigOptions{})
			if _, err := r.Initialize(t.Context(), InitializeParams{Protocol: Protocol, Host: HostInfo{Name: test.host}}); err != nil {
				t.Fatal(err)
			}
			r.prepare("1", "s")
			v := r.respond("1", 503, `{}`, Header{"Retry-After", test.wait}, Header{"x-request-id", "1"})
			if r.wantDeliver(v); !slices.Equal(v.DropHeaders, test.drop) {
				t.Errorf("drops %q, want %q", v.DropHeaders, test.drop)
			}
		})
	}
}

// TestLongOverloadIsNotWaitedFor: a hint of minutes is the host's to act on, not
// a silent wait of ours.
func TestLongOverloadIsNotWaitedFor(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{})
	r.prepare("1", "s")
	if v := r.respond("1", 503, "", Header{"retry-after", "250"}); v.AfterMs != nil {
		t.Errorf("a silent wait of %d ms", *v.AfterMs)
	}
}

// TestNamedLimitBlocksItsModelOnly: the account goes on with every other model.
func TestNamedLimitBlocksItsModelOnly(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{settings: func(s *Settings) { s.MaxWaitSeconds = 0 }})
	r.prepare("1", "s")
	v := r.respond("1", 429, limited(time.Hour), Header{"x-codex-active-limit", "gpt_5_5"})
	r.wantReply(v, CodeAllLimited)
	if _, err := r.try("2", "s", body("gpt-5.5")); codeOf(err) != CodeAllLimited {
		t.Errorf("the limited model: %v", err)
	}
	if _, err := r.try("3", "s", body("gpt-6-luna")); err != nil {
		t.Errorf("another model: %v", err)
	}
}

// TestRefusedModelOfUnreadCall: of a call without a readable body the model is
// not known. Its refusal must not cost the accounts every other model.
func TestRefusedModelOfUnreadCall(t *testing.T) {
	for name, refusal := range map[string]string{
		"the refusal names it": `{"detail":"The 'gpt-9' model is not supported when using Codex with a ChatGPT account."}`,
		"nobody names it":      `{"error":{"code":"model_not_found"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newServiceRig(t, 2, rigOptions{settings: func(s *Settings) { s.MaxWaitSeconds = 0 }})
			if _, err := r.Authorize(t.Context(), AuthorizeParams{Call: callID("1"), URL: modelURL}); err != nil {
				t.Fatal(err)
			}
			for {
				v := r.respond("1", 400, refusal)
				if v.Verdict != VerdictRetry {
					r.wantDeliver(v)
					break
				}
			}
			r.wantStates("ready", "ready")
			r.prepare("2", "s")
		})
	}
}

// TestBlockedMeanwhile: an account that another call found limited gets nothing
// more, not the retry of a call that was under way either.
func TestBlockedMeanwhile(t *testing.T) {
	r := newServiceRig(t, 2, rigOptions{})
	r.prepare("1", "s")
	r.prepare("2", "s")
	r.wantRetry(r.respond("1", 429, limited(24*time.Hour)), 1)
	r.wantRetry(r.report(ResponseParams{Call: callID("2"), TransportError: &TransportError{Kind: "reset"}}, ""), 1)
}

// TestAbortLearnsNothing: neither the abort nor what stood in the stream by then.
func TestAbortLearnsNothing(t *testing.T) {
	r := newServiceRig(t, 2, rigOptions{})
	r.prepare("1", "s")
	before := r.book.Facts(r.ids[0])
	r.wantDeliver(r.report(ResponseParams{Call: callID("1"), TransportError: &TransportError{Kind: "aborted"}}, ""))
	wantSame(t, before, r.book.Facts(r.ids[0]))
	r.wantStates("ready", "ready")
}

// TestRetryTimeouts: the next attempt gets what is left of the call's 280 s, less
// the wait before it.
func TestRetryTimeouts(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{settings: func(s *Settings) { s.MaxWaitSeconds = 200 }})
	if got := r.prepare("1", "s").Timeouts.HeadersMs; got != 280_000 {
		t.Errorf("the first attempt may take %d ms", got)
	}
	r.clock.add(100 * time.Second)
	v := r.respond("1", 429, limited(40*time.Second))
	r.wantRetry(v, 0)
	if *v.AfterMs != 40_000 || v.Request.Timeouts.HeadersMs != 140_000 {
		t.Errorf("after %d ms the headers may take %d ms, want 40000 and 140000", *v.AfterMs, v.Request.Timeouts.HeadersMs)
	}
	if told := r.heard(); !slices.Equal(told, []string{"warning: Every ChatGPT account is at its limit; this call goes on at 12:02:20"}) {
		t.Errorf("the person is told %q", told)
	}
}

// TestStreamByOffset: the host says where its bytes belong. What was told before
// counts once; after a gap output may have begun, so nothing is replayed.
func TestStreamByOffset(t *testing.T) {
	const stream = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n" +
		"event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"usage_limit_reached\"}}}\n\n"
	for _, test := range []struct {
		name   string
		pieces [][2]int // from, to
		want   []string
	}{
		{"in order", [][2]int{{0, 60}, {60, len(stream)}}, []string{VerdictMore, VerdictRetry}},
		{"told again", [][2]int{{0, 60}, {0, 60}, {60, len(stream)}}, []string{VerdictMore, VerdictMore, VerdictRetry}},
		{"overlapping", [][2]int{{0, 60}, {30, len(stream)}}, []string{VerdictMore, VerdictRetry}},
		{"a gap", [][2]int{{0, 60}, {76, len(stream)}}, []string{VerdictMore, VerdictDeliver}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newServiceRig(t, 2, rigOptions{})
			r.prepare("1", "s")
			var got []string
			for _, piece := range test.pieces {
				v := r.report(ResponseParams{Call: callID("1"), Status: 200, Offset: int64(piece[0])}, stream[piece[0]:piece[1]])
				got = append(got, v.Verdict)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("verdicts %v, want %v", got, test.want)
			}
		})
	}
}

// TestRenewalRefused: a 401 whose renewal is refused goes on with the next
// account, unless tokens were revoked: then no other account is presented.
func TestRenewalRefused(t *testing.T) {
	for _, test := range []struct {
		code   string
		verify func(r *serviceRig, v *Verdict)
	}{
		{"invalid_grant", func(r *serviceRig, v *Verdict) { r.wantRetry(v, 1) }},
		{"refresh_token_reused", func(r *serviceRig, v *Verdict) { r.wantReply(v, CodeLoginRequired) }},
	} {
		t.Run(test.code, func(t *testing.T) {
			r := newServiceRig(t, 2, rigOptions{refresh: func(context.Context, logging.Secret) (auth.Tokens, error) {
				return auth.Tokens{}, &auth.RefreshError{Status: http.StatusBadRequest, Code: test.code}
			}})
			r.prepare("1", "s")
			test.verify(r, r.respond("1", 401, `{"error":{"code":"token_expired"}}`))
			r.wantStates("needs_login", "ready")
			if told := r.heard(); !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "error: n0 left the pool") }) {
				t.Errorf("the person is told %q", told)
			}
		})
	}
}

// TestRenewalWithBrokenStore: the accounts file breaks while a call is under way.
func TestRenewalWithBrokenStore(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{})
	r.prepare("1", "s")
	if err := os.WriteFile(filepath.Join(r.dir, "openai-codex-accounts.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.wantReply(r.respond("1", 401, `{"error":{"code":"token_expired"}}`), CodeStoreUnreadable)
}

// TestLimitedCountsOnlyTheLimited: accounts that need a login have not reached a
// limit, and the person is not told so.
func TestLimitedCountsOnlyTheLimited(t *testing.T) {
	r := newServiceRig(t, 3, rigOptions{})
	for _, id := range r.ids[1:] {
		if err := r.Logout(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	r.prepare("1", "s")
	v := r.respond("1", 429, limited(24*time.Hour))
	if r.wantReply(v, CodeAllLimited); strings.Contains(v.Response.Body, "all 3") {
		t.Errorf("two of the three only need a login: %s", v.Response.Body)
	}
}

// TestRepeats: what a host repeats by itself is left to it, and nothing else is.
func TestRepeats(t *testing.T) {
	after := []Header{{"Retry-After", "1"}}
	for _, test := range []struct {
		name, host string
		status     int
		inStream   bool
		headers    []Header
		want       bool
	}{
		{"OpenCode, 5xx", HostOpenCode, 503, false, nil, true},
		{"OpenCode, 429", HostOpenCode, 429, false, nil, true},
		{"OpenCode, in the stream", HostOpenCode, 200, true, nil, true},
		{"Codex, 5xx", HostCodex, 503, false, nil, true},
		{"Codex, 429 that says when", HostCodex, 429, false, after, true},
		{"Codex, 429 that does not", HostCodex, 429, false, nil, false},
		{"Codex, in the stream", HostCodex, 200, true, after, false},
		{"any other", "", 503, false, after, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := response.Outcome{Class: response.ClassOverload, Status: test.status, InStream: test.inStream}
			if got := repeats(test.host, answer, test.headers); got != test.want {
				t.Errorf("%t", got)
			}
		})
	}
}
