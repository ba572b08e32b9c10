package host

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/tailscale/hujson"
)

func TestInsertAndCutAreInverse(t *testing.T) {
	tests := []struct{ name, before, after string }{
		{"one line", `{"plugin": ["a", "b"]}`, `{"plugin": ["a", "b", "new"]}`},
		{"empty array", `{"plugin": []}`, `{"plugin": ["new"]}`},
		{"empty array of two lines", "{\n  \"plugin\": [\n  ]\n}", "{\n  \"plugin\": [\n    \"new\"\n  ]\n}"},
		{"a comment in an empty array", "{\n\t\"plugin\": [\n\t\t// none yet\n\t]\n}", "{\n\t\"plugin\": [\n\t\t// none yet\n\t\t\"new\"\n\t]\n}"},
		{"lines", "{\n  \"plugin\": [\n    \"a\",\n    \"b\"\n  ]\n}\n", "{\n  \"plugin\": [\n    \"a\",\n    \"b\",\n    \"new\"\n  ]\n}\n"},
		{"a trailing comma", "{\n  \"plugin\": [\n    \"a\",\n  ],\n}\n", "{\n  \"plugin\": [\n    \"a\",\n    \"new\",\n  ],\n}\n"},
		{"a comment behind the last", "{\"plugin\": [\n  \"a\" // mine\n]}", "{\"plugin\": [\n  \"a\", // mine\n  \"new\"\n]}"},
		{"a comment behind the trailing comma", "{\"plugin\": [\n  \"a\", // mine\n]}", "{\"plugin\": [\n  \"a\", // mine\n  \"new\",\n]}"},
		{"a comment between item and comma", "{\"plugin\": [\"a\" /* mine */, ]}", "{\"plugin\": [\"a\" /* mine */, \"new\", ]}"},
		{"block comments", `{"plugin": [/* x */ "a" /* y */]}`, `{"plugin": [/* x */ "a", /* y */ "new"]}`},
		{"tuples", `{"plugin": [["a", {"x": 1}]]}`, `{"plugin": [["a", {"x": 1}], "new"]}`},
		{"CRLF", "{\r\n  \"plugin\": [\r\n    \"a\"\r\n  ]\r\n}\r\n", "{\r\n  \"plugin\": [\r\n    \"a\",\r\n    \"new\"\r\n  ]\r\n}\r\n"},
		{"a byte order mark", "\xef\xbb\xbf{\"plugin\": [\"a\"]}", "\xef\xbb\xbf{\"plugin\": [\"a\", \"new\"]}"},
		{"closed on the last item's line", "{\"plugin\": [\"a\",\n            \"b\"]}", "{\"plugin\": [\"a\",\n            \"b\",\n            \"new\"]}"},
		{"brackets in strings and comments", "{\"x\": \"]}\", // ]\n \"plugin\": [\"]\"]}", "{\"x\": \"]}\", // ]\n \"plugin\": [\"]\", \"new\"]}"},
		{"the same key twice: the last counts", `{"plugin": ["a"], "plugin": ["b"]}`, `{"plugin": ["a"], "plugin": ["b", "new"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := mustParse(t, tt.before)
			got, err := d.insert(d.array("plugin"), `"new"`)
			if err != nil || string(got) != tt.after {
				t.Fatalf("insert: %v\n got %q\nwant %q", err, got, tt.after)
			}
			if !bytes.Equal(d.text, bytes.TrimPrefix([]byte(tt.before), []byte(byteOrderMark))) {
				t.Fatal("insert changed the text it was given")
			}
			d = mustParse(t, string(got))
			l := d.array("plugin")
			back, err := d.cut(l, len(l.items)-1)
			if err != nil || string(back) != tt.before {
				t.Fatalf("cut: %v\n got %q\nwant %q", err, back, tt.before)
			}
		})
	}
}

func TestInsertKey(t *testing.T) {
	tests := []struct{ name, before, after string }{
		{"empty object", `{}`, "{\n  \"plugin\": [\"new\"]\n}"},
		{"one line", `{"model": "m"}`, `{"model": "m", "plugin": ["new"]}`},
		{"lines", "{\n    \"model\": \"m\"\n}\n", "{\n    \"model\": \"m\",\n    \"plugin\": [\"new\"]\n}\n"},
		{"a trailing comma", "{\n  \"model\": \"m\",\n}\n", "{\n  \"model\": \"m\",\n  \"plugin\": [\"new\"],\n}\n"},
		{"comments around", "// mine\n{\n  // model\n  \"model\": \"m\" // end\n  // more\n}\n// bye\n", "// mine\n{\n  // model\n  \"model\": \"m\", // end\n  // more\n  \"plugin\": [\"new\"]\n}\n// bye\n"},
		{"tabs", "{\n\t\"model\": \"m\"\n}", "{\n\t\"model\": \"m\",\n\t\"plugin\": [\"new\"]\n}"},
		{"only a comment", "{\n  // nothing\n}", "{\n  // nothing\n  \"plugin\": [\"new\"]\n}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := mustParse(t, tt.before)
			got, err := d.insert(d.object(), `"plugin": ["new"]`)
			if err != nil || string(got) != tt.after {
				t.Fatalf("%v\n got %q\nwant %q", err, got, tt.after)
			}
			d = mustParse(t, string(got))
			back, err := d.cut(d.object(), d.index("plugin"))
			want := tt.before
			if tt.before == `{}` {
				want = "{\n}"
			}
			if err != nil || string(back) != want {
				t.Fatalf("cut: %v\n got %q\nwant %q", err, back, want)
			}
		})
	}
}

func TestCutFromBetween(t *testing.T) {
	tests := []struct {
		name   string
		i      int
		before string
		after  string
	}{
		{"first of a line", 0, `{"plugin": ["x", "a", "b"]}`, `{"plugin": ["a", "b"]}`},
		{"middle of a line", 1, `{"plugin": ["a", "x", "b"]}`, `{"plugin": ["a", "b"]}`},
		{"first of lines", 0, "{\"plugin\": [\n  \"x\",\n  \"a\"\n]}", "{\"plugin\": [\n  \"a\"\n]}"},
		{"middle of lines", 1, "{\"plugin\": [\n  \"a\",\n  \"x\",\n  \"b\"\n]}", "{\"plugin\": [\n  \"a\",\n  \"b\"\n]}"},
		{"a comment behind stays", 0, "{\"plugin\": [\n  \"x\", // mine\n  \"a\"\n]}", "{\"plugin\": [\n   // mine\n  \"a\"\n]}"},
		{"a line comment before the last swallows nothing", 1, "{\"plugin\": [\"a\", // mine\n  \"x\"]}", "{\"plugin\": [\"a\" // mine\n  ]}"},
		{"the only one", 0, `{"plugin": ["x"]}`, `{"plugin": []}`},
		{"the only one, with a comma", 0, `{"plugin": ["x",]}`, `{"plugin": []}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := mustParse(t, tt.before)
			got, err := d.cut(d.array("plugin"), tt.i)
			if err != nil || string(got) != tt.after {
				t.Fatalf("%v\n got %q\nwant %q", err, got, tt.after)
			}
		})
	}
}

