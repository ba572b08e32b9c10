package plugin

import (
	"strings"
	"testing"
)

// TestNaming: what a person writes on an account is shown in tables, so it must
// be a line of text and nothing that moves a cursor.
func TestNaming(t *testing.T) {
	for _, label := range []string{"", "work", "My 仕事 😀", strings.Repeat("é", longestLabel)} {
		if err := CheckLabel(label); err != nil {
			t.Errorf("%q: %v", label, err)
		}
	}
	for _, label := range []string{"a\nb", "\x1b[2J", "a\x00", "a\u0085b", "\xff", " a", "a ", strings.Repeat("é", longestLabel+1)} {
		if err := CheckLabel(label); err == nil {
			t.Errorf("%q was taken", label)
		}
	}
	if err := checkTags([]string{"eu", "night-shift"}); err != nil {
		t.Error(err)
	}
	for _, tags := range [][]string{{""}, {"two words"}, {"#a"}, {"a\x1b"}, make([]string, mostTags+1), {strings.Repeat("x", longestTag+1)}} {
		if err := checkTags(tags); err == nil {
			t.Errorf("%q were taken", tags)
		}
	}
}
