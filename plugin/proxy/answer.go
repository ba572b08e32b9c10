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
	silent  *time.Timer // ends it when its next bytes are not; runs while they are read
	status  int
	headers []plugin.Header
	body    io.ReadCloser
	decoder io.ReadCloser // nil for a body that is not encoded
	space   *space
	held    []byte // the beginning of space.chunk
	size    int64
	over    bool
}

// chunkSize is what is read at most before it is passed on.
const chunkSize = 32 << 10

// space is what one answer needs to be read: room for what is held and for the
// next bytes behind it, and its tail.
type space struct {
	chunk []byte
	tail  tail
}

var spaces = sync.Pool{New: func() any { return &space{chunk: make([]byte, chunkSize)} }}

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
	a.space = spaces.Get().(*space)
}

func (a *answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// read gives the next bytes, valid until the next read; nil at the end.
func (a *answer) read() ([]byte, error) {
	if a.over {
		return nil, nil
	}
	var source io.Reader = a.body
	if a.decoder != nil {
		source = a.decoder
	}
	if a.silent == nil {
		a.silent = time.AfterFunc(a.idle, func() { a.stop(errSilent) })
	} else {
		a.silent.Reset(a.idle)
	}
	defer a.silent.Stop()
	if used := len(a.held); len(a.space.chunk)-used < chunkSize/2 {
		a.space.chunk = append(a.space.chunk, make([]byte, len(a.space.chunk))...)
		a.held = a.space.chunk[:used]
	}
	for !a.over {
		n, err := source.Read(a.space.chunk[len(a.held):])
		if errors.Is(err, io.EOF) {
			a.over, err = true, nil
		}
		if err != nil {
			return nil, cause(a.ctx, err)
		}
		if n > 0 {
			chunk := a.space.chunk[len(a.held):][:n]
			a.size += int64(n)
			a.space.tail.add(chunk)
			return chunk, nil
		}
	}
	return nil, nil
}

// hold reads the next bytes and keeps them for the client.
func (a *answer) hold() ([]byte, error) {
	chunk, err := a.read()
	a.held = a.space.chunk[:len(a.held)+len(chunk)]
	return chunk, err
}

// close ends the exchange with the backend, whatever state it is in. It may be
// called on a nil answer, and again.
func (a *answer) close() {
	if a == nil || a.space == nil {
		return
	}
	a.late.Stop()
	a.stop(nil)
	if a.decoder != nil {
		_ = a.decoder.Close()
	}
	_ = a.body.Close() // nothing is read any more
	if len(a.space.chunk) == chunkSize && cap(a.space.tail.kept) <= 4*tailRing {
		poison(a.space.chunk)
		a.space.tail.reset()
		spaces.Put(a.space)
	}
	a.space, a.held = nil, nil
}
