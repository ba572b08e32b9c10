package proxy

import (
	"slices"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	long := strings.Repeat("x", 3*tailRing)
	tests := []struct{ name, stream, want string }{
		{"nothing", "", ""},
		{"one event", "data: 1\n\n", "data: 1\n\n"},
		{"the last of two", "data: 1\n\ndata: 2\n\n", "data: 2\n\n"},
		{"CRLF", "data: 1\r\n\r\nevent: e\r\ndata: 2\r\n\r\n", "event: e\r\ndata: 2\r\n\r\n"},
		{"an event that was cut", "data: 1\n\ndata: 2", "data: 2"},
		{"blank lines at the end", "data: 1\n\n\n\n", "data: 1\n\n\n\n"},
		{"only blank lines", "\n\n\n", "\n\n\n"},
		{"much before it", strings.Repeat("data: "+long+"\n\n", 3) + "data: last\n\n", "data: last\n\n"},
		{"a long last event", "data: 1\n\ndata: " + long, "data: " + long},
		{"an event over 1 MiB", "data: 1\n\n" + strings.Repeat("y", tailMost+5), strings.Repeat("y", tailMost)},
		{"no events at all", `{"id":1}`, `{"id":1}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 1000, chunkSize} {
				if len(test.stream)/size > 1<<16 {
					continue // a long stream comes in chunks that are worth it
				}
				var kept tail
				for chunk := range slices.Chunk([]byte(test.stream), size) {
					kept.add(chunk)
				}
				if got := string(kept.bytes()); got != test.want {
					t.Fatalf("in chunks of %d: kept %d bytes %.40q, want %d bytes %.40q", size, len(got), got, len(test.want), test.want)
				}
			}
		})
	}
}

// TestTailIsSmall: a long stream of small events costs little memory.
func TestTailIsSmall(t *testing.T) {
	var kept tail
	event := []byte("data: {\"type\":\"response.output_text.delta\",\"delta\":\"word\"}\n\n")
	for range 100_000 {
		kept.add(event)
	}
	if cap(kept.kept) > 4*tailRing {
		t.Errorf("%d bytes for a stream of small events", cap(kept.kept))
	}
}
