package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// errSilent is why an attempt was stopped for taking too long.
var errSilent = errors.New("nothing came from OpenAI for too long")

// A connection on which nothing came for pingAfter is asked whether it lives, and
// given up when that is not answered within pingTimeout: a model may think for
// minutes, and its connection answers all the while.
const (
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
)

// Transport sends model calls. It adds nothing to a request and unpacks nothing:
// the bytes that go out are those that were prepared.
func Transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.MaxResponseHeaderBytes = 256 << 10
	t.MaxIdleConnsPerHost = 64
	// A connection that died unseen, as when a laptop slept or changed its network,
	// would keep the call until its head is late.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
	t.DialContext = (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	return t
}

// cause is why a transfer ended: our own reason for stopping it, if it was us.
func cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// kindOf names a failure of the transport in DESIGN 3's words.
func kindOf(err error) string {
	var dns *net.DNSError
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, errSilent), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &dns):
		return "dns"
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &unknown):
		return "tls"
	case errors.As(err, &dial) && dial.Op == "dial":
		if dial.Timeout() {
			return "timeout"
		}
		return "connect"
	}
	return "reset"
}
