package sim

import (
	"slices"
	"strings"
	"time"
)

const htmlPage = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"

// faultSpecs is the table of all faults.
func faultSpecs() []faultSpec {
	return slices.Concat(limitFaults(), refusalFaults(), streamFaults(), tokenFaults(), loginFaults(), gitHubFaults())
}

// on describes a fault of one kind of call.
func on(kind Kind, name, means string, strike striker) faultSpec {
	return faultSpec{FaultInfo{name, []Kind{kind}, means}, strike}
}

// limitFaults spend a quota: it stays spent until its reset.
func limitFaults() []faultSpec {
	rate := apiError(429, "tokens", "rate_limit_exceeded", "Rate limit reached for this model.")
	return []faultSpec{
		on(KindResponses, "weekly-limit", "the weekly window is spent: 429 until its reset", limitWith(429, weekly)),
		on(KindResponses, "five-hour-limit", "the 5-hour window is spent: 429 until its reset", limitWith(429, fiveHour)),
		on(KindResponses, "both-limits", "both windows are spent", limitWith(429, weekly, fiveHour)),
		on(KindResponses, "model-limit", "a named limit of the called model alone is spent", limitWith(429, Window{Name: "sim_extra", Minutes: 1440})),
		on(KindResponses, "limit-404", "the weekly window is spent, told with status 404", limitWith(404, weekly)),
		on(KindResponses, "limit-in-stream", "the weekly window is spent, told inside a 200 stream before output", streamLimit(beforeOutput)),
		on(KindResponses, "limit-after-output", "the weekly window is spent, told after output began", streamLimit(firstDelta)),
		on(KindResponses, "rate-limit-short", "429 rate limit, wait 3 s", sayWait(3, rate)),
		on(KindResponses, "rate-limit-long", "429 rate limit, wait 120 s", sayWait(120, rate)),
	}
}

// refusalFaults answer something else before any output.
func refusalFaults() []faultSpec {
	overload := `{"type":"error","error":{"type":"service_unavailable_error","code":"server_is_overloaded","message":"Our servers are currently overloaded. Please try again later."}}`
	elsewhere := func(x *exchange, _ *Fault, _ func() answer) answer {
		return answer{status: 307}.with("Location", x.s.GitHubRaw()+"/elsewhere")
	}
	return []faultSpec{
		on(KindResponses, "overload-429", "429 server_is_overloaded", say(answer{status: 429, body: overload})),
		on(KindResponses, "overload-503", "503 server_is_overloaded", say(answer{status: 503, body: overload})),
		on(KindResponses, "error-500", "500 server_error", say(apiError(500, "server_error", "server_error", "The server had an error processing your request."))),
		on(KindResponses, "html-502", "502 with an HTML page", say(answer{status: 502, body: htmlPage})),
		on(KindResponses, "unauthorized", "401 without a code, to these tokens from now on", refuseToken(answer{status: 401, body: `{"error":{"message":"Unauthorized"}}`})),
		on(KindResponses, "token-expired", "401 token_expired, to these tokens from now on", refuseToken(apiError(401, "invalid_request_error", "token_expired", "Provided authentication token is expired. Please try signing in again."))),
		on(KindResponses, "token-invalidated", "401, and every token of the seat is revoked", func(x *exchange, _ *Fault, _ func() answer) answer {
			x.seat.Revoke()
			return answer{status: 401, body: `{"error":{"message":"Encountered invalidated oauth token for user, failing request"}}`}
		}),
		on(KindResponses, "workspace-deactivated", "402 deactivated_workspace", say(answer{status: 402, body: `{"detail":{"code":"deactivated_workspace"}}`})),
		on(KindResponses, "workspace-disabled", "403 workspace_disabled", say(apiError(403, "invalid_request_error", "workspace_disabled", "This workspace is disabled."))),
		on(KindResponses, "model-not-supported", "400: the model is not for this account", func(x *exchange, _ *Fault, _ func() answer) answer {
			return detail(400, unsupportedModel(x.call.Model))
		}),
		on(KindResponses, "not-in-plan", "429 usage_not_included, which is no limit", say(apiError(429, "usage_not_included", "usage_not_included", "Codex is not included in your plan."))),
		on(KindResponses, "invalid-encrypted-content", "400 for every body that holds encrypted reasoning", func(x *exchange, _ *Fault, next func() answer) answer {
			if !x.request.hasEncrypted() {
				return next()
			}
			return apiError(400, "invalid_request_error", "invalid_encrypted_content", "The encrypted content could not be verified.")
		}),
		on(KindResponses, "context-length", "400 context_length_exceeded", say(apiError(400, "invalid_request_error", "context_length_exceeded", "Your input exceeds the context window of this model."))),
		on(KindResponses, "redirect", "307 to another origin, which must not get the token", elsewhere),
		on(KindResponses, "reset-connection", "the connection is reset before an answer", resetConnection),
		on(KindResponses, "hang-headers", "no answer until Release", held),
		on(KindUsage, "usage-500", "the usage endpoint answers 500", say(detail(500, "Internal Server Error"))),
		on(KindUsage, "usage-hang", "the usage endpoint is silent until Release", held),
		on(KindRefresh, "refresh-redirect", "307 to another origin, which must not get the token", elsewhere),
	}
}

