package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// largestCodexLine bounds one message; Codex's own config may travel in one.
const largestCodexLine = 16 << 20

// appServer is one `codex app-server`: JSON-RPC, a message a line (FACTS-hosts 2).
type appServer struct {
	program string
	cmd     *exec.Cmd
	in      io.WriteCloser
	lines   chan []byte // what it says; closed when it says no more
	ended   chan struct{}
	said    bytes.Buffer // its stderr; whole once it has ended
	id      int
}

func (c *Codex) startAppServer(ctx context.Context, scratch, program string) (*appServer, error) {
	// The flags hold for this process alone: no plugins are looked for, and the
	// provider of the config, with its token command, is not started.
	cmd := exec.CommandContext(ctx, program, "app-server", "-c", "features.plugins=false", "-c", `model_provider="openai"`)
	cmd.Dir, cmd.Env, cmd.WaitDelay = scratch, codexScratchEnv(c.environ, scratch), time.Second
	s := &appServer{program: program, cmd: cmd, lines: make(chan []byte), ended: make(chan struct{})}
	cmd.Stderr = &s.said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.in = in
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the Codex CLI: %w", err)
	}
	go s.listen(out)
	return s, nil
}

// listen hears the process out: what nobody waits for must not block it.
func (s *appServer) listen(out io.Reader) {
	defer close(s.lines)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, largestCodexLine)
	for lines.Scan() {
		select {
		case s.lines <- bytes.Clone(lines.Bytes()):
		case <-s.ended:
		}
	}
}

// codexScratchEnv is the environment less what leads Codex to the person's own
// files or credentials.
func codexScratchEnv(environ []string, scratch string) []string {
	var out []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if name != "HOME" && !strings.HasPrefix(name, "CODEX_") && !strings.HasPrefix(name, "OPENAI_") {
			out = append(out, entry)
		}
	}
	return append(out, "HOME="+scratch, "CODEX_HOME="+scratch)
}

// end closes the process's input, which ends it, and waits for that; at the end
// of its context it is killed. What it answered counts, and not how it ended.
func (s *appServer) end() {
	close(s.ended)
	_ = s.in.Close()
	_ = s.cmd.Wait()
}

// codexRefusal is an error that the app server answered. Kind is Codex's word for
// why a write was refused, "" when the request itself was not understood.
type codexRefusal struct {
	code    int
	kind    string
	message string
}

func (e *codexRefusal) Error() string { return strings.Join(strings.Fields(e.message), " ") }

// understood tells a refused config from a request that Codex has no word for.
func (e *codexRefusal) understood() bool {
	const methodNotFound, invalidRequest = -32601, -32600
	return e.code != methodNotFound && (e.code != invalidRequest || e.kind != "")
}

// errCodexSilent says that the process ended, or was ended, without an answer.
var errCodexSilent = errors.New("it ended without an answer")

func (s *appServer) call(ctx context.Context, method string, params, result any) error {
	s.id++
	message, err := json.Marshal(struct {
		ID     int    `json:"id"`
		Method string `json:"method"`
		Params any    `json:"params"`
	}{s.id, method, params})
	if err != nil {
		return err
	}
	if _, err := s.in.Write(append(message, '\n')); err != nil {
		return errCodexSilent
	}
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				return errCodexSilent
			}
			if done, err := s.take(line, result); done || err != nil {
				return err
			}
		case <-ctx.Done():
			return errCodexSilent
		}
	}
}

// take reads one line; done says that it was the answer to the last call.
func (s *appServer) take(line []byte, result any) (done bool, err error) {
	var answer struct {
		ID     *int            `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Data    struct {
				Kind string `json:"config_write_error_code"`
			} `json:"data"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return false, fmt.Errorf("it does not speak JSON-RPC: %w", err)
	}
	if answer.ID == nil || *answer.ID != s.id {
		return false, nil // a notification
	}
	if e := answer.Error; e != nil {
		return true, &codexRefusal{code: e.Code, kind: e.Data.Kind, message: e.Message}
	}
	return true, json.Unmarshal(answer.Result, result)
}

func (s *appServer) initialize(ctx context.Context) error {
	type info struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	type capabilities struct {
		Experimental bool `json:"experimentalApi"`
	}
	err := s.call(ctx, "initialize", struct {
		Client       info         `json:"clientInfo"`
		Capabilities capabilities `json:"capabilities"`
	}{info{codexName, "1"}, capabilities{true}}, &struct{}{})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(s.in, `{"method":"initialized"}`+"\n"); err != nil {
		return errCodexSilent
	}
	return nil
}

// write makes the edits all together or not at all.
func (s *appServer) write(ctx context.Context, edits []CodexSetting) (overridden string, err error) {
	type edit struct {
		Key   string `json:"keyPath"`
		Value any    `json:"value"`
		Merge string `json:"mergeStrategy"`
	}
	params := struct {
		Edits []edit `json:"edits"`
	}{}
	for _, e := range edits {
		params.Edits = append(params.Edits, edit{e.Key, e.Value, "replace"})
	}
	var result struct {
		Overridden *struct {
			Message string `json:"message"`
			Layer   struct {
				Name struct {
					Type string `json:"type"`
				} `json:"name"`
			} `json:"overridingLayer"`
		} `json:"overriddenMetadata"`
	}
	if err := s.call(ctx, "config/batchWrite", params, &result); err != nil {
		return "", err
	}
	// Our own flags override model_provider for this process.
	if o := result.Overridden; o != nil && o.Layer.Name.Type != "sessionFlags" {
		return o.Message, nil
	}
	return "", nil
}
