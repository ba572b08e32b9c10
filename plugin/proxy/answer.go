package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"codex-rota/plugin"
)

// answer is the backend's answer while it is read. held are the bytes that the
// client has not been given yet.
type answer struct {
	ctx     context.Context
	stop    context.CancelCauseFunc
	idle    time.Duration
	late    *time.Timer // ends the exchange when its head, or an error's beginning, is not here in time
	status  int
	headers []plugin.Header
	body    io.ReadCloser
	decoder io.ReadCloser // nil for a body that is not encoded
	buffer  *[]byte
	held    []byte
	size    int64
	over    bool
	tail    tail
}

// chunkSize is what is read at most before it is passed on.
const chunkSize = 32 << 10

var chunks = sync.Pool{New: func() any { b := make([]byte, chunkSize); return &b }}

// take begins to read a response. One that is encoded although nobody asked for
// it is decoded here, because it must be read.
func (a *answer) take(ctx context.Context, r *http.Response) {
	a.ctx, a.status, a.body = ctx, r.StatusCode, r.Body
	if decoder, known := decode(r.Header.Get("Content-Encoding"), r.Body); known && decoder != nil {
		a.decoder = decoder
		r.Header.Del("Content-Encoding")
		r.Header.Del("Content-Length")
	}
	a.headers = make([]plugin.Header, 0, len(r.Header))
	for name, values := range r.Header {
		for _, value := range values {
			a.headers = append(a.headers, plugin.Header{name, value})
		}
	}
	a.buffer = chunks.Get().(*[]byte)
}

func (a *answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// read gives the next bytes, valid until the next read; nil at the end.
func (a *answer) read() ([]byte, error) {
	var source io.Reader = a.body
	if a.decoder != nil {
		source = a.decoder
	}
	silent := time.AfterFunc(a.idle, func() { a.stop(errSilent) })
	defer silent.Stop()
	for !a.over {
		n, err := source.Read(*a.buffer)
		if errors.Is(err, io.EOF) {
			a.over, err = true, nil
		}
		if err != nil {
			return nil, cause(a.ctx, err)
		}
		if n > 0 {
			chunk := (*a.buffer)[:n]
			a.size += int64(n)
			a.tail.add(chunk)
			return chunk, nil
		}
	}
	return nil, nil
}

// hold reads the next bytes and keeps them for the client.
func (a *answer) hold() ([]byte, error) {
	chunk, err := a.read()
	a.held = append(a.held, chunk...)
	return chunk, err
}

// close ends the exchange with the backend, whatever state it is in. It may be
// called on a nil answer, and again.
func (a *answer) close() {
	if a == nil || a.buffer == nil {
		return
	}
	a.late.Stop()
	a.stop(nil)
	if a.decoder != nil {
		_ = a.decoder.Close()
	}
	_ = a.body.Close() // nothing is read any more
	chunks.Put(a.buffer)
	a.buffer = nil
}