// streamFaults change a 200 stream.
func streamFaults() []faultSpec {
	cutAt := func(from func([]event) int) striker {
		return edit(func(_ *exchange, a answer) answer {
			a.events, a.cut = a.events[:from(a.events)], true
			return a
		})
	}
	failAt := func(from func([]event) int, code, message string) striker {
		return edit(func(_ *exchange, a answer) answer {
			a.events = failing(a.events, from(a.events), streamError{Code: code, Message: message})
			return a
		})
	}
	holdAt := func(from func([]event) int) striker {
		return edit(func(_ *exchange, a answer) answer {
			a.events[from(a.events)].hold = true
			return a
		})
	}
	return []faultSpec{
		on(KindResponses, "stream-cut", "the connection ends after the first delta", cutAt(firstDelta)),
		on(KindResponses, "stream-cut-late", "the stream stops after the first delta until Release, and the connection ends", edit(func(_ *exchange, a answer) answer {
			a.events = append(a.events[:firstDelta(a.events)], event{hold: true, raw: ": cut\n\n"})
			a.cut = true
			return a
		})),
		on(KindResponses, "stream-cut-before-output", "the connection ends before any output", cutAt(beforeOutput)),
		on(KindResponses, "failed-after-output", "response.failed after the first delta", failAt(firstDelta, "server_error", "The server had an error.")),
		on(KindResponses, "overload-in-stream", "response.failed server_is_overloaded before output", failAt(beforeOutput, "server_is_overloaded", "Our servers are currently overloaded.")),
		on(KindResponses, "rate-limit-in-stream", "response.failed rate_limit_exceeded before output", failAt(beforeOutput, "rate_limit_exceeded", "Rate limit reached for this model.")),
		on(KindResponses, "error-in-stream", "an error event before output", edit(func(_ *exchange, a answer) answer {
			a.events = append(a.events[:2:2], event{data: eventData{Type: "error", Sequence: 2, Code: "server_error", Message: "The server had an error."}})
			return a
		})),
		on(KindResponses, "incomplete", "the stream ends with response.incomplete", edit(func(_ *exchange, a answer) answer {
			last := &a.events[len(a.events)-1].data
			last.Type, last.Response.Status = "response.incomplete", "incomplete"
			last.Response.Incomplete = &incompleteness{Reason: "max_output_tokens"}
			return a
		})),
		on(KindResponses, "slow-stream", "the stream stops after the first delta until Release", holdAt(firstDelta)),
		on(KindResponses, "slow-start", "the stream stops before any output until Release", holdAt(beforeOutput)),
		on(KindResponses, "split-stream", "the stream comes byte by byte, with CRLF and a comment", edit(func(_ *exchange, a answer) answer {
			text := ": keep-alive\n\n"
			for _, e := range a.events {
				text += e.text()
			}
			a.events = nil
			for _, b := range []byte(strings.ReplaceAll(text, "\n", "\r\n")) {
				a.events = append(a.events, event{raw: string([]byte{b})})
			}
			return a
		})),
		on(KindResponses, "empty-body", "200 and nothing", edit(func(_ *exchange, a answer) answer {
			a.events = []event{}
			return a
		})),
	}
}

