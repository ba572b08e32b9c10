package cli

import (
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	for used, want := range map[float64]string{
		-5: "░░░░░░░░", 0: "░░░░░░░░", 0.1: "█░░░░░░░", 50: "████░░░░", 99.6: "███████░", 100: "████████", 250: "████████",
	} {
		if got := bar(used); got != want {
			t.Errorf("%v: %s, want %s", used, got, want)
		}
	}
	for used, want := range map[float64]string{0: "0%", 42.4: "42%", 99.6: "99%", 100: "100%"} {
		if got := percent(used); got != want {
			t.Errorf("%v: %s, want %s", used, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 3, 10, 14, 0, 0, 0, time.Local) // a Tuesday
	for want, got := range map[string]string{
		"in 45s (14:00)":           until(now.Add(45*time.Second), now),
		"in 2h 5m (16:05)":         until(now.Add(2*time.Hour+5*time.Minute), now),
		"in 1d 1h (Wed 15:00)":     until(now.Add(25*time.Hour), now),
		"in 9d 0h (19 Mar 14:00)":  until(now.Add(9*24*time.Hour), now),
		"3m ago":                   ago(new(now.Add(-3*time.Minute)), now),
		"never":                    ago(nil, now),
		"now":                      ago(new(now.Add(time.Minute)), now), // another clock
		"0s":                       span(-time.Minute),
		"1 234 567":                count(1234567),
		"-12 345":                  count(-12345),
		"123":                      count(123),
		"1 account and 2 accounts": plural(1, "account") + " and " + plural(2, "account"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain 仕事 😀 é": "plain 仕事 😀 é", "a\x1b[2Jb": "a�[2Jb", "a\nb\tc": "a b c", "a\u202eb": "a�b", "a\u0085b": "a�b", "a\xffb": "a�b",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 7, "one two|three"},
		{"one abcdefghij", 4, "one|abcd|efgh|ij"},
		{"仕事仕事 仕事", 5, "仕事|仕事|仕事"},
		{"仕事", 1, "仕事"}, // no room for even one: it goes over
	} {
		if got := strings.Join(wrap(test.text, test.width), "|"); got != test.want {
			t.Errorf("%q at %d: %q, want %q", test.text, test.width, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	draw := func(s style) string {
		var out strings.Builder
		table := newTable(&out, s, column{head: "NAME", flex: true}, column{head: "N", right: true}, column{head: "SECOND", drop: 2}, column{head: "FIRST", drop: 1}, column{head: "END"})
		table.row(cell{"仕事 of a long name to be cut", bold}, cell{text: "7"}, cell{text: "two"}, cell{text: "one"}, cell{"x", red})
		table.row(cell{text: "e\u0301 😀"}, cell{text: "1234"})
		table.note("a note of several words", dim)
		if err := table.flush(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, test := range []struct {
		name  string
		style style
		want  []string
	}{
		{"no limit", style{}, []string{
			"NAME                              N  SECOND  FIRST  END",
			"仕事 of a long name to be cut     7  two     one    x",
			"e\u0301 😀                           1234",
			"    a note of several words"}},
		{"a column is left out before the name is cramped", style{width: 40}, []string{
			"NAME                 N  SECOND  END",
			"仕事 of a long …     7  two     x",
			"e\u0301 😀              1234",
			"    a note of several words"}},
		{"narrow", style{width: 20}, []string{
			"NAME          N  END",
			"仕事 of …     7  x",
			"e\u0301 😀       1234",
			"    a note of",
			"    several words"}},
	} {
		if got, want := draw(test.style), strings.Join(test.want, "\n")+"\n"; got != want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, want)
		}
	}
	for line := range strings.Lines(draw(style{width: 24})) {
		if w := widthOf(strings.TrimSuffix(line, "\n")); w > 24 {
			t.Errorf("%d columns: %q", w, line)
		}
	}
	if coloured := draw(style{colour: true}); !strings.Contains(coloured, "\x1b[31mx\x1b[0m") {
		t.Errorf("no colour: %q", coloured)
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 10, 14, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"90m": now.Add(-90 * time.Minute), "7d": now.AddDate(0, 0, -7), "1w": now.AddDate(0, 0, -7),
		"2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local),
	} {
		var f sinceFlag
		if err := f.Set(text); err != nil || !f.before(now).Equal(want) || f.String() != text {
			t.Errorf("%s: %v %v, want %v", text, f.before(now), err, want)
		}
	}
	for _, text := range []string{"", "0h", "-1h", "-3d", "d", "1.5d", "2026-02-30", "yesterday", "99999999999999999999d"} {
		if err := new(sinceFlag).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if got := new(sinceFlag).before(now); !got.Equal(now.Add(-24 * time.Hour)) {
		t.Errorf("by default since %v", got)
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("one two 仕事仕事", 5)
	f.Fuzz(func(t *testing.T, text string, width int) {
		text = printable(text)
		for _, line := range wrap(text, width) {
			if width >= 2 && widthOf(line) > width && widthOf(line) > 2 {
				t.Errorf("%q is wider than %d", line, width)
			}
		}
	})
}
