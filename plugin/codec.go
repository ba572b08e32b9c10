package plugin

import (
	"strconv"

	"github.com/tidwall/gjson"

	"codex-rota/plugin/request"
)

// Prepare is asked on every generation, and its params and answer are small: made by
// reflection they took longer than all its work. Here they are read and written
// directly; encoding/json, by the types' tags, says what the result must be
// (codec_test.go), and does what is not usual.

// MarshalJSON is AppendJSON.
func (p Prepared) MarshalJSON() ([]byte, error) { return p.AppendJSON(nil), nil }

// AppendJSON appends the message: {"pass":true} for a call that is none of ours,
// else what the tags say, without escapes for HTML.
func (p *Prepared) AppendJSON(to []byte) []byte {
	if p.Pass {
		return append(to, `{"pass":true}`...)
	}
	to = append(to, '{')
	if p.Call != "" {
		to = append(append(append(to, `"call":`...), p.Call...), ',')
	}
	if a := p.Account; a != nil {
		to = request.AppendQuoted(append(to, `"account":{"id":`...), a.ID)
		to = append(request.AppendQuoted(append(to, `,"label":`...), a.Label), "},"...)
	}
	if p.URL != "" {
		to = append(request.AppendQuoted(append(to, `"url":`...), p.URL), ',')
	}
	if len(p.Headers) > 0 {
		to = append(to, `"headers":[`...)
		for i, h := range p.Headers {
			to = request.AppendQuoted(append(to, separated[min(i, 1)]...), h[0])
			to = append(request.AppendQuoted(append(to, ','), h[1]), ']')
		}
		to = append(to, "],"...)
	}
	to = append(request.AppendEdits(append(to, `"edits":`...), p.Edits), ',')
	if p.Body != nil {
		to = append(request.AppendQuoted(append(to, `"body":`...), *p.Body), ',')
	}
	to = strconv.AppendBool(append(to, `"collapse":`...), p.Collapse)
	if t := p.Timeouts; t != nil {
		to = strconv.AppendInt(append(to, `,"timeouts":{"headersMs":`...), t.HeadersMs, 10)
		to = append(strconv.AppendInt(append(to, `,"idleMs":`...), t.IdleMs, 10), '}')
	}
	return append(to, '}')
}

// separated begins the first of several lists, and the others.
var separated = [2]string{"[", ",["}

// ReadJSON reads valid JSON in UTF-8. It reports false, and has done nothing, when
// that is for encoding/json: anything but strings without escapes where they
// belong. What it has read are pieces of one copy of valid.
func (p *PrepareParams) ReadJSON(valid []byte) bool {
	var read PrepareParams
	params := gjson.ParseBytes(valid)
	if !params.IsObject() {
		return false
	}
	usual := true
	params.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "call":
			usual = value.Type == gjson.Number || isSimple(value)
			read.Call = CallID(value.Raw)
		case "url":
			read.URL, usual = value.Str, isSimple(value)
		case "method":
			read.Method, usual = value.Str, isSimple(value)
		case "session":
			read.Session, usual = value.Str, isSimple(value)
		case "headers":
			read.Headers, usual = simpleHeaders(value)
		default: // the body as text, a key in other case, or one that is not ours
			usual = false
		}
		return usual
	})
	if usual {
		*p = read
	}
	return usual
}

func simpleHeaders(list gjson.Result) ([]Header, bool) {
	if !list.IsArray() {
		return nil, false
	}
	headers := make([]Header, 0, 16)
	ok := true
	list.ForEach(func(_, pair gjson.Result) bool {
		var h Header
		n := 0
		ok = pair.IsArray()
		pair.ForEach(func(_, part gjson.Result) bool {
			if ok = ok && n < len(h) && isSimple(part); ok {
				h[n] = part.Str
			}
			n++
			return ok
		})
		ok = ok && n == len(h)
		headers = append(headers, h)
		return ok
	})
	return headers, ok
}

// isSimple reports whether v is a string that is written as it is. Only then its
// quotes are all that Raw has more.
func isSimple(v gjson.Result) bool { return v.Type == gjson.String && len(v.Raw) == len(v.Str)+2 }
