//go:build bench

package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"codex-rota/plugin"
)

// framedHost speaks to a child in the framing of the shim, with attachments; many
// of its requests may be open at once.
type framedHost struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out sync.Mutex // held while a message is written, which may wait for the child

	mu   sync.Mutex
	last int
	open map[int]chan json.RawMessage
}

func (b *bench) frame(program string, env []string) *framedHost {
	b.t.Helper()
	h := &framedHost{cmd: exec.Command(program, "serve", "--host", "opencode"), open: map[int]chan json.RawMessage{}}
	h.cmd.Env = env
	in, err := h.cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	answers, err := h.cmd.StdoutPipe()
	if err == nil {
		err = h.cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	h.in = in
	go h.listen(bufio.NewReader(answers))
	b.ask(h, "initialize", plugin.InitializeParams{Protocol: plugin.Protocol, Host: plugin.HostInfo{Name: "opencode"}, Attachments: true}, nil)
	return h
}

// end ends the child and gives the CPU time that it had.
func (b *bench) end(h *framedHost) time.Duration {
	b.t.Helper()
	h.in.Close()
	if err := h.cmd.Wait(); err != nil {
		b.t.Fatal(err)
	}
	return h.cmd.ProcessState.UserTime() + h.cmd.ProcessState.SystemTime()
}

func (h *framedHost) listen(r *bufio.Reader) {
	for {
		head, err := r.ReadString('\n')
		if err != nil {
			return
		}
		var length int
		if _, err := fmt.Sscanf(head, "Content-Length: %d", &length); err != nil {
			continue // the blank line
		}
		if _, err := r.ReadString('\n'); err != nil {
			return
		}
		text := make([]byte, length)
		if _, err := io.ReadFull(r, text); err != nil {
			return
		}
		var m struct{ ID int }
		if json.Unmarshal(text, &m) != nil {
			continue
		}
		h.mu.Lock()
		if answer := h.open[m.ID]; answer != nil {
			answer <- text
			delete(h.open, m.ID)
		}
		h.mu.Unlock()
	}
}

// write sends one message; id 0 is a notification.
func (h *framedHost) write(id int, method string, params any, attachment []byte) error {
	type message struct {
		JSONRPC string `json:"jsonrpc"`
		ID      int    `json:"id,omitempty"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}
	text, err := json.Marshal(message{"2.0", id, method, params})
	if err != nil {
		return err
	}
	head := "Content-Length: " + strconv.Itoa(len(text)) + "\r\n"
	if len(attachment) > 0 {
		head += "Attachment-Length: " + strconv.Itoa(len(attachment)) + "\r\n"
	}
	h.out.Lock()
	defer h.out.Unlock()
	if _, err := h.in.Write(append([]byte(head+"\r\n"), text...)); err != nil {
		return err
	}
	_, err = h.in.Write(attachment)
	return err
}

// ask sends a request and fails unless its answer is a result.
func (b *bench) ask(h *framedHost, method string, params any, attachment []byte) json.RawMessage {
	answer := make(chan json.RawMessage, 1)
	h.mu.Lock()
	h.last++
	id := h.last
	h.open[id] = answer
	h.mu.Unlock()
	if err := h.write(id, method, params, attachment); err != nil {
		b.t.Errorf("%s: %v", method, err)
		return nil
	}
	select {
	case text := <-answer:
		var m struct {
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(text, &m); err != nil || m.Error != nil {
			b.t.Errorf("%s: %s", method, text)
		}
		return m.Result
	case <-time.After(time.Minute):
		b.t.Errorf("%s: no answer", method)
		return nil
	}
}

var (
	benchHeaders = []plugin.Header{{"user-agent", "opencode/1.18.33"}, {"session-id", "ses_bench"}, {"accept", "*/*"}, {"content-type", "application/json"}}
	benchAnswer  = []plugin.Header{{"content-type", "text/event-stream"}, {"x-codex-primary-used-percent", "12"}, {"x-codex-primary-window-minutes", "300"},
		{"x-codex-primary-reset-after-seconds", "7200"}, {"x-codex-plan-type", "plus"}}
)

// wholeCall is a call's three messages; the answer is a stream that went well.
func (b *bench) wholeCall(h *framedHost, name string, body []byte) {
	type prepare struct {
		Call    string          `json:"call"`
		URL     string          `json:"url"`
		Method  string          `json:"method"`
		Headers []plugin.Header `json:"headers"`
	}
	b.ask(h, "request/prepare", prepare{name, "https://api.openai.com/v1/responses", "POST", benchHeaders}, body)
	stream := benchStream(1)
	type response struct {
		Call      string          `json:"call"`
		Attempt   int             `json:"attempt"`
		Status    int             `json:"status"`
		Headers   []plugin.Header `json:"headers"`
		ElapsedMs float64         `json:"elapsedMs"`
		Offset    int             `json:"offset"`
	}
	b.ask(h, "request/response", response{name, 1, 200, benchAnswer, 1, 0}, []byte(stream[0]+stream[1]))
	type done struct {
		Call string `json:"call"`
		End  string `json:"end"`
	}
	if err := h.write(0, "request/done", done{name, "completed"}, []byte(stream[len(stream)-1])); err != nil {
		b.t.Error(err)
	}
}

// wireRows: what a call costs when so many are open at once. The floor is the
// same with the child that does nothing.
func (b *bench) wireRows() []figure {
	const calls = 1024
	body := session(100 << 10)
	r := b.newPool(20)
	env := environment(r, "http://127.0.0.1:9/backend-api") // the host calls the backend, not we
	run := func(program string, atOnce, calls int) (wall, cpu float64) {
		h := b.frame(program, env)
		var next atomic.Int64
		var all sync.WaitGroup
		began := time.Now()
		for range atOnce {
			all.Go(func() {
				for n := next.Add(1); n <= int64(calls); n = next.Add(1) {
					b.wholeCall(h, "c"+strconv.FormatInt(n, 10), body)
				}
			})
		}
		all.Wait()
		wall = float64(time.Since(began).Microseconds())
		return wall, float64(b.end(h).Microseconds())
	}
	var rows []figure
	for _, atOnce := range []int{1, 16, 256} {
		samples := map[string]map[string][]float64{"ours": {}, "floor": {}}
		for range 3 {
			for name, program := range map[string]string{"ours": b.bin, "floor": b.floor} {
				_, start := run(program, 1, 0)
				wall, cpu := run(program, atOnce, calls)
				s := samples[name]
				s["wall"], s["cpu"] = append(s["wall"], wall/calls), append(s["cpu"], (cpu-start)/calls)
			}
		}
		rows = append(rows,
			sample(fmt.Sprintf("%d at once, per call", atOnce), "µs", samples["ours"]["wall"], samples["floor"]["wall"], nil),
			sample(fmt.Sprintf("%d at once, CPU per call", atOnce), "µs", samples["ours"]["cpu"], samples["floor"]["cpu"], nil))
	}
	return rows
}
