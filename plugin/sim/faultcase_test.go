package sim_test

import (
	"slices"
	"strings"

	"codex-rota/plugin/sim"
)

const encryptedBody = `{"model":"gpt-5.5","instructions":"I","input":[{"type":"reasoning","summary":[],"encrypted_content":"x"}],"include":["reasoning.encrypted_content"],"store":false,"stream":true}`

// faultCase says what a caller sees of a fault: the first call, struck once, and
// the call after it.
type faultCase struct {
	call   func(r *rig, seat *sim.Seat) reply
	status int    // 0: no answer
	says   string // in body or headers
	cut    bool   // the body ends too soon
	next   int    // status of the same call again
}

func plainCall(r *rig, seat *sim.Seat) reply { return r.model(seat, goodBody) }

func refreshCall(r *rig, seat *sim.Seat) reply { return r.refresh(seat.Tokens().Refresh) }

func usageCall(r *rig, seat *sim.Seat) reply {
	return r.do("GET", r.Backend()+"/wham/usage", "", modelHeaders(seat)...)
}

func releaseCall(r *rig, _ *sim.Seat) reply { return r.do("GET", r.GitHubAPI()+releasePath, "") }

func rawCall(r *rig, _ *sim.Seat) reply { return r.do("GET", r.rawURL(modelsFile), "") }

func pollCall(r *rig, _ *sim.Seat) reply { return r.poll(r.deviceStart()) }

// heldCall releases the call as soon as it is held.
func heldCall(call func(*rig, *sim.Seat) reply) func(*rig, *sim.Seat) reply {
	return func(r *rig, seat *sim.Seat) reply {
		done, before := make(chan reply), len(r.Calls())
		go func() { done <- call(r, seat) }()
		calls, err := r.Wait(r.ctx, func(calls []sim.Call) bool {
			return slices.ContainsFunc(calls[before:], func(c sim.Call) bool { return c.Held || c.End != "" })
		})
		if err != nil {
			r.t.Fatalf("no call was held: %v in %+v", err, calls)
		}
		r.Release()
		return <-done
	}
}

