package request

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzTransform holds Scan against encoding/json, and every result against what
// must hold of all: valid JSON, edits apart and ascending, and nothing left to
// mend in what was mended.
func FuzzTransform(f *testing.F) {
	for _, input := range []string{
		`[]`, `"hi"`, `null`, `[{"id":"a"},{"type":"item_reference","id":"b"},{"role":"user","id":"c","id":"d"}]`,
		`[{"type":"function_call","call_id":"c","arguments":null},{"type":"function_call_output","call_id":"d","output":[ 1 ]},{"type":"local_shell_call","call_id":"s"}]`,
		`[{"type":"reasoning","encrypted_content":"E"},{"content":[{"detail":"x","type":"input_image"}]}]`,
	} {
		f.Add([]byte(withInput(input)), byte(0))
		f.Add([]byte(`{"model":"openai/gpt-5.6-sol-max","tools":[{}],"instructions":"OWN","temperature":1,"input":`+input+`}`), byte(3))
	}
	f.Add([]byte(`{"store":true,"\u0073tore":false,"reasoning":{"effort":null},"include":[1],"model":"gpt-5.5-low"}`), byte(1))
	f.Add([]byte(" {\"a\":\"\\ud83d\xff\"} "), byte(2))
	f.Add([]byte(`{"a":01}`), byte(0))
	f.Add([]byte(strings.Repeat("[", 100)), byte(0))
	f.Fuzz(func(t *testing.T, body []byte, options byte) {
		b, err := Scan(body)
		if want := json.Valid(body) && strings.HasPrefix(strings.TrimLeft(string(body), " \t\r\n"), "{"); (err == nil) != want {
			t.Fatalf("Scan: %v, but valid is %v", err, want)
		}
		if err != nil {
			return
		}
		o := Options{Mode: ModeNative, Catalogue: catalogue(), Instructions: "CODEX"}
		if options&1 != 0 {
			o.Mode = ModeCodex
		}
		o.DropReasoning = options&2 != 0
		o.Untouched = options&4 != 0
		if options&8 != 0 {
			o.Model = "gpt-5.5"
		}
		sent := checked(t, body, b.Transform(o))
		if !utf8.Valid(body) {
			return // a call_id that is no UTF-8 and its copy are not the same bytes
		}
		again, err := Scan(sent)
		if err != nil {
			t.Fatal(err)
		}
		if res := again.Transform(o); len(res.Edits) > 0 {
			t.Fatalf("mended twice\nfrom %s\nsent %s\nthen %s", body, sent, Apply(sent, res.Edits))
		}
	})
}
