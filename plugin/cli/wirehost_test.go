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
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"codex-rota/plugin"
)

// wireHost is a host for tests that look at the wire itself: many of its
// requests may be open at once, and it keeps every line that it heard.
type wireHost struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	client *http.Client
	stderr bytes.Buffer
	read   chan struct{} // closed at the end of stdout

	mu    sync.Mutex
	last  int
	open  map[int]chan wireAnswer
	heard []string
}

type wireAnswer struct {
	Result json.RawMessage `json:"result"`
	Error  *wireError      `json:"error"`
}

// wire starts serve for a host of this name.
func (r *rig) wire(hostName string, env ...string) *wireHost {
	r.t.Helper()
	cmd := exec.Command(binary, "serve", "--host", hostName)
	h := &wireHost{cmd: cmd, client: httpClient(), open: map[int]chan wireAnswer{}, read: make(chan struct{})}
	cmd.Env, cmd.Stderr = r.env(os.Environ(), env...), &h.stderr
	var out io.ReadCloser
	var err error
	if h.in, err = cmd.StdinPipe(); err == nil {
		out, err = cmd.StdoutPipe()
	}
	r.witness.watch(cmd)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	go h.listen(io.TeeReader(out, r.witness.hear("stdout of serve", saysProtocol)))
	return h
}

func (h *wireHost) listen(out io.Reader) {
	defer close(h.read)
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		var m struct {
			ID *int `json:"id"`
			wireAnswer
		}
		if err := json.Unmarshal(line, &m); err != nil {
			m.Error = &wireError{Message: fmt.Sprintf("an answer that is no JSON: %v", err)}
		}
		h.mu.Lock()
		h.heard = append(h.heard, string(line))
		if m.ID != nil && h.open[*m.ID] != nil {
			h.open[*m.ID] <- m.wireAnswer
			delete(h.open, *m.ID)
		}
		h.mu.Unlock()
	}
}

// close ends stdin and waits for the process.
func (h *wireHost) close(t *testing.T) {
	t.Helper()
	h.in.Close()
	<-h.read
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("serve: %v\n%s", err, h.stderr.String())
	}
}

