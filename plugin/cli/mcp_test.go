package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// mcpClient is an MCP client on real pipes to the built binary.
type mcpClient struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	last int
}

// mcp starts the server and introduces a client to it.
func (r *rig) mcp(env []string, args ...string) *mcpClient {
	r.t.Helper()
	c := &mcpClient{t: r.t, cmd: exec.Command(binary, append([]string{"mcp"}, args...)...)}
	c.cmd.Env, c.cmd.Stderr = r.env(os.Environ(), env...), os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.witness.watch(c.cmd)
	c.in, c.out = in, bufio.NewReader(io.TeeReader(out, r.witness.hear("stdout of mcp", saysNothing)))
	if err := c.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.cmd.Process.Kill() })
	var hello struct {
		ProtocolVersion string
		ServerInfo      struct{ Name, Version string }
	}
	c.ask("initialize", map[string]any{"protocolVersion": "2025-06-18", "capabilities": struct{}{}, "clientInfo": map[string]string{"name": "test", "version": "1"}}, &hello)
	if hello.ProtocolVersion != "2025-06-18" || hello.ServerInfo.Name != plugin.Name || hello.ServerInfo.Version != plugin.Version {
		r.t.Fatalf("the server says %+v", hello)
	}
	c.write(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

func (c *mcpClient) write(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// ask sends one request and wants its result.
func (c *mcpClient) ask(method string, params, result any) {
	c.t.Helper()
	c.last++
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.last, "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(string(line))
	text, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	answer := decode[struct {
		ID     int
		Result json.RawMessage
	}](c.t, text)
	if answer.ID != c.last || answer.Result == nil {
		c.t.Fatalf("%s %d: answered %s", method, c.last, text)
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		c.t.Fatal(err)
	}
}

// tool calls one tool and gives its text and whether it is an error.
func (c *mcpClient) tool(name, args string) (string, bool) {
	c.t.Helper()
	var result struct {
		Content []struct{ Type, Text string }
		IsError bool
	}
	c.ask("tools/call", map[string]any{"name": name, "arguments": json.RawMessage(args)}, &result)
	if len(result.Content) != 1 || result.Content[0].Type != "text" {
		c.t.Fatalf("%s: %+v", name, result)
	}
	return result.Content[0].Text, result.IsError
}

// ends wants the process to end with code 0 by itself, and nothing more on stdout.
func (c *mcpClient) ends() {
	c.t.Helper()
	killed := time.AfterFunc(30*time.Second, func() { c.cmd.Process.Kill() })
	defer killed.Stop()
	rest, err := io.ReadAll(c.out)
	if err != nil || len(rest) > 0 {
		c.t.Errorf("more on stdout: %q (%v)", rest, err)
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("mcp: %v", err)
	}
}

// TestMCPTools calls each tool through the binary: the text is that of OpenCode's
// tool, and no e-mail, upstream id or token is in it.
func TestMCPTools(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "work", Email: "someone@example.com"}, sim.Seat{Name: "home", Email: "other@example.com"})
	r.must("label", "home", "")
	c := r.mcp(nil)
	var list struct {
		Tools []struct {
			Name        string
			InputSchema struct {
				Type       string
				Properties map[string]any
			}
			Annotations map[string]bool
		}
	}
	c.ask("tools/list", struct{}{}, &list)
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if tool.InputSchema.Type != "object" || tool.Annotations["readOnlyHint"] != (tool.Name != "switch_account") || tool.Annotations["destructiveHint"] {
			t.Errorf("%+v", tool)
		}
	}
	if want := []string{"list_accounts", "quota", "switch_account", "explain"}; !slices.Equal(names, want) {
		t.Errorf("tools %q, want %q", names, want)
	}
	h, _ := r.serve("")
	for _, test := range []struct {
		name, args string
		same       string // OpenCode's tool
		want       string
		failed     bool
	}{
		{name: "list_accounts", args: `{}`, same: "codex-list", want: "ot***@example.com"},
		{name: "quota", args: `{}`, same: "codex-limits", want: "weekly"},
		{name: "quota", args: `{"account":"2"}`, same: "codex-limits", want: "ot***@example.com"},
		{name: "switch_account", args: `{"account":2}`, same: "codex-switch", want: "New sessions use ot***@example.com first"},
		{name: "explain", args: `{"model":"gpt-5.5","session":"s"}`, same: "codex-explain", want: "ot***@example.com would be used: chosen with switch"},
		{name: "switch_account", args: `{"account":"nobody"}`, same: "codex-switch", want: `no account is called "nobody"`, failed: true},
		{name: "switch_account", args: `{"account":"--clear"}`, same: "codex-switch", want: `no account is called "--clear"`, failed: true},
		{name: "switch_account", args: `{}`, want: "switch_account wants the account", failed: true},
	} {
		text, failed := c.tool(test.name, test.args)
		if failed != test.failed || !strings.Contains(text, test.want) {
			t.Errorf("%s %s: error %t, want %t and %q:\n%s", test.name, test.args, failed, test.failed, test.want, text)
		}
		if test.same != "" {
			var other plugin.ToolResult
			if err := h.ask(t.Context(), "tool/run", map[string]any{"name": test.same, "args": json.RawMessage(test.args)}, &other); err != nil {
				t.Fatal(err)
			}
			if steady(text) != steady(other.Text) {
				t.Errorf("%s and %s differ:\n%s\n%s", test.name, test.same, text, other.Text)
			}
		}
		for _, seat := range r.seats {
			for _, secret := range []string{seat.Email, seat.AccountID, seat.UserID, seat.Tokens().Access, seat.Tokens().Refresh} {
				if strings.Contains(text, secret) {
					t.Errorf("%s %s shows %q", test.name, test.args, secret)
				}
			}
		}
	}
	c.in.Close()
	c.ends()
}

