package request

import (
	"bytes"
	"fmt"
	"testing"
)

// session is a body of about size bytes, shaped as OpenCode sends a long
// session: instructions, then turns of messages, reasoning and tool calls with
// their outputs. ids gives each item one, so that each needs an edit.
func session(size int, ids bool) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"gpt-5.5","instructions":"` + line(300) + `","input":[`)
	id := func(prefix string, n int) string {
		if !ids {
			return ""
		}
		return fmt.Sprintf(`"id":"%s_%d",`, prefix, n)
	}
	for n := 0; b.Len() < size-10_000; n++ {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{%s"role":"user","content":[{"type":"input_text","text":"%s"}]}`, id("msg", n), line(4))
		fmt.Fprintf(&b, `,{%s"type":"reasoning","encrypted_content":"%s","summary":[]}`, id("rs", n), bytes.Repeat([]byte("gAAAAB"), 200))
		for k := range 3 {
			fmt.Fprintf(&b, `,{%s"type":"function_call","call_id":"call_%d_%d","name":"read","arguments":"{\"path\":\"/src/file%d.go\",\"limit\":200}"}`, id("fc", n), n, k, n)
			fmt.Fprintf(&b, `,{"type":"function_call_output","call_id":"call_%d_%d","output":"%s"}`, n, k, line(20))
		}
	}
	b.WriteString(`],"include":["reasoning.encrypted_content"],"tools":[`)
	for n := range 12 {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","name":"tool%d","description":"%s","parameters":{"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"number","minimum":1}},"required":["path"]},"strict":false}`, n, line(3))
	}
	b.WriteString(`],"tool_choice":"auto","store":false,"stream":true,"prompt_cache_key":"ses_1"}`)
	return b.Bytes()
}

// line is n lines of code as they look inside a JSON string.
func line(n int) string {
	return string(bytes.Repeat([]byte(`\tif err := s.read(ctx, \"a\"); err != nil { return err }\n`), n))
}

func transformed(tb testing.TB, body []byte) Result {
	b, err := Scan(body)
	if err != nil {
		tb.Fatal(err)
	}
	return b.Transform(Options{Mode: ModeNative, Catalogue: Catalogue{"gpt-5.5": {Efforts: []string{"low"}}}})
}

// DESIGN 10: 1 MB in one pass, at most 3 ms.
func BenchmarkTransform(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
		ids  bool
	}{{"100KB", 100_000, false}, {"1MB", 1 << 20, false}, {"1MB_ids", 1 << 20, true}, {"5MB", 5 << 20, false}} {
		body := session(c.size, c.ids)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				transformed(b, body)
			}
		})
	}
}

// Records grow with the number of items, in a few steps; nothing grows with the
// number of bytes.
func TestAllocationsDoNotGrowWithTheBody(t *testing.T) {
	count := func(body []byte) float64 { return testing.AllocsPerRun(10, func() { transformed(t, body) }) }
	for _, ids := range []bool{false, true} {
		small, large := count(session(100_000, ids)), count(session(5<<20, ids))
		t.Logf("ids %v: %v allocations at 100 KB, %v at 5 MB", ids, small, large)
		if large > small+3 || large > 16 {
			t.Errorf("ids %v: %v allocations at 100 KB, %v at 5 MB", ids, small, large)
		}
	}
	image := []byte(`{"model":"gpt-5.5","instructions":"I","include":["reasoning.encrypted_content"],"store":false,"stream":true,` +
		`"input":[{"role":"user","content":[{"type":"input_image","image_url":"` + string(bytes.Repeat([]byte("QUJD"), 1<<20)) + `"}]}]}`)
	if n := count(image); n > 10 {
		t.Errorf("%v allocations for one image of 4 MB", n)
	}
}
