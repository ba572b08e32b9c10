package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"codex-rota/plugin"
)

// miniHost is the smallest host there is: it spawns `serve`, speaks the wire in
// its line framing, and sends calls as the shim does. demo and self-test use it.
type miniHost struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	client *http.Client
	nextID int
	lines  chan []byte
	toasts []string
	pause  func(ctx context.Context, d time.Duration) error // what a retry's afterMs means
	mu     sync.Mutex
	end    func() error
}

// startMiniHost spawns executable serve with the environment given. heard, when
// not nil, gets a copy of all that it says on stdout.
func startMiniHost(ctx context.Context, executable string, env []string, client *http.Client, stderr, heard io.Writer) (*miniHost, error) {
	cmd := exec.CommandContext(ctx, executable, "serve")
	cmd.Env, cmd.Stderr = env, stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s serve: %w", executable, err)
	}
	h := &miniHost{cmd: cmd, in: in, client: client, lines: make(chan []byte), pause: pause}
	h.end = sync.OnceValue(func() error {
		err := h.in.Close()
		for range h.lines { // what the child still says is not for anyone
		}
		return errors.Join(err, h.cmd.Wait())
	})
	var from io.Reader = out
	if heard != nil {
		from = io.TeeReader(out, heard)
	}
	go func() {
		defer close(h.lines)
		r := bufio.NewReader(from)
		for {
			line, err := r.ReadBytes('\n')
			if len(line) > 0 {
				select {
				case h.lines <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return h, nil
}

// close ends stdin, which ends the child, and waits for it. It may be called
// again, and says the same then.
func (h *miniHost) close() error { return h.end() }

type wireError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    struct {
		Code     string               `json:"code"`
		Response *plugin.HostResponse `json:"response"`
	} `json:"data"`
}

func (e *wireError) Error() string { return e.Message }

// ask sends one request and reads until its answer; toasts on the way are kept.
func (h *miniHost) ask(ctx context.Context, method string, params, result any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nextID++
	id := h.nextID
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		return err
	}
	if _, err := h.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", method, ctx.Err())
		case line, ok := <-h.lines:
			if !ok {
				return fmt.Errorf("%s: codex-rota serve ended", method)
			}
			done, err := h.read(line, id, result)
			if done || err != nil {
				return err
			}
		}
	}
}

func (h *miniHost) read(line []byte, id int, result any) (done bool, err error) {
	var m struct {
		ID     *int               `json:"id"`
		Method string             `json:"method"`
		Params plugin.ToastParams `json:"params"`
		Result json.RawMessage    `json:"result"`
		Error  *wireError         `json:"error"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return true, fmt.Errorf("an answer that is no JSON: %w", err)
	}
	if m.Method == "host/toast" {
		h.toasts = append(h.toasts, m.Params.Message)
	}
	if m.ID == nil || *m.ID != id {
		return false, nil
	}
	if m.Error != nil {
		return true, m.Error
	}
	return true, json.Unmarshal(m.Result, result)
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// sentCall is one attempt as the mini host saw it.
type sentCall struct {
	Account string
	Status  int
	Verdict string
}

// hostCall is one model call to make.
type hostCall struct {
	name    string
	session string
	body    []byte // nil: demoBody
}

func demoBody(session string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"model": demoModel, "instructions": "You are a demonstration.", "store": false, "stream": true,
		"include": []string{"reasoning.encrypted_content"}, "prompt_cache_key": session,
		"input": []any{map[string]any{"role": "user", "content": []any{map[string]any{"type": "input_text", "text": demoPrompt}}}},
	})
}

// refusalError is what the host would show in place of an answer.
type refusalError struct{ response plugin.HostResponse }

func (e *refusalError) Error() string { return e.response.Body }

// generate makes one model call as a host does and gives the text that the
// person would see, with every attempt.
func (h *miniHost) generate(ctx context.Context, c hostCall) (text string, sent []sentCall, err error) {
	body := c.body
	if body == nil {
		if body, err = demoBody(c.session); err != nil {
			return "", nil, err
		}
	}
	var next plugin.Prepared
	err = h.ask(ctx, "request/prepare", map[string]any{"call": c.name, "url": "https://api.openai.com/v1/responses", "method": "POST",
		"headers": []plugin.Header{{"user-agent", "codex-rota-demo"}, {"session-id", c.session}}, "body": string(body)}, &next)
	for attempt := 1; err == nil; attempt++ {
		payload := body
		if next.Body != nil {
			payload = []byte(*next.Body)
		}
		started := time.Now()
		answer, err := h.send(ctx, next, payload)
		if err != nil {
			return "", sent, err
		}
		var v plugin.Verdict
		err = h.ask(ctx, "request/response", map[string]any{"call": c.name, "attempt": attempt, "status": answer.status, "headers": answer.headers,
			"elapsedMs": time.Since(started).Milliseconds(), "body": string(answer.body)}, &v)
		if err != nil {
			return "", sent, err
		}
		sent = append(sent, sentCall{next.Account.Label, answer.status, v.Verdict})
		switch v.Verdict {
		case plugin.VerdictRetry:
			next = *v.Request
			if err := h.pause(ctx, time.Duration(*v.AfterMs)*time.Millisecond); err != nil {
				return "", sent, err
			}
			continue
		case plugin.VerdictReply:
			return "", sent, &refusalError{*v.Response}
		}
		var nothing plugin.Empty
		err = h.ask(ctx, "request/done", map[string]any{"call": c.name, "end": "completed", "body": string(answer.body)}, &nothing)
		if err == nil && answer.status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", answer.status, answer.body)
		}
		return streamText(answer.body), sent, err
	}
	return "", nil, err
}

type hostAnswer struct {
	status  int
	headers []plugin.Header
	body    []byte
}

func (h *miniHost) send(ctx context.Context, p plugin.Prepared, body []byte) (*hostAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, header := range p.Headers {
		req.Header.Add(header[0], header[1])
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer := &hostAnswer{status: resp.StatusCode}
	if answer.body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	for name, values := range resp.Header {
		for _, v := range values {
			answer.headers = append(answer.headers, plugin.Header{name, v})
		}
	}
	return answer, nil
}

// streamText joins the text deltas of a stream.
func streamText(stream []byte) string {
	var text strings.Builder
	for line := range strings.Lines(string(stream)) {
		data, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "data:")
		var event struct{ Type, Delta string }
		if ok && json.Unmarshal([]byte(data), &event) == nil && event.Type == "response.output_text.delta" {
			text.WriteString(event.Delta)
		}
	}
	return text.String()
}
