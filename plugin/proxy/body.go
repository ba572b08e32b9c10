package proxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"codex-rota/plugin"
	"codex-rota/plugin/request"
)

// maxBody is the longest body that is taken, as sent and decoded (DESIGN 3).
const maxBody = 64 << 20

// bodyTime bounds how long a client on this machine may take to hand a body over.
const bodyTime = time.Minute

var errTooLarge = errors.New("the body is over 64 MiB")

// body is a request's body: sent as it came, and plain as the service reads it,
// nil when it came in an encoding that nobody here can read. A call's model is in
// it, and a limit may be of one model, so every body is read.
type body struct {
	sent, plain []byte
	encoded     bool
}

// readBody reads all of it.
func readBody(w http.ResponseWriter, r *http.Request) (body, error) {
	if r.ContentLength > maxBody {
		return body{}, errTooLarge
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // a net connection has deadlines
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	sent, err := readAll(r.Body, r.ContentLength)
	if err != nil {
		return body{}, err
	}
	b := body{sent: sent, plain: sent}
	decoder, known := decode(r.Header.Get("Content-Encoding"), bytes.NewReader(sent))
	if !known || decoder != nil {
		b.plain, b.encoded = nil, true
	}
	if decoder == nil {
		return b, nil
	}
	defer decoder.Close()
	plain, err := readAll(decoder, -1)
	if errors.Is(err, errTooLarge) {
		return body{}, err
	}
	if err == nil {
		b.plain = plain
	} // else the backend says best what is wrong with it
	return b, nil
}

// readAll reads at most maxBody bytes; size is what is expected, -1 for unknown.
func readAll(r io.Reader, size int64) ([]byte, error) {
	var buffer bytes.Buffer
	if size > 0 {
		buffer.Grow(int(size) + bytes.MinRead) // or ReadFrom would double it to see the end
	}
	n, err := buffer.ReadFrom(io.LimitReader(r, maxBody+1))
	if err == nil && n > maxBody {
		err = errTooLarge
	}
	return buffer.Bytes(), err
}

// decode gives the reader of an encoded body, nil for one that is not encoded.
// known is false for an encoding that Codex does not use.
func decode(encoding string, r io.Reader) (decoder io.ReadCloser, known bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return nil, true
	case "gzip", "x-gzip":
		return &gzipReader{source: r}, true
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxBody), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, false // only options can be wrong, and these are not
		}
		return z.IOReadCloser(), true
	}
	return nil, false
}

// gzipReader reads its header with the first Read, not when it is made: the
// header of an answer may come late.
type gzipReader struct {
	source io.Reader
	z      *gzip.Reader
}

func (g *gzipReader) Read(p []byte) (n int, err error) {
	if g.z == nil {
		if g.z, err = gzip.NewReader(g.source); err != nil {
			return 0, err
		}
	}
	return g.z.Read(p)
}

func (g *gzipReader) Close() error { return nil } // the source is another's to close

// forward is what goes upstream with a prepared request: the bytes as they came,
// or the edited plain ones, which are no longer encoded.
func (b body) forward(p *plugin.Prepared) (payload []byte, dropEncoding bool) {
	if len(p.Edits) == 0 {
		return b.sent, false
	}
	return request.Apply(b.plain, p.Edits), b.encoded
}
