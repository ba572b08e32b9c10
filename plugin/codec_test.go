package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"codex-rota/plugin/request"
)

// anyText draws what may need escapes, is long, or is no UTF-8.
func anyText() *rapid.Generator[string] {
	part := rapid.SampledFrom([]string{"a", "Bearer x", " ", `"`, `\`, "\n", "\x01", "\x7f", "<&>", "ä", "日", "\u2028", "\xff", "/"})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 0, 4).Draw(t, "parts"), "")
	})
}

// What is written by hand is what encoding/json writes by the tags.
func TestPreparedIsWrittenByItsTags(t *testing.T) {
	for message, fields := range map[reflect.Type]int{reflect.TypeFor[Prepared](): 9, reflect.TypeFor[AccountRef](): 2, reflect.TypeFor[Timeouts](): 2} {
		if n := message.NumField(); n != fields {
			t.Fatalf("%s has %d fields, AppendJSON and this test know %d", message, n, fields)
		}
	}
	text := anyText()
	headers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Header { return Header{text.Draw(t, "name"), text.Draw(t, "value")} }), 0, 3)
	edit := rapid.Custom(func(t *rapid.T) request.Edit {
		return request.Edit{Start: rapid.IntRange(0, 1<<31).Draw(t, "start"), Delete: rapid.IntRange(0, 99).Draw(t, "delete"), Text: text.Draw(t, "text")}
	})
	rapid.Check(t, func(r *rapid.T) {
		p := Prepared{Call: CallID(rapid.SampledFrom([]string{"", "1", `"c\u00e4"`, "-0.5"}).Draw(r, "call")), URL: text.Draw(r, "url"),
			Headers: headers.Draw(r, "headers"), Collapse: rapid.Bool().Draw(r, "collapse")}
		if rapid.Bool().Draw(r, "has account") {
			p.Account = &AccountRef{ID: text.Draw(r, "id"), Label: text.Draw(r, "label")}
		}
		if rapid.Bool().Draw(r, "has edits") {
			p.Edits = rapid.SliceOfN(edit, 0, 3).Draw(r, "edits")
		}
		if rapid.Bool().Draw(r, "has body") {
			body := text.Draw(r, "body")
			p.Body = &body
		}
		if rapid.Bool().Draw(r, "has timeouts") {
			p.Timeouts = &Timeouts{HeadersMs: rapid.Int64().Draw(r, "headersMs"), IdleMs: rapid.Int64().Draw(r, "idleMs")}
		}
		type byTags Prepared
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(byTags(p)); err != nil {
			r.Fatal(err)
		}
		if got := string(p.AppendJSON(nil)) + "\n"; got != want.String() {
			r.Fatalf("got %swant %s", got, &want)
		}
	})
}

// What is read by hand is what encoding/json reads; the rest is left to it.
func TestParamsAreReadByTheirTags(t *testing.T) {
	value := rapid.OneOf(rapid.SampledFrom([]string{`"POST"`, `""`, `null`, `7`, `-0.5e3`, `true`, `{}`, `[]`, `["a","b"]`, `[["a","b"]]`,
		`[["a","b"],["c","d"]]`, `[["a"]]`, `[["a","b","c"]]`, `[["a",1]]`, `[["a",null]]`, `[null]`, `[["a","\u00e4"]]`, `[ [ "a" , "b" ] ]`, `"\u0041"`, `"ä"`, `"\ud800"`}))
	name := rapid.SampledFrom([]string{"call", "url", "method", "headers", "headers", "session", "body", "URL", "x", "\\u0075rl"})
	direct := 0
	rapid.Check(t, func(r *rapid.T) {
		var members []string
		for range rapid.IntRange(0, 5).Draw(r, "members") {
			members = append(members, fmt.Sprintf(`"%s": %s`, name.Draw(r, "name"), value.Draw(r, "value")))
		}
		text := []byte("{" + strings.Join(members, " , ") + "}")
		got := PrepareParams{URL: "before"}
		if !got.ReadJSON(text) {
			if got.URL != "before" {
				r.Fatalf("%s was left to encoding/json, and half read: %+v", text, got)
			}
			return
		}
		direct++
		var want PrepareParams
		if err := json.Unmarshal(text, &want); err != nil {
			r.Fatalf("%s was read, which encoding/json refuses: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("%s (-want +got):\n%s", text, diff)
		}
	})
	if direct == 0 {
		t.Error("nothing was read by hand")
	}
	asTheShimHasIt := []byte(`{"call":1,"url":"https://api.openai.com/v1/responses","method":"POST","headers":[["content-type","application/json"]]}`)
	if !new(PrepareParams).ReadJSON(asTheShimHasIt) {
		t.Error("what the shim sends was left to encoding/json")
	}
}

// FuzzParams: what is read by hand of any message is what encoding/json reads.
func FuzzParams(f *testing.F) {
	f.Add([]byte(`{"call":1,"url":"u","headers":[["a","b"]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want PrepareParams
		if !json.Valid(text) || !utf8.Valid(text) || !got.ReadJSON(text) { // the reader of messages lets nothing else through
			return
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("read, which encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
