package plugin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// readLine gives the next line, good until the next one is read.
func readLine(lines *bufio.Reader) ([]byte, error) {
	line, err := lines.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	rest, err := lines.ReadBytes('\n')
	return append(long, rest...), err
}

// names keeps one text for each of those that come again and again.
type names map[string]string

func (n names) of(text []byte) string {
	known, ok := n[string(text)]
	if !ok {
		known = string(text)
		n[known] = known
	}
	return known
}

// parse makes e the entry that a line holds, and reports whether it holds one. A
// line as write writes it is read without encoding/json: a year of them is a
// hundred thousand.
func (e *LedgerEntry) parse(line []byte, known names) bool {
	if e.scan(line, known) {
		return true
	}
	*e = LedgerEntry{}
	return json.Unmarshal(line, e) == nil && !e.Time.IsZero()
}

// scan is parse for a line of write's own form, verdicts left out; false for any
// other, which may be an entry all the same.
func (e *LedgerEntry) scan(line []byte, known names) bool {
	*e = LedgerEntry{}
	l := ledgerLine{rest: line}
	if !l.step(`{"time":"`) || e.Time.UnmarshalText(l.text()) != nil || e.Time.IsZero() {
		return false
	}
	l.want(`,"account":"`)
	e.Account = known.of(l.text())
	l.want(`,"model":"`)
	e.Model = known.of(l.text())
	if l.step(`,"session":"`) {
		e.Session = known.of(l.text())
	}
	l.want(`,"inputTokens":`)
	e.InputTokens = l.number()
	l.want(`,"cachedTokens":`)
	e.CachedTokens = l.number()
	l.want(`,"outputTokens":`)
	e.OutputTokens = l.number()
	l.want(`,"durationMs":`)
	e.DurationMs = l.number()
	l.want(`,"verdicts":`)
	l.texts()
	l.want(`,"end":"`)
	e.End = known.of(l.text())
	l.want("}")
	return !l.other && len(l.rest) == 0
}

// ledgerLine is what is left of a line; other says that it is not of write's form.
type ledgerLine struct {
	rest  []byte
	other bool
}

// step steps over what comes next if that is it.
func (l *ledgerLine) step(next string) bool {
	if len(l.rest) < len(next) || string(l.rest[:len(next)]) != next {
		return false
	}
	l.rest = l.rest[len(next):]
	return true
}

func (l *ledgerLine) want(next string) {
	if !l.step(next) {
		l.other = true
	}
}

// text is the rest of a text after its first quote, if it is plain: ASCII without
// escapes.
func (l *ledgerLine) text() []byte {
	end := bytes.IndexByte(l.rest, '"')
	if end < 0 {
		l.other = true
		return nil
	}
	text := l.rest[:end]
	for _, c := range text {
		if c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			l.other = true
		}
	}
	l.rest = l.rest[end+1:]
	return text
}

// texts steps over a list of texts, or null.
func (l *ledgerLine) texts() {
	if l.step("null") || l.step("[]") {
		return
	}
	for l.want(`["`); !l.other; l.want(`,"`) {
		l.text()
		if l.step("]") {
			return
		}
	}
}

func (l *ledgerLine) number() int64 {
	end := 0
	for end < len(l.rest) && (l.rest[end] == '-' && end == 0 || l.rest[end] >= '0' && l.rest[end] <= '9') {
		end++
	}
	digits := l.rest[:end]
	l.rest = l.rest[end:]
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || digits[0] == '0' && end > 1 || digits[0] == '-' {
		l.other = true // a negative one is nobody's, and left to encoding/json
	}
	return n
}
