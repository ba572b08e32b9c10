package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"
)

const (
	askLimit = 10 * time.Second
	// Blocks end at the server's times: with a clock that is off, an account
	// stays blocked for as long after its reset, or is asked before it.
	skewNoted = 30 * time.Second
	skewBad   = 5 * time.Minute
)

// originAnswer is one origin, and what it said.
type originAnswer struct {
	host string
	skew time.Duration // how far this machine is ahead of it
	told bool          // its Date header could be read
	err  error
}

// checkNetwork asks the issuer and the backend for nothing, without credentials,
// and compares their clocks with ours.
func (d *Doctor) checkNetwork(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	answers := make([]originAnswer, 2)
	var all sync.WaitGroup
	for i, base := range []string{d.Settings.Issuer, d.Settings.Backend} {
		all.Go(func() { answers[i] = d.askOrigin(ctx, base) })
	}
	all.Wait()
	for _, p := range answers {
		if p.err != nil {
			d.fail("network", "check the connection, the firewall and HTTPS_PROXY", "%s does not answer from here: %v", p.host, p.err)
		} else {
			d.ok("network", "%s answers", p.host)
		}
	}
	for _, p := range answers {
		if p.told {
			d.checkClock(p)
			return
		}
	}
	d.warn("clock", "run this again when the network is there", "no server told its time")
}

func (d *Doctor) checkClock(p originAnswer) {
	const name = "clock"
	mend := "set this machine's clock"
	if runtime.GOOS == "linux" {
		mend = "sudo timedatectl set-ntp true"
	}
	off := p.skew.Abs().Round(time.Second)
	direction := "ahead of"
	if p.skew < 0 {
		direction = "behind"
	}
	switch text := fmt.Sprintf("this machine's clock is %s %s %s", off, direction, p.host); {
	case off > skewBad:
		d.fail(name, mend, "%s", text)
	case off > skewNoted:
		d.warn(name, mend, "%s", text)
	default:
		d.ok(name, "within %s of %s", skewNoted, p.host)
	}
}

// askOrigin asks an origin for its headers. Whatever it answers, it is reachable.
func (d *Doctor) askOrigin(ctx context.Context, base string) originAnswer {
	u, err := url.Parse(base)
	if err != nil {
		return originAnswer{host: base, err: err}
	}
	p := originAnswer{host: u.Host}
	origin := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, origin.String(), nil)
	if err != nil {
		p.err = err
		return p
	}
	req.Header.Set("User-Agent", Name)
	before := d.Now()
	resp, err := d.HTTP.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // the line names the host already
	}
	if err != nil {
		p.err = err
		return p
	}
	after := d.Now()
	_ = resp.Body.Close() // the answer to HEAD has none
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		middle := before.Add(after.Sub(before) / 2)
		p.skew, p.told = middle.Sub(date.Add(time.Second/2)), true // Date has no fractions
	}
	return p
}
