package response

import (
	"strings"
	"testing"
)

// TestDrippingHead: a stream that comes a byte at a time and never says what it is
// is looked at for 1 MiB and no longer, in time that grows with its length alone.
func TestDrippingHead(t *testing.T) {
	for name, piece := range map[string]string{
		"one event without an end": "data: " + strings.Repeat("x", headLimit),
		"comments":                 strings.Repeat(": ping\n", headLimit/7+1),
		"preambles":                strings.Repeat("event: ping\ndata: {}\n\n", headLimit/22+1),
		"JSON without an end":      `{"a":"` + strings.Repeat("x", headLimit),
		"blanks":                   strings.Repeat("\n", headLimit),
	} {
		t.Run(name, func(t *testing.T) {
			var h Head
			fed := 0
			for ; fed < headLimit; fed++ {
				if fed%1000 == 0 && h.Outcome(now, 200, nil).Class != ClassMore {
					break
				}
				h.Feed([]byte(piece[fed : fed+1]))
			}
			if out := h.Outcome(now, 200, nil); out.Class != ClassOutput || fed != headLimit {
				t.Errorf("after %d bytes it is %s", fed, out.Class)
			}
		})
	}
	t.Logf("figures: 5 streams of a byte at a time, each undecided for %d bytes and then delivered", headLimit)
}