// steady leaves out the digits: two commands run at different seconds.
func steady(text string) string {
	return strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' {
			return -1
		}
		return c
	}, text)
}

// TestMCPRoot: --root names the pool whatever the environment says, for the tools
// as well.
func TestMCPRoot(t *testing.T) {
	r := newRig(t, named("work")...)
	elsewhere := filepath.Join(t.TempDir(), "other")
	c := r.mcp([]string{"CODEX_MULTI_AUTH_DIR=" + elsewhere}, "--root", r.root())
	if text, failed := c.tool("list_accounts", `{}`); failed || !strings.Contains(text, "work") {
		t.Errorf("error %t:\n%s", failed, text)
	}
	if text, failed := c.tool("switch_account", `{"account":"work"}`); failed {
		t.Error(text)
	}
	c.in.Close()
	c.ends()
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Errorf("the environment's folder was touched: %v", err)
	}
}

// TestMCPUnreadable: a pool that cannot be read is a tool's error, and the server
// goes on.
func TestMCPUnreadable(t *testing.T) {
	r := newRig(t, named("work")...)
	if err := os.WriteFile(filepath.Join(r.root(), "openai-codex-accounts.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := r.mcp(nil)
	for _, name := range []string{"list_accounts", "explain"} {
		if text, failed := c.tool(name, `{}`); !failed || !strings.Contains(text, "openai-codex-accounts.json") {
			t.Errorf("%s: error %t:\n%s", name, failed, text)
		}
	}
	c.in.Close()
	c.ends()
}

// TestMCPBurst: a script writes everything at once and closes; every request is
// answered on stdout, and stdout holds nothing else.
func TestMCPBurst(t *testing.T) {
	r := newRig(t, named("work")...)
	var lines []string
	for i := range 20 {
		lines = append(lines, `{"jsonrpc":"2.0","id":`+strconv.Itoa(i)+`,"method":"tools/call","params":{"name":"explain","arguments":{}}}`)
	}
	cmd := exec.Command(binary, "mcp")
	cmd.Env, cmd.Stdin = r.env(os.Environ()), strings.NewReader(strings.Join(lines, "\n"))
	var out bytes.Buffer
	cmd.Stdout = &out
	r.witness.watch(cmd)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	answered := map[int]bool{}
	for line := range strings.Lines(out.String()) {
		a := decode[struct {
			ID     int
			Result struct{ Content []struct{ Text string } }
		}](t, line)
		if len(a.Result.Content) != 1 || !strings.Contains(a.Result.Content[0].Text, "work would be used") {
			t.Errorf("answered %s", line)
		}
		answered[a.ID] = true
	}
	if len(answered) != len(lines) {
		t.Errorf("%d of %d requests were answered", len(answered), len(lines))
	}
}
