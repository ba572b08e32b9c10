package response

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// vector is one line of a vector file of this package's areas.
type vector struct {
	Name     string            `json:"name"`
	NowMs    int64             `json:"now_ms"`
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers"`
	Body     json.RawMessage   `json:"body"`
	SSE      string            `json:"sse"`
	Usage    json.RawMessage   `json:"usage"`
	Expected struct {
		Class     Class           `json:"class"`
		WaitMs    *int64          `json:"wait_ms"`
		Status    int             `json:"status"`
		Body      json.RawMessage `json:"body"`
		ErrorCode string          `json:"error_code"`
		Plan      string          `json:"plan"`
		Until     json.RawMessage `json:"exhausted_until_ms"`
		Windows   []struct {
			Name    string  `json:"name"`
			Used    float64 `json:"used_percent"`
			Minutes int     `json:"window_minutes"`
			ResetMs int64   `json:"reset_at_ms"`
			Label   string  `json:"label"`
		} `json:"windows"`
	} `json:"expected"`
}

// eachVector runs the vectors beside the checkout. They are no part of it: where
// they are absent the test says so and is skipped.
func eachVector(t *testing.T, file string, run func(t *testing.T, v vector)) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "vectors", file)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED, NOTHING WAS CHECKED: the vectors are not beside the checkout (%s)", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(v.Name, func(t *testing.T) { run(t, v) })
	}
}

func (v vector) now() time.Time { return time.UnixMilli(v.NowMs).UTC() }

func (v vector) headerList() []Header {
	var headers []Header
	for name, value := range v.Headers {
		headers = append(headers, Header{name, value})
	}
	return headers
}

// bodyBytes is the body as sent: a JSON string stands for its text.
func (v vector) bodyBytes() []byte {
	var text string
	if json.Unmarshal(v.Body, &text) == nil {
		return []byte(text)
	}
	return v.Body
}

func TestClassifyVectors(t *testing.T) {
	eachVector(t, "classify.jsonl", func(t *testing.T, v vector) {
		out := Classify(v.Status, v.headerList(), v.bodyBytes(), v.now())
		if out.Class != v.Expected.Class {
			t.Errorf("class %q, want %q", out.Class, v.Expected.Class)
		}
		if v.Expected.WaitMs != nil {
			if got := out.Until.Sub(v.now()).Milliseconds(); got != *v.Expected.WaitMs {
				t.Errorf("wait %d ms, want %d", got, *v.Expected.WaitMs)
			}
		} else if !out.Until.IsZero() {
			t.Errorf("until %v, want none", out.Until)
		}
	})
}

func TestWindowVectors(t *testing.T) {
	eachVector(t, "windows.jsonl", func(t *testing.T, v vector) {
		plan, windows := "", HeaderWindows(v.headerList(), v.now())
		if v.Usage != nil {
			var err error
			if plan, windows, err = ParseUsage(v.Usage, v.now()); err != nil {
				t.Fatal(err)
			}
		}
		if plan != v.Expected.Plan {
			t.Errorf("plan %q, want %q", plan, v.Expected.Plan)
		}
		if v.Expected.Windows != nil && len(windows) != len(v.Expected.Windows) {
			t.Fatalf("windows %v", windows)
		}
		for i, want := range v.Expected.Windows {
			got := windows[i]
			if got.Name != want.Name || got.UsedPercent != want.Used || got.WindowMinutes != want.Minutes {
				t.Errorf("window %d is %+v, want %+v", i, got, want)
			}
			if want.ResetMs != 0 && got.ResetAt.UnixMilli() != want.ResetMs {
				t.Errorf("%s resets at %d, want %d", got.Name, got.ResetAt.UnixMilli(), want.ResetMs)
			}
			if want.Label != "" && Label(got.WindowMinutes) != want.Label {
				t.Errorf("%s is labelled %q, want %q", got.Name, Label(got.WindowMinutes), want.Label)
			}
		}
		if v.Expected.Until != nil {
			got := []byte("null")
			if until, _ := ExhaustedUntil(windows, v.now()); !until.IsZero() {
				got, _ = json.Marshal(until.UnixMilli())
			}
			if !bytes.Equal(got, v.Expected.Until) {
				t.Errorf("exhausted until %s, want %s", got, v.Expected.Until)
			}
		}
	})
}

func TestHeadVectors(t *testing.T) {
	eachVector(t, "sse_head.jsonl", func(t *testing.T, v vector) {
		var head Head
		head.Feed([]byte(v.SSE))
		if out := head.Outcome(v.now(), 200, nil); out.Class != v.Expected.Class {
			t.Errorf("class %q, want %q", out.Class, v.Expected.Class)
		}
		var bytewise Head
		for i := range len(v.SSE) {
			bytewise.Feed([]byte{v.SSE[i]})
		}
		if out := bytewise.Outcome(v.now(), 200, nil); out.Class != v.Expected.Class {
			t.Errorf("byte by byte: class %q, want %q", out.Class, v.Expected.Class)
		}
	})
}

func TestCollapseVectors(t *testing.T) {
	eachVector(t, "collapse.jsonl", func(t *testing.T, v vector) {
		got := Collapse([]byte(v.SSE), v.now())
		if got.Status != v.Expected.Status {
			t.Errorf("status %d, want %d", got.Status, v.Expected.Status)
		}
		if !slices.Contains(got.Headers, Header{"content-type", "application/json"}) {
			t.Errorf("headers %v", got.Headers)
		}
		var body, want any
		if err := json.Unmarshal(got.Body, &body); err != nil {
			t.Fatalf("body %q: %v", got.Body, err)
		}
		if v.Expected.Body != nil {
			if err := json.Unmarshal(v.Expected.Body, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Error(diff)
			}
		}
		if code := errorCode(got.Body); code != v.Expected.ErrorCode {
			t.Errorf("error code %q, want %q", code, v.Expected.ErrorCode)
		}
	})
}

func errorCode(body []byte) string {
	var shaped struct {
		Error struct{ Code string }
	}
	if json.Unmarshal(body, &shaped) != nil {
		return ""
	}
	return shaped.Error.Code
}
