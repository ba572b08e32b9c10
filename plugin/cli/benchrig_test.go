//go:build bench

package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"codex-rota/pool"
)

// newPool is a rig whose pool has this many accounts, with quota windows known of
// each. They are written as files: to log in a thousand would take minutes.
func (b *bench) newPool(accounts int) *rig {
	b.t.Helper()
	r := newRig(b.t)
	r.app.Executable = b.bin
	now := time.Now()
	type record struct {
		Label        string `json:"label"`
		RefreshToken string `json:"refreshToken"`
		AccessToken  string `json:"accessToken"`
		ExpiresAt    int64  `json:"expiresAt"`
		RefreshedAt  int64  `json:"refreshedAt"`
		AddedAt      int64  `json:"addedAt"`
		Enabled      bool   `json:"enabled"`
	}
	list := make([]record, accounts)
	for i := range list {
		list[i] = record{fmt.Sprint("account-", i), fmt.Sprint("rt-", i), benchToken(i, now.Add(240*time.Hour)), now.Add(240 * time.Hour).UnixMilli(), now.UnixMilli(), now.UnixMilli(), true}
	}
	text, err := json.Marshal(map[string]any{"version": 4, "revision": 1, "accounts": list})
	if err == nil {
		err = os.MkdirAll(filepath.Join(r.root(), "locks"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(r.file("openai-codex-accounts.json"), text, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	store, err := pool.OpenStore(pool.Options{Dir: r.root(), Refresh: r.issuer().Refresh, Now: time.Now})
	if err != nil {
		b.t.Fatal(err)
	}
	known, err := store.Accounts()
	if err == nil { // any change has the file written as the product writes it
		err = store.Update(b.t.Context(), known[0].ID, func(a *pool.Account) error { a.Note = "a pool in use"; return nil })
	}
	if err != nil || len(known) != accounts {
		b.t.Fatalf("%d accounts, %v", len(known), err)
	}
	book := pool.OpenBook(pool.BookOptions{Path: r.file("quota-cache.json"), LockPath: r.file("locks/quota-cache.lock")})
	for i, a := range known {
		err := book.Learn(b.t.Context(), pool.Event{Account: a.ID, At: now, Plan: "plus", Windows: []pool.Window{
			{Name: pool.WindowPrimary, UsedPercent: float64(i % 90), WindowMinutes: 300, ResetAt: now.Add(2 * time.Hour)},
			{Name: pool.WindowSecondary, UsedPercent: float64(i % 80), WindowMinutes: 10080, ResetAt: now.Add(time.Duration(i%100+1) * time.Hour)}}})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	r.do(book.Close(b.t.Context()), store.Close(b.t.Context()))
	return r
}

// benchToken is an access token of a seat of its own.
func benchToken(seat int, expires time.Time) string {
	claims, err := json.Marshal(map[string]any{"exp": expires.Unix(), "https://api.openai.com/auth": map[string]any{
		"chatgpt_account_id": fmt.Sprintf("00000000-0000-4000-8000-%012d", seat), "chatgpt_user_id": fmt.Sprint("user-", seat), "chatgpt_plan_type": "plus"}})
	if err != nil {
		panic(err) // a literal
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(claims) + "." + encode([]byte("signature"))
}

// upstream is a backend that takes any call: it reads the body and streams an
// answer of so many events.
func (b *bench) upstream(events int) (backend string) {
	answer := benchStream(events)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // the client has gone
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range answer {
			if _, err := io.WriteString(w, event); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}))
	b.t.Cleanup(server.Close)
	return server.URL + "/backend-api"
}

// benchStream is an answer as the backend streams it.
func benchStream(events int) []string {
	stream := []string{"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n"}
	for i := range events {
		stream = append(stream, fmt.Sprintf("event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"word %d \"}\n\n", i))
	}
	return append(stream, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"usage\":"+
		"{\"input_tokens\":1000,\"input_tokens_details\":{\"cached_tokens\":900},\"output_tokens\":20}}}\n\n")
}

// session is a body of size bytes as OpenCode sends it: instructions, as many turns
// as fit, each with a question, reasoning, and tool calls with their outputs, and
// the question of now, which is as long as the rest of the size allows.
func session(size int) []byte {
	type object = map[string]any
	var tools, input []any
	for i := range min(12, size/3000) {
		tools = append(tools, object{"type": "function", "name": fmt.Sprint("tool", i), "strict": false, "description": code(3),
			"parameters": object{"type": "object", "required": []string{"path"}, "properties": object{"path": object{"type": "string"}, "limit": object{"type": "number", "minimum": 1}}}})
	}
	question := func(text string) object {
		return object{"role": "user", "content": []any{object{"type": "input_text", "text": text}}}
	}
	body := func() []byte {
		return benchJSON(object{"model": "gpt-5.5", "instructions": code(3 + size/5000), "input": input, "tools": tools, "tool_choice": "auto",
			"include": []string{"reasoning.encrypted_content"}, "reasoning": object{"effort": "medium", "summary": "auto"}, "text": object{"verbosity": "medium"},
			"store": false, "stream": true, "prompt_cache_key": "ses_bench"})
	}
	used := len(body())
	for turn := 0; ; turn++ {
		items := []any{question("Schau dir bitte größere Dateien an – „Übersicht“, 日本語のコメント 🎉 und C:\\tmp\\" + fmt.Sprint(turn)),
			object{"type": "reasoning", "summary": []any{}, "encrypted_content": string(bytes.Repeat([]byte("gAAAAB"), 150))}}
		for k := range min(3, 1+size/10_000) {
			id := fmt.Sprintf("call_%d_%d", turn, k)
			items = append(items, object{"type": "function_call", "call_id": id, "name": "read", "arguments": fmt.Sprintf(`{"path":"/src/file%d.go","limit":200}`, turn)},
				object{"type": "function_call_output", "call_id": id, "output": code(1 + (turn*7+k*13)%60)})
		}
		items = append(items, object{"role": "assistant", "content": []any{object{"type": "output_text", "text": code(min(4, 1+size/10_000))}}})
		if used += len(benchJSON(items)); used > size-100 {
			break
		}
		input = append(input, items...)
	}
	now := question("")
	input = append(input, now)
	now["content"] = question(strings.Repeat("w", size-len(body())))["content"]
	return body()
}

// benchJSON is v as JSON.stringify has it.
func benchJSON(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // a literal
	}
	return bytes.TrimSpace(b.Bytes())
}

// code is so many lines of code, with what JSON has to escape.
func code(lines int) string {
	return string(bytes.Repeat([]byte("\tif err := s.read(ctx, \"päth\\n\"); err != nil { return fmt.Errorf(\"läs: %w\", err) } // <ok> & done\n"), lines))
}
