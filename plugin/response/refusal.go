package response

import (
	"bytes"
	"strings"

	"github.com/tidwall/gjson"
)

// longestText bounds what is kept of an upstream text.
const longestText = 4 << 10

var byteOrderMark = []byte("\xef\xbb\xbf")

// refusal is what an error body or a failure event says, whatever its shape
// (FACTS-upstream 4).
type refusal struct {
	code    string // of the innermost error object that has a code or a type
	kind    string // its type
	message string
	idents  []string // every code and type seen, in lower case
	status  int      // the status that a failure event itself names, 0 when none
	plan    string
	hints   []gjson.Result // the objects where a wait may be told, innermost first
	stream  bool           // a failure event: its error objects have no type
}

// readBody reads the body of an answer with an error status: JSON, an SSE stream
// all the same, text, HTML or nothing. A JSON body may be cut at its end.
func readBody(body []byte) refusal {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, byteOrderMark))
	switch {
	case len(body) == 0 || body[0] == '<':
		return refusal{}
	case body[0] == '{':
		return readJSON(gjson.ParseBytes(body))
	case looksLikeEvents(body):
		var head Head
		head.Feed(body)
		head.finish()
		if head.failure != nil {
			return *head.failure
		}
		return refusal{}
	}
	var r refusal
	text := string(body[:min(len(body), longestText)])
	if value := gjson.Parse(text); value.Type == gjson.String {
		text = value.Str
	}
	r.addText(text)
	return r
}

// readEvent reads the data of a failure event.
func readEvent(data []byte) refusal {
	r := readJSON(gjson.ParseBytes(data))
	r.stream = true
	return r
}

// readJSON takes the shapes {"error":{…}}, {"error":"code","code":…},
// {"detail":{…}}, {"detail":"text"}, {"response":{"error":{…}}} and {"code":…}.
func readJSON(root gjson.Result) refusal {
	var r refusal
	if !root.IsObject() {
		return r
	}
	var texts []string
	for _, path := range [...]string{"response.error", "error", "detail"} {
		switch value := root.Get(path); {
		case value.IsObject():
			r.addObject(value)
		case value.Type == gjson.String:
			texts = append(texts, value.Str)
		}
	}
	r.addObject(root)
	for _, text := range texts {
		r.addText(text) // the code that stands beside it comes first
	}
	if r.message == "" {
		r.message = cut(root.Get("error_description").String())
	}
	for _, key := range [...]string{"status", "status_code"} {
		if status := root.Get(key); status.Type == gjson.Number && status.Num >= 400 && status.Num < 600 {
			r.status = int(status.Num)
		}
	}
	return r
}

func (r *refusal) addObject(object gjson.Result) {
	code, kind := object.Get("code").String(), object.Get("type").String()
	if isEventType(kind) {
		kind = ""
	}
	if r.code == "" && r.kind == "" {
		r.code, r.kind = cut(code), cut(kind)
	}
	r.addIdent(code)
	r.addIdent(kind)
	if r.message == "" {
		r.message = cut(object.Get("message").String())
	}
	if r.plan == "" {
		r.plan = strings.ToLower(cut(object.Get("plan_type").String()))
	}
	r.hints = append(r.hints, object)
}

// addText takes a bare text: a code when it is written like one, else a message.
func (r *refusal) addText(text string) {
	text = strings.TrimSpace(text)
	if !isSlug(text) || !strings.Contains(text, "_") {
		if r.message == "" {
			r.message = cut(text)
		}
		return
	}
	switch {
	case r.code == "":
		r.code = cut(text)
	case r.kind == "":
		r.kind = cut(text)
	}
	r.addIdent(text)
}

func (r *refusal) addIdent(ident string) {
	const longest = 100
	if ident = strings.ToLower(strings.TrimSpace(ident)); ident != "" && len(ident) <= longest {
		r.idents = append(r.idents, ident)
	}
}

// isEventType tells the type of an SSE event from the type of an error: both
// stand under the key "type".
func isEventType(kind string) bool {
	return kind == "error" || strings.HasPrefix(kind, "response.")
}

// hasError reports whether a JSON document is an error, not an answer.
func hasError(root gjson.Result) bool {
	for _, path := range [...]string{"error", "response.error"} {
		if value := root.Get(path); value.IsObject() || (value.Type == gjson.String && value.Str != "") {
			return true
		}
	}
	if root.Get("type").String() == "error" {
		return true
	}
	if root.Get("output").Exists() || root.Get("id").Exists() {
		return false
	}
	return root.Get("detail").Exists() || (root.Get("code").Exists() && root.Get("message").Exists())
}

// cut copies text out of the body, so that keeping it does not keep the body.
func cut(text string) string {
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "")
	}
	return strings.Clone(text)
}