// tokenFaults are the token endpoint's.
func tokenFaults() []faultSpec {
	return []faultSpec{
		on(KindRefresh, "refresh-500", "500", say(answer{status: 500, body: `{"error":"server_error"}`})),
		on(KindRefresh, "refresh-429", "429, wait 10 s", sayWait(10, answer{status: 429, body: `{"error":"rate_limited"}`})),
		on(KindRefresh, "refresh-hang", "no answer until Release; the token is spent only then", held),
		on(KindRefresh, "refresh-lost", "the token is spent, but the connection is reset before the answer", edit(func(_ *exchange, _ answer) answer { return answer{reset: true} })),
		on(KindRefresh, "refresh-reset", "the connection is reset and the token is not spent", resetConnection),
		on(KindRefresh, "refresh-invalid-grant", "400 invalid_grant", say(oauthError("invalid_grant", ""))),
		on(KindRefresh, "refresh-reused", "400 refresh_token_reused", say(oauthError("invalid_grant", "refresh_token_reused"))),
		on(KindRefresh, "refresh-expired", "400 refresh_token_expired", say(oauthError("invalid_grant", "refresh_token_expired"))),
		on(KindRefresh, "refresh-html", "403 with an HTML page, as a gateway sends it", say(answer{status: 403, body: htmlPage})),
		on(KindRefresh, "refresh-html-200", "200 with an HTML page, as a captive portal sends it", say(answer{status: 200, body: htmlPage})),
		on(KindRefresh, "refresh-bad-token", "200 with an access token that is no JWT; the refresh token rotates", edit(func(x *exchange, a answer) answer {
			a.body = strings.ReplaceAll(a.body, x.seat.Tokens().Access, "not-a-jwt")
			return a
		})),
		on(KindRefresh, "refresh-no-rotation", "200 without a refresh token: the old one stays", func(x *exchange, _ *Fault, next func() answer) answer {
			sent := x.form().Get("refresh_token")
			a := next()
			if a.status != 200 {
				return a
			}
			x.s.mu.Lock()
			defer x.s.mu.Unlock()
			x.seat.tokens.Refresh, x.s.refresh[sent].used = sent, false
			t := x.seat.tokens
			t.Refresh = ""
			return tokenAnswer(t, x.seat.ExpiresIn)
		}),
	}
}

// loginFaults are those of the browser and the device login.
func loginFaults() []faultSpec {
	return []faultSpec{
		on(KindAuthorize, "authorize-denied", "the person says no", func(x *exchange, _ *Fault, _ func() answer) answer {
			q := x.r.URL.Query()
			return answer{status: 302}.with("Location", q.Get("redirect_uri")+"?error=access_denied&state="+q.Get("state"))
		}),
		on(KindExchange, "exchange-hang", "no tokens until Release; the code is used only then", held),
		on(KindExchange, "exchange-500", "500 in place of the tokens", say(answer{status: 500, body: `{"error":"server_error"}`})),
		on(KindDeviceCode, "device-disabled", "404: not enabled for this workspace", say(detail(404, "Not Found"))),
		on(KindDevicePoll, "device-slow-down", "429, wait 10 s", sayWait(10, answer{status: 429, body: `{"error":"slow_down"}`})),
		on(KindDevicePoll, "device-500", "500", say(detail(500, "Internal Server Error"))),
	}
}

// gitHubFaults strike the API and the files alike, raw-… the files only.
func gitHubFaults() []faultSpec {
	both := func(name, means string, strike striker) faultSpec {
		return faultSpec{FaultInfo{name, []Kind{KindRelease, KindRaw}, means}, strike}
	}
	return []faultSpec{
		both("github-304", "304, although nothing may be cached", say(answer{status: 304})),
		both("github-500", "500", say(apiMessage(500, "Server Error"))),
		both("github-html", "200 with an HTML page, as a captive portal sends it", say(answer{status: 200, body: htmlPage})),
		both("github-hang", "no answer until Release", held),
		both("github-rate-limit", "403: the hour's requests are used up", func(x *exchange, _ *Fault, _ func() answer) answer {
			return rateHeaders(apiMessage(403, "API rate limit exceeded for 127.0.0.1."), 0, x.s.opts.Now().Add(time.Hour))
		}),
		on(KindRaw, "raw-404", "the file is not there", say(apiMessage(404, "Not Found"))),
		on(KindRaw, "raw-garbage", "200 with half a JSON file", edit(func(_ *exchange, a answer) answer {
			a.body = a.body[:len(a.body)/2]
			return a
		})),
	}
}
