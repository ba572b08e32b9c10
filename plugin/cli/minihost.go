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
	mu     sync.Mutex
}

// startMiniHost spawns executable serve with the environment given.
func startMiniHost(ctx context.Context, executable string, env []string, client *http.Client, stderr io.Writer) (*miniHost, error) {
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
	h := &miniHost{cmd: cmd, in: in, client: client, lines: make(chan []byte)}
	go func() {
		defer close(h.lines)
		r := bufio.NewReader(out)
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

// close ends stdin, which ends the child, and waits for it.
func (h *miniHost) close() error {
	err := h.in.Close()
	for range h.lines { // what the child still says is not for anyone
	}
	return errors.Join(err, h.cmd.Wait())
}

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

// sentCall is one attempt as the mini host saw it.
type sentCall struct {
	Account string
	Status  int
	Verdict string
}

// generate makes one model call as a host does and gives the text that the
// person would see, with every attempt.
func (h *miniHost) generate(ctx context.Context, call, model, prompt, session string) (text string, sent []sentCall, err error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "instructions": "You are a demonstration.", "store": false, "stream": true,
		"include": []string{"reasoning.encrypted_content"}, "prompt_cache_key": session,
		"input": []any{map[string]any{"role": "user", "content": []any{map[string]any{"type": "input_text", "text": prompt}}}},
	})
	if err != nil {
		return "", nil, err
	}
	var next plugin.Prepared
	err = h.ask(ctx, "request/prepare", map[string]any{"call": call, "url": "https://api.openai.com/v1/responses", "method": "POST",
		"headers": []plugin.Header{{"user-agent", "codex-rota-demo"}}, "body": string(body)}, &next)
	if err != nil {
		return "", nil, err
	}
	for attempt := 1; ; attempt++ {
		payload := body
		if next.Body != nil {
			payload = []byte(*next.Body)
		}
		started := time.Now()
		status, headers, answer, err := h.send(ctx, next, payload)
		if err != nil {
			return "", sent, err
		}
		var v plugin.Verdict
		err = h.ask(ctx, "request/response", map[string]any{"call": call, "attempt": attempt, "status": status, "headers": headers,
			"elapsedMs": time.Since(started).Milliseconds(), "body": string(answer)}, &v)
		if err != nil {
			return "", sent, err
		}
		sent = append(sent, sentCall{next.Account.Label, status, v.Verdict})
		switch v.Verdict {
		case plugin.VerdictRetry:
			next = *v.Request
			continue
		case plugin.VerdictReply:
			return "", sent, errors.New(v.Response.Body)
		}
		if status != http.StatusOK {
			return "", sent, fmt.Errorf("status %d", status)
		}
		var ignored struct{}
		err = h.ask(ctx, "request/done", map[string]any{"call": call, "end": "completed", "body": string(answer)}, &ignored)
		return streamText(answer), sent, err
	}
}

func (h *miniHost) send(ctx context.Context, p plugin.Prepared, body []byte) (int, []plugin.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for _, header := range p.Headers {
		req.Header.Add(header[0], header[1])
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, nil, nil, err
	}
	var headers []plugin.Header
	for name, values := range resp.Header {
		for _, v := range values {
			headers = append(headers, plugin.Header{name, v})
		}
	}
	return resp.StatusCode, headers, answer, nil
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
