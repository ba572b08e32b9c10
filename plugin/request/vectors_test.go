package request

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// catalogue is what FACTS-upstream 3 says Codex 0.169.0 lists.
func catalogue() Catalogue {
	c := Catalogue{"gpt-5.5": {Slug: "gpt-5.5", Efforts: []string{"low", "medium", "high", "xhigh"}}}
	toMax := []string{"low", "medium", "high", "xhigh", "max"}
	for _, slug := range []string{"gpt-6-luna", "gpt-5.6-luna"} {
		c[slug] = Model{Slug: slug, Efforts: toMax, Lite: true}
	}
	for _, slug := range []string{"gpt-6-astra", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-sol", "gpt-5.6-sol", "gpt-5.6-terra"} {
		c[slug] = Model{Slug: slug, Efforts: append(toMax[:5:5], "ultra"), Lite: true}
	}
	return c
}

// vectors reads one file of the shared vectors, which lie beside the repository.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "..", "shared", "vectors", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: %s is not beside this checkout, so its vectors were NOT checked", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list []T
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestRequestVectors(t *testing.T) {
	type vector struct {
		Name      string
		Transform Mode
		Body      json.RawMessage
		Expected  struct {
			Wire     json.RawMessage
			Edits    *int
			Collapse bool
			Header   string
		}
	}
	for _, v := range vectors[vector](t, "request.jsonl") {
		t.Run(v.Name, func(t *testing.T) {
			b, err := Scan(v.Body)
			if err != nil {
				t.Fatal(err)
			}
			c := catalogue()
			res := b.Transform(Options{Mode: v.Transform, Catalogue: c, Instructions: "CODEX INSTRUCTIONS OF " + b.Slug(c)})
			got := Apply(v.Body, res.Edits)
			if diff := cmp.Diff(parsed(t, v.Expected.Wire), parsed(t, got)); diff != "" {
				t.Errorf("wire (-want +got):\n%s", diff)
			}
			if v.Expected.Edits != nil && (len(res.Edits) != *v.Expected.Edits || !bytes.Equal(got, v.Body)) {
				t.Errorf("edits = %+v, want %d and untouched bytes", res.Edits, *v.Expected.Edits)
			}
			if res.Collapse != v.Expected.Collapse {
				t.Errorf("collapse = %v, want %v", res.Collapse, v.Expected.Collapse)
			}
			var header string
			for _, h := range res.Headers {
				header += h[0] + ": " + h[1]
			}
			if header != v.Expected.Header {
				t.Errorf("header = %q, want %q", header, v.Expected.Header)
			}
		})
	}
}

func TestURLVectors(t *testing.T) {
	type vector struct {
		Input    string
		Expected *string
	}
	for _, v := range vectors[vector](t, "url.jsonl") {
		got, ok := RewriteURL(v.Input, DefaultBackend)
		if ok != (v.Expected != nil) || ok && got != *v.Expected {
			t.Errorf("RewriteURL(%q) = %q, %v", v.Input, got, ok)
		}
	}
}

// parsed is data as any JSON reader sees it, numbers as written.
func parsed(t testing.TB, data []byte) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}
