package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
)

// RequestsLog is the name of the request log in the log folder.
const RequestsLog = "requests.jsonl"

// maxLoggedBody bounds what one line holds of a body or of an edit's text.
const maxLoggedBody = 4 << 20

// RequestLog writes what the plugin saw of each call, one JSON line an event
// (DESIGN 6). Headers and URLs lose their credentials; bodies are written only
// when asked for, and through Redact too. Several processes may write to one
// folder. A nil *RequestLog does nothing. A failing disk never fails a call: it
// is reported to the logger, once.
type RequestLog struct {
	file   *rotatingFile
	bodies bool
	log    hclog.Logger
	now    func() time.Time
	report sync.Once
}

// RequestLogOptions says where the request log goes. Bodies adds request
// bodies, and of answers the head and the tail (CODEX_PLUGIN_LOG_BODIES). Log
// must not be nil. Now nil is time.Now.
type RequestLogOptions struct {
	Dir    string
	Bodies bool
	Log    hclog.Logger
	Now    func() time.Time
}

// OpenRequestLog opens RequestsLog in o.Dir. With bodies it warns each time:
// prompts, source code and answers will lie in that file.
func OpenRequestLog(o RequestLogOptions) (*RequestLog, error) {
	file, err := openRotatingFile(filepath.Join(o.Dir, RequestsLog), maxFileSize)
	if err != nil {
		return nil, fmt.Errorf("open the request log: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Bodies {
		o.Log.Warn("request and answer bodies are being written to the log; unset CODEX_PLUGIN_LOG_BODIES to stop", "file", file.path)
	}
	return &RequestLog{file: file, bodies: o.Bodies, log: o.Log, now: o.Now}, nil
}

// Edit is a change to the body as it came: Delete bytes at Start become Text.
// In the log it is [start, delete, "text"], as on the wire.
type Edit struct {
	Start  int
	Delete int
	Text   string
}

func (e Edit) MarshalJSON() ([]byte, error) {
	return json.Marshal([3]any{e.Start, e.Delete, e.Text})
}

func (e *Edit) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[3]any{&e.Start, &e.Delete, &e.Text})
}

// Request is one try that is about to be sent. Body is what the host sent,
// Edits are what becomes of it.
type Request struct {
	Call    string
	Attempt int
	Account string // the account's public id
	Method  string
	URL     string
	Headers [][2]string
	Body    []byte
	Edits   []Edit
}

// Response is what came back of a try, or Transport, the kind of failure, when
// nothing did. Head is the answer's beginning as far as the plugin saw it.
type Response struct {
	Call      string
	Attempt   int
	Status    int
	Transport string
	Headers   [][2]string
	Elapsed   time.Duration
	Head      []byte
	Verdict   string
	Why       string
}

// Done is a call's end: completed, failed or aborted. Tail is the answer's end.
type Done struct {
	Call     string
	End      string
	Duration time.Duration
	Tail     []byte
}

// Event is one line of the file: a request, a response or the done of a call.
// Sizes are in bytes, times in milliseconds.
type Event struct {
	Time       time.Time   `json:"time"`
	PID        int         `json:"pid"`
	Event      string      `json:"event"`
	Call       string      `json:"call"`
	Attempt    int         `json:"attempt,omitempty"`
	Account    string      `json:"account,omitempty"`
	Method     string      `json:"method,omitempty"`
	URL        string      `json:"url,omitempty"`
	Status     int         `json:"status,omitempty"`
	Transport  string      `json:"transportError,omitempty"`
	ElapsedMs  *float64    `json:"elapsedMs,omitempty"`
	Verdict    string      `json:"verdict,omitempty"`
	Why        string      `json:"why,omitempty"`
	End        string      `json:"end,omitempty"`
	DurationMs *float64    `json:"durationMs,omitempty"`
	Headers    [][2]string `json:"headers,omitempty"`
	EditCount  *int        `json:"editCount,omitempty"`
	BodyBytes  *int        `json:"bodyBytes,omitempty"`
	Edits      []Edit      `json:"edits,omitempty"`
	Body       *string     `json:"body,omitempty"`
}

// Bodies reports whether bodies are logged, for a caller to whom having one at
// hand costs something.
func (l *RequestLog) Bodies() bool { return l != nil && l.bodies }

// Request logs a try before it is sent.
func (l *RequestLog) Request(r Request) {
	if l == nil {
		return
	}
	rec := Event{
		Event: "request", Call: r.Call, Attempt: r.Attempt, Account: r.Account,
		Method: r.Method, URL: RedactURL(r.URL), Headers: RedactHeaders(r.Headers),
		EditCount: new(len(r.Edits)), BodyBytes: new(len(r.Body)), Body: l.body(r.Body),
	}
	if l.bodies {
		for _, e := range r.Edits {
			e.Text = *l.body([]byte(e.Text))
			rec.Edits = append(rec.Edits, e)
		}
	}
	l.write(rec)
}

// Response logs a try's answer and what was decided about it.
func (l *RequestLog) Response(r Response) {
	if l == nil {
		return
	}
	l.write(Event{
		Event: "response", Call: r.Call, Attempt: r.Attempt, Status: r.Status, Transport: r.Transport,
		ElapsedMs: milliseconds(r.Elapsed), Headers: RedactHeaders(r.Headers), Verdict: r.Verdict,
		Why: RedactString(r.Why), BodyBytes: new(len(r.Head)), Body: l.body(r.Head),
	})
}

// Done logs the end of a call.
func (l *RequestLog) Done(d Done) {
	if l == nil {
		return
	}
	l.write(Event{
		Event: "done", Call: d.Call, End: d.End, DurationMs: milliseconds(d.Duration),
		BodyBytes: new(len(d.Tail)), Body: l.body(d.Tail),
	})
}

// Close ends the log. Events after it open the file again.
func (l *RequestLog) Close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// body is what may be shown of a body: nil unless bodies are wanted. It is
// redacted before it is cut, so that no half of a token is left.
func (l *RequestLog) body(b []byte) *string {
	if !l.bodies {
		return nil
	}
	if !utf8.Valid(b) {
		return new("[binary]")
	}
	shown := Redact(b)
	if len(shown) > maxLoggedBody {
		shown = append(bytes.ToValidUTF8(shown[:maxLoggedBody:maxLoggedBody], nil), "[cut]"...)
	}
	return new(string(shown))
}

func (l *RequestLog) write(rec Event) {
	rec.Time, rec.PID = l.now().UTC(), os.Getpid()
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(rec)
	if err == nil {
		_, err = l.file.Write(line.Bytes())
	}
	if err != nil {
		l.report.Do(func() {
			l.log.Error("the request log cannot be written; further failures are not reported", "error", err)
		})
	}
}

func milliseconds(d time.Duration) *float64 {
	return new(float64(d.Microseconds()) / 1000)
}
