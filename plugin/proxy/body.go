package proxy

import (
	"bytes"
	"compress/gzip"
	"context"
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
	leases      []*lease // of both; released once nobody here or in the service reads them
}

// release gives the buffers back, as far as no upload still reads them.
func (b *body) release() {
	for _, l := range b.leases {
		l.release()
	}
	*b = body{}
}

// readBody reads all of it.
func (f *front) readBody(w http.ResponseWriter, r *http.Request) (body, error) {
	if r.ContentLength > maxBody {
		return body{}, errTooLarge
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // a net connection has deadlines
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	lent, sent, err := f.leases.readAll(r.Body, r.ContentLength)
	if err != nil {
		return body{}, err
	}
	b := body{sent: sent, plain: sent, leases: []*lease{lent}}
	decoder, known := decode(r.Header.Get("Content-Encoding"), bytes.NewReader(sent))
	if !known || decoder != nil {
		b.plain, b.encoded = nil, true
	}
	if decoder == nil {
		return b, nil
	}
	defer decoder.Close()
	lent, plain, err := f.leases.readAll(decoder, -1)
	if errors.Is(err, errTooLarge) {
		b.release()
		return body{}, err
	}
	if err == nil {
		b.plain, b.leases = plain, append(b.leases, lent)
	} // else the backend says best what is wrong with it
	return b, nil
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

// outgoing is the request that goes upstream with what was prepared: the bytes as
// they came, or the edited plain ones, which are no longer encoded.
func (b *body) outgoing(ctx context.Context, method string, p *plugin.Prepared) (r *http.Request, dropEncoding bool, err error) {
	if len(p.Edits) > 0 {
		r, err = http.NewRequestWithContext(ctx, method, p.URL, bytes.NewReader(request.Apply(b.plain, p.Edits)))
		return r, b.encoded, err
	}
	r, err = http.NewRequestWithContext(ctx, method, p.URL, http.NoBody)
	if err != nil || len(b.sent) == 0 {
		return r, false, err
	}
	r.GetBody = func() (io.ReadCloser, error) { return b.leases[0].upload(b.sent), nil }
	r.Body, _ = r.GetBody()
	r.ContentLength = int64(len(b.sent))
	return r, false, nil
}
