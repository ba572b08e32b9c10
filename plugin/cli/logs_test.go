package cli

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzEvent: whatever a line of the log holds, printing it moves no cursor.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"event":"response","call":"a\u001b[2J","attempt":1,"status":429,"verdict":"retry","why":"quota\n","elapsedMs":3}`))
	f.Add([]byte(`{"event":"request","method":"POST","url":"https://x/\u0007","account":"acct_\u202e","editCount":1,"bodyBytes":2}`))
	f.Add([]byte(`{"event":"response","transportError":"\u009b2J"}`))
	f.Add([]byte("no JSON \x1b]0;title\x07"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var out strings.Builder
		if err := (eventPrinter{&app{System: System{Out: &out}}, style{}, names{}}).print(line); err != nil {
			t.Fatal(err)
		}
		if shown := strings.TrimSuffix(out.String(), "\n"); strings.ContainsFunc(shown, unicode.IsControl) {
			t.Errorf("%q", shown)
		}
	})
}
