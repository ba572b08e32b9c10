package sim

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// decodeBody undoes a request's Content-Encoding: gzip and zstd are what the
// backend takes. A refusal comes with the bytes as they were sent.
func decodeBody(encoding string, body []byte) ([]byte, *refusal) {
	var in io.Reader
	var err error
	switch encoding {
	case "":
		return body, nil
	case "gzip":
		in, err = gzip.NewReader(bytes.NewReader(body))
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBody)); err == nil {
			defer d.Close()
			in = d
		}
	default:
		return body, &refusal{"content-encoding " + encoding, detail(415, "Unsupported content encoding")}
	}
	var out []byte
	if err == nil {
		out, err = io.ReadAll(io.LimitReader(in, maxBody))
	}
	if err != nil {
		return body, refused(fmt.Sprintf("the body is no %s: %v", encoding, err), "The request body could not be decompressed")
	}
	return out, nil
}