func TestParseErrorsNameThePlace(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a missing comma", "{\n  \"a\": 1\n  \"b\": 2\n}", "f.jsonc: line 3, column 3: "},
		{"cut off", "{\n  \"a\": [1,", "f.jsonc: line 2, column 11: "},
		{"no object", "[1]", "f.jsonc: line 1, column 1: want an object"},
		{"behind the end", "{}\n}", "f.jsonc: line 2, column 1: "},
		{"single quotes", "{'a': 1}", "f.jsonc: line 1, column 2: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseDocument("f.jsonc", []byte(tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || !strings.Contains(err.Error(), "mend it") {
				t.Errorf("got %v, want %s…", err, tt.want)
			}
		})
	}
}

// Whatever parses can be edited and edited back, and keeps its other data.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"plugin": ["a",]}`, "{\n // c\n \"plugin\": [ // d\n \"a\" /* e */ , \"b\" // f\n ] /* g */, }",
		"\xef\xbb\xbf{\r\n\"plugin\":[\r\n]}", `{"plugin":[["a",{}]],"plugin":[[]]}`, "{\"x\":1 // y\n,\"plugin\":[1 // z\n,2]}",
	} {
		f.Add(seed, 0)
	}
	f.Fuzz(func(t *testing.T, text string, i int) {
		d, err := parseDocument("f", []byte(text))
		if err != nil || d.index("plugin") < 0 {
			return
		}
		if _, ok := d.member("plugin").Value.Value.(*hujson.Array); !ok {
			return
		}
		l := d.array("plugin")
		added, err := d.insert(l, `"new"`)
		if err != nil {
			t.Fatalf("insert: %v", err)
		}
		e := mustParse(t, string(added))
		grown := e.array("plugin")
		if len(grown.items) != len(l.items)+1 || string(e.text[grown.items[len(l.items)].start:grown.items[len(l.items)].end]) != `"new"` {
			t.Fatalf("insert gave %q", added)
		}
		if back, err := e.cut(grown, len(l.items)); err != nil {
			t.Fatalf("cut the new one of %q: %v", added, err)
		} else if n := len(mustParse(t, string(back)).array("plugin").items); n != len(l.items) {
			t.Fatalf("cut left %d items in %q", n, back)
		}
		if len(l.items) == 0 {
			return
		}
		left, err := d.cut(l, int(uint(i)%uint(len(l.items))))
		if err != nil {
			t.Fatalf("cut: %v", err)
		}
		if n := len(mustParse(t, string(left)).array("plugin").items); n != len(l.items)-1 {
			t.Fatalf("cut left %d of %d items in %q", n, len(l.items), left)
		}
	})
}

func mustParse(t *testing.T, text string) *document {
	t.Helper()
	d, err := parseDocument("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
