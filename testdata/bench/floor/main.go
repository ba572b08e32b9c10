// Command floor is the least that the other end of the shim's pipe can do: it
// takes the same bytes in the same framing (DESIGN 3) and answers at once, with
// no edits and without a look at the body. What `codex-rota serve` takes longer is
// what codex-rota costs; the rest is the pipe's.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
}

// answers are by method; backend is where the calls go.
func answers(backend string) map[string]string {
	return map[string]string{
		"initialize": `{"protocol":1,"name":"floor","version":"0","capabilities":{"attachments":true},"accounts":{"total":1,"ready":1}}`,
		"request/prepare": `{"call":1,"account":{"id":"acct_0","label":"floor"},"url":"` + backend + `/codex/responses",` +
			`"headers":[["accept","text/event-stream"],["authorization","Bearer x"],["chatgpt-account-id","x"],["content-type","application/json"]],` +
			`"edits":[],"collapse":false,"timeouts":{"headersMs":280000,"idleMs":300000}}`,
		"request/response": `{"verdict":"deliver"}`,
	}
}

func main() {
	if err := serve(os.Stdin, os.Stdout, answers(os.Getenv("CODEX_ROTA_BACKEND"))); !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer, answers map[string]string) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var buffer []byte // one for all messages: nothing is kept
	for {
		length, attachment, err := readHead(r)
		if err != nil {
			return err
		}
		if need := max(length, attachment); need > len(buffer) {
			buffer = make([]byte, need)
		}
		if _, err := io.ReadFull(r, buffer[:length]); err != nil {
			return err
		}
		var m message
		if err := json.Unmarshal(buffer[:length], &m); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, buffer[:attachment]); err != nil {
			return err
		}
		if m.ID == nil {
			continue
		}
		answer := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, answers[m.Method])
		if _, err := fmt.Fprintf(out, "Content-Length: %d\r\n\r\n%s", len(answer), answer); err != nil {
			return err
		}
	}
}

func readHead(r *bufio.Reader) (length, attachment int, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, 0, err
		}
		if line == "\r\n" {
			return length, attachment, nil
		}
		for name, value := range map[string]*int{"Content-Length: %d": &length, "Attachment-Length: %d": &attachment} {
			_, _ = fmt.Sscanf(line, name, value) // it is one or the other
		}
	}
}