func faultCases() map[string]faultCase {
	m, rf := plainCall, refreshCall
	return map[string]faultCase{
		"weekly-limit":              {m, 429, `"resets_in_seconds":604800`, false, 429},
		"five-hour-limit":           {m, 429, `"resets_in_seconds":18000`, false, 429},
		"both-limits":               {m, 429, `X-Codex-Primary-Used-Percent: 100`, false, 429},
		"model-limit":               {m, 429, `X-Codex-Active-Limit: sim_extra`, false, 429},
		"limit-404":                 {m, 404, `usage_limit_reached`, false, 429},
		"limit-in-stream":           {m, 200, `"code":"usage_limit_reached"`, false, 429},
		"limit-after-output":        {m, 200, `"code":"usage_limit_reached"`, false, 429},
		"rate-limit-short":          {m, 429, `Retry-After: 3`, false, 200},
		"rate-limit-long":           {m, 429, `Retry-After: 120`, false, 200},
		"overload-429":              {m, 429, `server_is_overloaded`, false, 200},
		"overload-503":              {m, 503, `server_is_overloaded`, false, 200},
		"error-500":                 {m, 500, `"code":"server_error"`, false, 200},
		"html-502":                  {m, 502, `<html>`, false, 200},
		"unauthorized":              {m, 401, `{"error":{"message":"Unauthorized"}}`, false, 401},
		"token-expired":             {m, 401, `"token_expired"`, false, 401},
		"token-invalidated":         {m, 401, `invalidated oauth token`, false, 401},
		"workspace-deactivated":     {m, 402, `{"detail":{"code":"deactivated_workspace"}}`, false, 200},
		"workspace-disabled":        {m, 403, `workspace_disabled`, false, 200},
		"model-not-supported":       {m, 400, `The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.`, false, 200},
		"not-in-plan":               {m, 429, `usage_not_included`, false, 200},
		"invalid-encrypted-content": {func(r *rig, s *sim.Seat) reply { return r.model(s, encryptedBody) }, 400, `"invalid_encrypted_content"`, false, 200},
		"context-length":            {m, 400, `context_length_exceeded`, false, 200},
		"redirect":                  {m, 307, `/elsewhere`, false, 200},
		"reset-connection":          {m, 0, ``, false, 200},
		"hang-headers":              {heldCall(m), 200, `response.completed`, false, 200},
		"usage-500":                 {usageCall, 500, `Internal Server Error`, false, 200},
		"usage-hang":                {heldCall(usageCall), 200, `plan_type`, false, 200},

		"stream-cut":               {m, 200, `"delta":"Hello "`, true, 200},
		"stream-cut-late":          {heldCall(m), 200, `"delta":"Hello "`, true, 200},
		"stream-cut-before-output": {m, 200, `response.in_progress`, true, 200},
		"failed-after-output":      {m, 200, `"code":"server_error"`, false, 200},
		"overload-in-stream":       {m, 200, `"code":"server_is_overloaded"`, false, 200},
		"rate-limit-in-stream":     {m, 200, `"code":"rate_limit_exceeded"`, false, 200},
		"error-in-stream":          {m, 200, `event: error`, false, 200},
		"incomplete":               {m, 200, `event: response.incomplete`, false, 200},
		"slow-stream":              {heldCall(m), 200, `response.completed`, false, 200},
		"slow-start":               {heldCall(m), 200, `response.completed`, false, 200},
		"split-stream":             {m, 200, "event: response.completed\r\n", false, 200},
		"empty-body":               {m, 200, `text/event-stream`, false, 200},

		"refresh-500":           {rf, 500, `server_error`, false, 200},
		"refresh-429":           {rf, 429, `Retry-After: 10`, false, 200},
		"refresh-hang":          {heldCall(rf), 200, `rt_`, false, 200},
		"refresh-lost":          {spentCall, 0, ``, false, 400},
		"refresh-reset":         {rf, 0, ``, false, 200},
		"refresh-invalid-grant": {rf, 400, `{"error":"invalid_grant"}`, false, 200},
		"refresh-reused":        {rf, 400, `{"error":"invalid_grant","code":"refresh_token_reused"}`, false, 200},
		"refresh-expired":       {rf, 400, `refresh_token_expired`, false, 200},
		"refresh-html":          {rf, 403, `<html>`, false, 200},
		"refresh-html-200":      {rf, 200, `<html>`, false, 200},
		"refresh-bad-token":     {rf, 200, `"access_token":"not-a-jwt"`, false, 200},
		"refresh-no-rotation":   {rf, 200, `"token_type"`, false, 200},
		"refresh-redirect":      {rf, 307, `/elsewhere`, false, 200},

		"authorize-denied": {func(r *rig, _ *sim.Seat) reply { got, _ := r.authorize(nil); return got }, 302, `error=access_denied&state=` + state, false, 302},
		"exchange-hang":    {func(r *rig, seat *sim.Seat) reply { return heldCall(exchangeCall(r))(r, seat) }, 200, `rt_`, false, 200},
		"exchange-500":     {func(r *rig, seat *sim.Seat) reply { return exchangeCall(r)(r, seat) }, 500, `server_error`, false, 200},
		"device-disabled": {func(r *rig, _ *sim.Seat) reply {
			return r.postJSON(deviceCodePath, `{"client_id":"`+sim.DefaultClientID+`"}`)
		}, 404, `Not Found`, false, 200},
		"device-slow-down": {pollCall, 429, `Retry-After: 10`, false, 403},
		"device-500":       {pollCall, 500, ``, false, 403},

		"github-304":        {releaseCall, 304, ``, false, 200},
		"github-500":        {releaseCall, 500, `Server Error`, false, 200},
		"github-html":       {rawCall, 200, `<html>`, false, 200},
		"github-hang":       {heldCall(releaseCall), 200, `tag_name`, false, 200},
		"github-rate-limit": {releaseCall, 403, `X-Ratelimit-Remaining: 0`, false, 200},
		"raw-404":           {rawCall, 404, `Not Found`, false, 200},
		"raw-garbage":       {rawCall, 200, `{"models"`, false, 200},
	}
}

// exchangeCall signs in, and gives the call that exchanges the code.
func exchangeCall(r *rig) func(*rig, *sim.Seat) reply {
	_, back := r.authorize(nil)
	return func(r *rig, _ *sim.Seat) reply { return r.token(exchangeForm(back.Get("code"))) }
}

// spentCall presents the seat's first token every time.
func spentCall(r *rig, seat *sim.Seat) reply {
	for _, c := range r.Calls(sim.KindRefresh) {
		_, token, _ := strings.Cut(c.Body, "refresh_token=rt_")
		token, _, _ = strings.Cut(token, "&")
		return r.refresh("rt_" + token)
	}
	return refreshCall(r, seat)
}
