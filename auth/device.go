package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"codex-rota/logging"
)

// defaultInterval is how often to ask when the issuer does not say
// (FACTS-upstream 1).
const defaultInterval = 5 * time.Second

// maxAnswer is as much of a device endpoint's answer as is read.
const maxAnswer = 64 << 10

// deviceCode is what a device login begins with.
type deviceCode struct {
	id       string
	userCode string
	interval time.Duration
	expires  time.Time
}

// StartDevice asks for a code that the person types on another device, and then
// asks whether it was approved until it was, or is too old: 15 minutes at most.
// The login lives in ctx. Its error is ErrDeviceDisabled, or an *ExchangeError.
func (c *Client) StartDevice(ctx context.Context) (*Login, error) {
	code, err := c.requestDeviceCode(ctx)
	if err != nil {
		return nil, err
	}
	l := newLogin()
	l.URL, l.UserCode, l.ExpiresAt = c.endpoint("/codex/device"), code.userCode, code.expires
	life, cancel := context.WithCancelCause(ctx)
	l.cancel = cancel
	waiting, stopWaiting := context.WithTimeoutCause(life, code.expires.Sub(c.now()), ErrLoginExpired)
	go func() {
		defer close(l.gone)
		defer cancel(nil)
		defer stopWaiting()
		grant, err := c.awaitApproval(waiting, code)
		if err == nil {
			close(l.taken)
			l.tokens, err = c.redeem(ctx, logging.NewSecret(grant.Code), logging.NewSecret(grant.Verifier), c.endpoint("/deviceauth/callback"))
		}
		l.err = err
		close(l.closed)
		close(l.decided)
		close(l.done)
	}()
	return l, nil
}

func (c *Client) requestDeviceCode(ctx context.Context) (deviceCode, error) {
	a, err := c.postJSON(ctx, "/api/accounts/deviceauth/usercode", struct {
		ClientID string `json:"client_id"`
	}{c.clientID()})
	switch {
	case err != nil:
		return deviceCode{}, err
	case a.status == http.StatusNotFound:
		return deviceCode{}, ErrDeviceDisabled
	case a.status != http.StatusOK:
		return deviceCode{}, a.failure()
	}
	code, ok := readDeviceCode(a.body, a.at)
	if !ok {
		return deviceCode{}, a.failure()
	}
	return code, nil
}

// readDeviceCode reads the issuer's answer, which has been seen with other
// spellings, and with numbers in quotes. A code without a time, or with one that
// is no help, lives as long as we wait.
func readDeviceCode(body []byte, at time.Time) (deviceCode, bool) {
	var a struct {
		ID        string          `json:"device_auth_id"`
		UserCode  string          `json:"user_code"`
		Usercode  string          `json:"usercode"`
		Interval  json.RawMessage `json:"interval"`
		ExpiresAt json.RawMessage `json:"expires_at"`
		ExpiresIn json.RawMessage `json:"expires_in"`
	}
	if json.Unmarshal(body, &a) != nil {
		return deviceCode{}, false
	}
	if a.UserCode == "" {
		a.UserCode = a.Usercode
	}
	code := deviceCode{id: a.ID, userCode: showable(a.UserCode, 64), interval: defaultInterval, expires: at.Add(deviceLimit)}
	if n, ok := number(a.Interval); ok && n > 0 {
		code.interval = time.Duration(max(1, min(n, deviceLimit.Seconds())) * float64(time.Second))
	}
	expires := moment(a.ExpiresAt)
	if n, ok := number(a.ExpiresIn); ok && n > 0 && n < deviceLimit.Seconds() {
		expires = at.Add(time.Duration(n * float64(time.Second))) // whose clock is right does not matter here
	}
	if expires.After(at) && expires.Before(code.expires) {
		code.expires = expires
	}
	return code, code.id != "" && code.userCode != ""
}

// deviceGrant is what an approved code is worth. The issuer made the verifier.
type deviceGrant struct {
	Code     string `json:"authorization_code"`
	Verifier string `json:"code_verifier"`
}

// awaitApproval asks at the issuer's pace until it says yes or no, or until ctx
// ends; its error is then the context's cause. What says nothing of the code,
// the network's failures among it, is asked again.
func (c *Client) awaitApproval(ctx context.Context, code deviceCode) (deviceGrant, error) {
	question := struct {
		ID       string `json:"device_auth_id"`
		UserCode string `json:"user_code"`
	}{code.id, code.userCode}
	for {
		pause := code.interval
		a, err := c.postJSON(ctx, "/api/accounts/deviceauth/token", question)
		switch {
		case ctx.Err() != nil:
			return deviceGrant{}, context.Cause(ctx)
		case err != nil, a.status == http.StatusForbidden, a.status == http.StatusNotFound:
		case a.status == http.StatusRequestTimeout, a.status == http.StatusTooManyRequests, a.status >= 500:
			pause = max(pause, retryAfter(a.header, a.at))
		case a.status == http.StatusOK:
			var grant deviceGrant
			if json.Unmarshal(a.body, &grant) != nil || grant.Code == "" || grant.Verifier == "" {
				return deviceGrant{}, a.failure()
			}
			return grant, nil
		default:
			return deviceGrant{}, a.failure()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return deviceGrant{}, context.Cause(ctx)
		}
	}
}

// deviceAnswer is an answer of a device endpoint.
type deviceAnswer struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
}

// failure is what an answer is that cannot be used, without its text.
func (a deviceAnswer) failure() error {
	code, _ := readRefusal(a.body)
	return &ExchangeError{Status: a.status, Code: code}
}

// postJSON sends one request to the issuer, at most 30 s.
func (c *Client) postJSON(ctx context.Context, path string, question any) (deviceAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeLimit)
	defer cancel()
	body, err := json.Marshal(question)
	if err != nil {
		return deviceAnswer{}, fmt.Errorf("device login: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(path), bytes.NewReader(body))
	if err != nil {
		return deviceAnswer{}, fmt.Errorf("device login: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	x := &exchange{client: c}
	resp, err := x.httpClient().Do(req)
	if err != nil {
		return deviceAnswer{}, &ExchangeError{cause: err}
	}
	answer := deviceAnswer{status: x.status, header: resp.Header, at: x.at}
	answer.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return deviceAnswer{}, &ExchangeError{cause: err}
	}
	return answer, nil
}

// number reads a JSON number, or one in quotes.
func number(raw json.RawMessage) (float64, bool) {
	s := text(raw)
	if s == "" {
		s = string(raw)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return n, err == nil && !math.IsNaN(n)
}

// moment reads a time: epoch seconds, epoch milliseconds (from 10^10 on,
// FACTS-upstream 4) or RFC 3339. Zero for anything else.
func moment(raw json.RawMessage) time.Time {
	n, ok := number(raw)
	switch {
	case ok && n > 0 && n < 1e10:
		return time.Unix(int64(n), 0)
	case ok && n > 0 && n < 1e14:
		return time.UnixMilli(int64(n))
	}
	t, err := time.Parse(time.RFC3339, text(raw))
	if err != nil {
		return time.Time{}
	}
	return t
}

// retryAfter is the wait that an answer asks for, in seconds or as a date, 0 for
// none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if n, err := strconv.ParseFloat(value, 64); err == nil && n > 0 {
		return time.Duration(min(n, 86400) * float64(time.Second)) // a day is past every login's end
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now)
	}
	return 0
}