func (h *wireHost) ask(ctx context.Context, method string, params, result any) error {
	answer := make(chan wireAnswer, 1)
	h.mu.Lock()
	h.last++
	id := h.last
	h.open[id] = answer
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err == nil {
		_, err = h.in.Write(append(line, '\n'))
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case a := <-answer:
		if a.Error != nil {
			return a.Error
		}
		return json.Unmarshal(a.Result, result)
	case <-h.read:
		return errors.New("codex-rota serve ended")
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// wireResult is how a call ended for the person: with one of the three.
type wireResult struct {
	delivered bool   // an answer, or an error of the upstream's
	status    int    // of what was delivered
	text      string // of the stream that was delivered
	code      string // of our own error
	accounts  []string
	verdicts  []string
	headers   []plugin.Header // the last that were prepared
	attempts  []wireAttempt
}

// wireAttempt is one try of a call: when the host began to ask for its request,
// and when it had heard the verdict on its answer.
type wireAttempt struct {
	account              string
	asked, judged, heard time.Time // judged: when the host began to ask for that verdict
}

// send makes a call as the shim does: it follows no redirect, shows a stream
// chunk by chunk until it is decided, and waits for nothing.
func (h *wireHost) send(ctx context.Context, name, session string) (out wireResult, err error) {
	body, err := json.Marshal(map[string]any{"model": demoModel, "instructions": "i", "store": false, "stream": true,
		"include": []string{"reasoning.encrypted_content"}, "prompt_cache_key": session,
		"input": []any{
			map[string]any{"type": "reasoning", "summary": []any{}, "encrypted_content": "gAAAAA-" + session},
			map[string]any{"role": "user", "content": []any{map[string]any{"type": "input_text", "text": name}}}}})
	if err != nil {
		return out, err
	}
	var next plugin.Prepared
	asked := time.Now()
	err = h.ask(ctx, "request/prepare", map[string]any{"call": name, "url": "https://api.openai.com/v1/responses", "method": "POST",
		"headers": []plugin.Header{{"session-id", session}}, "body": string(body)}, &next)
	for attempt := 1; err == nil; attempt++ {
		out.accounts, out.headers = append(out.accounts, next.Account.Label), next.Headers
		out.attempts = append(out.attempts, wireAttempt{account: next.Account.Label, asked: asked})
		this := &out.attempts[attempt-1]
		payload := string(body)
		if next.Body != nil {
			payload = *next.Body
		}
		var v plugin.Verdict
		var tail string
		if v, tail, err = h.attempt(ctx, name, attempt, next, payload, &out); err != nil {
			break
		}
		this.heard, asked = time.Now(), this.judged
		out.verdicts = append(out.verdicts, v.Verdict)
		switch v.Verdict {
		case plugin.VerdictRetry:
			next = *v.Request
			continue
		case plugin.VerdictReply:
			out.code = codeOf(&refusalError{*v.Response})
			if strings.Contains(v.Response.Body, `"usage_limit_reached"`) { // so Codex hears it
				out.code = "all_limited"
			}
			return out, nil
		}
		out.delivered = true
		return out, h.tell("request/done", map[string]any{"call": name, "end": "completed", "body": tail})
	}
	var wire *wireError
	if errors.As(err, &wire) && wire.Data.Code != "" {
		out.code = wire.Data.Code
		return out, nil
	}
	return out, fmt.Errorf("call %s: %w", name, err)
}

// tell sends a notification.
func (h *wireHost) tell(method string, params any) error {
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err = h.in.Write(append(line, '\n'))
	return err
}

func (h *wireHost) attempt(ctx context.Context, name string, attempt int, p plugin.Prepared, payload string, out *wireResult) (v plugin.Verdict, tail string, err error) {
	judge := func(params map[string]any) error {
		params["call"], params["attempt"], params["elapsedMs"] = name, attempt, 1
		v = plugin.Verdict{}
		out.attempts[attempt-1].judged = time.Now()
		return h.ask(ctx, "request/response", params, &v)
	}
	broken := func() error {
		return judge(map[string]any{"transportError": map[string]string{"kind": "reset", "message": "ECONNRESET"}})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader([]byte(payload)))
	if err != nil {
		return v, "", err
	}
	req.GetBody = nil // net/http must not repeat it by itself
	for _, header := range p.Headers {
		req.Header.Add(header[0], header[1])
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return v, "", broken()
	}
	defer resp.Body.Close()
	head := map[string]any{"status": resp.StatusCode}
	var headers []plugin.Header
	for key, values := range resp.Header {
		for _, value := range values {
			headers = append(headers, plugin.Header{key, value})
		}
	}
	head["headers"] = headers
	out.status = resp.StatusCode
	if resp.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if err != nil {
			return v, "", broken()
		}
		head["body"] = string(b)
		return v, string(b), judge(head)
	}
	var seen []byte
	chunk := make([]byte, 512)
	for v.Verdict == "" || v.Verdict == plugin.VerdictMore {
		n, rerr := resp.Body.Read(chunk)
		if rerr != nil && rerr != io.EOF {
			return v, "", broken()
		}
		head["offset"], head["body"] = len(seen), string(chunk[:n])
		seen = append(seen, chunk[:n]...)
		if err := judge(head); err != nil {
			return v, "", err
		}
		if rerr == io.EOF && v.Verdict == plugin.VerdictMore {
			v.Verdict = plugin.VerdictDeliver
		}
	}
	if v.Verdict == plugin.VerdictDeliver {
		rest, _ := io.ReadAll(resp.Body) // a stream that is cut after its verdict stays as it is
		seen = append(seen, rest...)
		out.text = streamText(seen)
	}
	return v, string(seen), nil
}
