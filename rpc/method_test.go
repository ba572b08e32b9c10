package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"codex-rota/plugin"
)

// TestErrorCodes holds the numbers that hosts rely on (DESIGN 3).
func TestErrorCodes(t *testing.T) {
	want := map[int64]plugin.Code{
		-32700: "", -32600: "", -32601: "", -32602: "",
		-32001: "too_large", -32002: "protocol_mismatch", -32003: "no_accounts", -32004: "login_required", -32005: "all_limited",
		-32006: "pinned_unavailable", -32007: "upstream_unreachable", -32008: "store_unreadable", -32009: "store_conflict",
		-32010: "cancelled", -32011: "internal",
	}
	got := map[int64]plugin.Code{}
	for _, e := range ErrorCodes() {
		got[e.Number] = e.Code
		if e.Meaning == "" {
			t.Errorf("%d has no meaning", e.Number)
		}
		if e.Code != "" && numberOf(e.Code) != e.Number {
			t.Errorf("%s is answered as %d, listed as %d", e.Code, numberOf(e.Code), e.Number)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := numberOf("unheard of"); got != -32011 {
		t.Errorf("an unknown code is answered as %d", got)
	}
}

// TestOwnWords holds the messages that this package makes itself against what
// OpenCode takes as a reason to ask again (FACTS-hosts 1).
func TestOwnWords(t *testing.T) {
	retried := regexp.MustCompile(`(?i)rate.?limit|429|try again|too.many|exhausted|unavailable|overloaded|timeout|timed out|ECONN`)
	s := &session{service: newFake(), log: hclog.NewNullLogger()}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errHostCancelled)
	ending, end := context.WithCancelCause(t.Context())
	end(errEnding)
	large, err := tooLarge(&idScanner{}).(*frameError).message()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		ctx  context.Context
		err  error
		code int64
	}{
		{"too large", t.Context(), large.fault, -32001},
		{"a failure without a code", t.Context(), io.ErrUnexpectedEOF, -32011},
		{"a cancelled context that is not the call's", t.Context(), context.Canceled, -32011},
		{"cancelled by the host", ctx, fmt.Errorf("waiting: %w", context.Canceled), -32010},
		{"cancelled at the end", ending, context.Canceled, -32010},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got := s.answerError(&call{message: message{method: "request/prepare"}, ctx: tc.ctx}, tc.err)
			if got.Code != tc.code {
				t.Errorf("code %d, want %d", got.Code, tc.code)
			}
			if word := retried.FindString(got.Message); word != "" {
				t.Errorf("%q has the word %q", got.Message, word)
			}
			if got.Data == nil || !bytes.Contains(*got.Data, []byte(`"response":{"status":403`)) {
				t.Error("no response for the host's caller")
			}
		})
	}
}

// TestMethods holds the table of DESIGN 3 against the one that dispatches.
func TestMethods(t *testing.T) {
	want := []string{
		"initialize", "request/prepare", "request/transform", "request/authorize", "request/response", "request/done", "response/collapse", "login/start", "login/wait", "login/paste", "login/cancel",
		"accounts/list", "accounts/update", "accounts/remove", "quota/refresh", "status", "explain", "instructions/get", "tool/run", "shutdown",
		"$/cancelRequest",
	}
	var got []string
	for _, m := range Methods() {
		got = append(got, m.Name)
		if m.Params.Kind() != reflect.Struct || m.Result.Kind() != reflect.Struct || m.Description == "" || m.call == nil {
			t.Errorf("%s is not described in full: %+v", m.Name, m)
		}
		_, body := m.Params.FieldByName("Body")
		if body != (m.Attachment != "") {
			t.Errorf("%s: param body %t, attachment %q", m.Name, body, m.Attachment)
		}
		if m.Notification != (m.Name == "request/done" || m.Name == "$/cancelRequest") {
			t.Errorf("%s: notification is %t", m.Name, m.Notification)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, m := range Notifications() {
		if m.Params == nil || !m.Notification || m.call != nil {
			t.Errorf("%s is no notification to the host: %+v", m.Name, m)
		}
	}
}
