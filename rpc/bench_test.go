package rpc

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkRoundTrip is one request/prepare and its answer through two pipes, with
// a service that does nothing.
func BenchmarkRoundTrip(b *testing.B) {
	headers := `[["user-agent","opencode/1.18.33"],["session-id","ses_0123456789"],["accept","*/*"],["content-type","application/json"]]`
	text := `{"jsonrpc":"2.0","id":1,"method":"request/prepare","params":{"call":1,"url":"https://api.openai.com/v1/responses","method":"POST","headers":` + headers + `}}`
	for _, size := range []int{3 << 10, 100 << 10, 1 << 20, 5 << 20} {
		b.Run(fmt.Sprintf("attachment %d KB", size>>10), func(b *testing.B) {
			roundTrips(b, framed(text, strings.Repeat("x", size)), func(r *bufio.Reader) error {
				var n int
				if _, err := fmt.Fscanf(r, "Content-Length: %d\r\n\r\n", &n); err != nil {
					return err
				}
				_, err := r.Discard(n)
				return err
			})
		})
	}
	b.Run("string param 1024 KB", func(b *testing.B) {
		line := strings.TrimSuffix(text, "}}") + `,"body":"` + strings.Repeat("x", 1<<20) + `"}}` + "\n"
		roundTrips(b, line, func(r *bufio.Reader) error {
			_, err := r.ReadString('\n')
			return err
		})
	})
}

func roundTrips(b *testing.B, message string, answered func(*bufio.Reader) error) {
	in, send := io.Pipe()
	receive, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(b.Context(), in, out, Options{Service: newFake()}) }()
	r := bufio.NewReader(receive)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(send, message); err != nil {
			b.Fatal(err)
		}
		if err := answered(r); err != nil {
			b.Fatal(err)
		}
	}
	send.Close()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
