package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"codex-rota/logging"
	"codex-rota/plugin"
)

func TestReadAll(t *testing.T) {
	for _, test := range []struct {
		name       string
		size, told int64
	}{
		{"nothing", 0, 0}, {"nothing, of unknown size", 0, -1}, {"little", 700, 700}, {"little, of unknown size", 700, -1},
		{"as much as the smallest buffer", leaseLeast, leaseLeast}, {"much, of unknown size", 5*leaseLeast + 1, -1},
		{"more than was told", 3 * leaseLeast, leaseLeast}, {"more than is kept", leaseMost + 1, leaseMost + 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := bytes.Repeat([]byte("0123456789abcdef"), int(test.size)/16+1)[:test.size]
			var l leases
			for range 3 { // the second and third time with a used buffer
				lent, got, err := l.readAll(iotest.HalfReader(bytes.NewReader(want)), test.told)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, %v, want %d", len(got), err, len(want))
				}
				lent.release()
			}
		})
	}
	var l leases
	if _, _, err := l.readAll(iotest.ErrReader(io.ErrUnexpectedEOF), 5); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that broke off: %v", err)
	}
	if _, _, err := l.readAll(io.LimitReader(zeros{}, maxBody+1), maxBody); !errors.Is(err, errTooLarge) {
		t.Errorf("a body over the limit: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestLeaseSizes: a buffer is never smaller than what was asked for, nor more than
// twice as large, whatever was given back before.
func TestLeaseSizes(t *testing.T) {
	var l leases
	for range 2 {
		for _, size := range []int{1, leaseLeast - 1, leaseLeast, leaseLeast + 1, 1 << 20, 1<<20 + 1, leaseMost, leaseMost + 1} {
			lent := l.lend(size)
			if got := len(lent.buffer); got < size || got > 2*size {
				t.Errorf("%d bytes for %d", got, size)
			}
			lent.release()
		}
	}
}

// TestLeasesAreBounded: many calls at once leave keptMost behind at most, and what
// they leave is let go after keptTime.
func TestLeasesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l leases
		state := func() (buffers, size int) {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.kept), l.size
		}
		lent := make([]*lease, 64)
		for i := range lent {
			lent[i] = l.lend(1 << 20)
		}
		for _, b := range lent {
			b.release()
		}
		if buffers, size := state(); size != keptMost || buffers != keptMost>>20 {
			t.Errorf("%d buffers, %d bytes are kept", buffers, size)
		}
		time.Sleep(keptTime - time.Second)
		l.lend(1 << 20).release()
		time.Sleep(keptTime - time.Second)
		if buffers, _ := state(); buffers == 0 {
			t.Error("let go although one was used")
		}
		time.Sleep(2 * time.Second)
		if buffers, size := state(); buffers != 0 || size != 0 {
			t.Errorf("%d buffers, %d bytes are kept for ever", buffers, size)
		}
	})
}

// TestSmallCallIsOneWrite: head and body of a small call go upstream together.
func TestSmallCallIsOneWrite(t *testing.T) {
	f := &front{}
	for _, size := range []int{700, 20 << 10} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", size)))
		b, err := f.readBody(httptest.NewRecorder(), r)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := b.outgoing(t.Context(), http.MethodPost, &plugin.Prepared{URL: "http://backend.example/"})
		if err != nil {
			t.Fatal(err)
		}
		var wire writes
		if err := out.Write(&wire); err != nil || out.ContentLength != int64(size) {
			t.Fatal(err, out.ContentLength)
		}
		if whole := 1 + size/(4<<10); len(wire) > whole+1 || size < 4<<10 && len(wire) != 1 {
			t.Errorf("%d bytes in the writes %v", size, wire)
		}
	}
}

// writes are the sizes of what was written at a time.
type writes []int

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, len(p))
	return len(p), nil
}

// lateTransport answers at once and reads the bodies when it is told to, as a
// transport may whose backend answers before it has taken the request.
type lateTransport struct{ bodies []io.ReadCloser }

func (l *lateTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	l.bodies = append(l.bodies, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("data: {}\n\n"))}, nil
}

// keepingService delivers everything, and looks at a call's body as long as the
// real one does: until it said deliver.
type keepingService struct {
	t    *testing.T
	body []byte
	want string
}

func (s *keepingService) Prepare(_ context.Context, p plugin.PrepareParams, body []byte) (*plugin.Prepared, error) {
	s.body, s.want = body, string(body)
	return &plugin.Prepared{Call: p.Call, URL: "http://backend.example/", Timeouts: &plugin.Timeouts{HeadersMs: 60_000, IdleMs: 60_000}}, nil
}

func (s *keepingService) Response(context.Context, plugin.ResponseParams, []byte) (*plugin.Verdict, error) {
	if string(s.body) != s.want {
		s.t.Error("the body is another before the call was decided")
	}
	return &plugin.Verdict{Verdict: plugin.VerdictDeliver}, nil
}

func (s *keepingService) Done(context.Context, plugin.DoneParams, []byte) {}

func (s *keepingService) HostResponse(e *plugin.Error) *plugin.HostResponse {
	s.t.Error(e)
	return &plugin.HostResponse{Status: http.StatusBadRequest}
}

// TestUploadOutlivesItsCall: what a transport still reads after the call's end is
// that call's body, whatever other calls have filled their buffers with meanwhile.
func TestUploadOutlivesItsCall(t *testing.T) {
	transport := &lateTransport{}
	f := &front{host: "127.0.0.1:1", Options: Options{HTTP: transport, Log: hclog.NewNullLogger(), Nonce: logging.NewSecret("key"), Service: &keepingService{t: t}}}
	text := func(i int) string { return strings.Repeat(string(rune('a'+i)), 3*leaseLeast) }
	const calls = 5
	for i := range calls {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:1"+BasePath+"/responses", strings.NewReader(text(i)))
		r.Header.Set("Authorization", "Bearer key")
		w := httptest.NewRecorder()
		f.handle(w, r)
		if w.Code != http.StatusOK || w.Body.String() != "data: {}\n\n" {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
	}
	for i, body := range transport.bodies {
		got, err := io.ReadAll(body)
		if err != nil || string(got) != text(i) {
			t.Errorf("call %d: another body, or none: %d bytes, %v", i, len(got), err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
		if _, err := body.Read(make([]byte, 1)); !errors.Is(err, errUploadClosed) {
			t.Errorf("a closed body reads %v", err)
		}
		_ = body.Close() // again: it must not give back what another borrowed by now
	}
}

// TestLeaseIsUsedAgain: a buffer comes back when its last holder has let go, not
// before.
func TestLeaseIsUsedAgain(t *testing.T) {
	var l leases
	lent := l.lend(leaseLeast)
	upload := lent.upload(lent.buffer)
	lent.release()
	if other := l.lend(leaseLeast); &other.buffer[0] == &lent.buffer[0] {
		t.Error("it was lent out while an upload reads it")
	}
	_ = upload.Close()
	if other := l.lend(leaseLeast); &other.buffer[0] != &lent.buffer[0] {
		t.Error("it was not lent out again")
	}
}
