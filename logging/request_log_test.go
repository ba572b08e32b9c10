package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
)

func assertMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != want {
		t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
	}
}

func openTestLog(t *testing.T, bodies bool) (l *RequestLog, dir string, log *bytes.Buffer) {
	t.Helper()
	dir, log = t.TempDir(), new(bytes.Buffer)
	l, err := OpenRequestLog(RequestLogOptions{
		Dir: dir, Bodies: bodies, Log: hclog.New(&hclog.LoggerOptions{Output: log}),
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, dir, log
}

func logCall(l *RequestLog) {
	l.Request(Request{
		Call: "7", Attempt: 1, Account: "acct_1", Method: "POST", URL: "https://h/codex/responses?access_token=hush",
		Headers: [][2]string{{"authorization", "Bearer hush"}, {"originator", "opencode"}},
		Body:    []byte(`{"model":"gpt-5.5","note":"refresh_token=hush"}`),
		Edits:   []Edit{{Start: 1, Delete: 2, Text: `"store":false`}},
	})
	l.Response(Response{
		Call: "7", Attempt: 1, Status: 429, Headers: [][2]string{{"set-cookie", "hush"}, {"retry-after", "5"}},
		Elapsed: 1500 * time.Microsecond, Head: []byte("event: error"), Verdict: "retry", Why: "quota gone",
	})
	l.Done(Done{Call: "7", End: "completed", Duration: 2 * time.Second, Tail: []byte(`{"type":"response.completed"}`)})
}

func TestRequestLog(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bodies bool
		want   []string // of every line, without time and pid
	}{
		{"without bodies", false, []string{
			`"event":"request","call":"7","attempt":1,"account":"acct_1","method":"POST","url":"https://h/codex/responses?access_token=[redacted]","headers":[["authorization","[redacted]"],["originator","opencode"]],"editCount":1,"bodyBytes":47}`,
			`"event":"response","call":"7","attempt":1,"status":429,"elapsedMs":1.5,"verdict":"retry","why":"quota gone","headers":[["set-cookie","[redacted]"],["retry-after","5"]],"bodyBytes":12}`,
			`"event":"done","call":"7","end":"completed","durationMs":2000,"bodyBytes":29}`,
		}},
		{"with bodies", true, []string{
			`"editCount":1,"bodyBytes":47,"edits":[[1,2,"\"store\":false"]],"body":"{\"model\":\"gpt-5.5\",\"note\":\"refresh_token=[redacted]\"}"}`,
			`"bodyBytes":12,"body":"event: error"}`,
			`"bodyBytes":29,"body":"{\"type\":\"response.completed\"}"}`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, dir, log := openTestLog(t, tc.bodies)
			logCall(l)
			path := filepath.Join(dir, RequestsLog)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
			if len(lines) != len(tc.want) {
				t.Fatalf("%d lines: %s", len(lines), b)
			}
			for i, want := range tc.want {
				if !json.Valid([]byte(lines[i])) || !strings.HasPrefix(lines[i], `{"time":"2026-01-02T03:04:05Z","pid":`) ||
					!strings.HasSuffix(strings.TrimSpace(lines[i]), want) {
					t.Errorf("line %d:\n got %s\nwant …%s", i, lines[i], want)
				}
			}
			if bytes.Contains(b, []byte("hush")) {
				t.Errorf("a credential is in the log: %s", b)
			}
			if warned := strings.Contains(log.String(), "[WARN]"); warned != tc.bodies {
				t.Errorf("warned about bodies: %v, want %v", warned, tc.bodies)
			}
			assertMode(t, path, 0o600)
		})
	}
}

func TestRequestLogBodyLimits(t *testing.T) {
	l, _, _ := openTestLog(t, true)
	if got := *l.body([]byte{0xff, 0xfe}); got != "[binary]" {
		t.Errorf("binary body is shown as %q", got)
	}
	long := []byte(strings.Repeat("é", maxLoggedBody))
	if got := *l.body(long); len(got) > maxLoggedBody+len("[cut]") || !strings.HasSuffix(got, "é[cut]") || !utf8.ValidString(got) {
		t.Errorf("long body is shown with %d bytes", len(got))
	}
}

func TestNilRequestLog(t *testing.T) {
	var l *RequestLog
	logCall(l)
	if l.Bodies() || l.Close() != nil {
		t.Error("a nil log does something")
	}
}

// A disk that fails must not fail a call, and must not flood the log either.
func TestRequestLogFailureIsReportedOnce(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	folder := filepath.Join(dir, "log")
	l, err := OpenRequestLog(RequestLogOptions{Dir: folder, Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // a file where the folder was
		t.Fatal(err)
	}
	logCall(l)
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("reported %d times, want once:\n%s", n, log.String())
	}
}

func TestRotationKeepsWholeLines(t *testing.T) {
	const writers, each, size = 4, 500, 4096
	path := filepath.Join(t.TempDir(), "sub", "log")
	var wg sync.WaitGroup
	for w := range writers {
		f, err := openRotatingFile(path, size) // each as if in a process of its own
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		wg.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintf(f, "{%d %d %s}\n", w, i, strings.Repeat("x", 50)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != keptFiles+1 { // and the lock
		t.Errorf("files: %q", names)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}\n") {
				t.Errorf("%s: broken line %q", name, line)
			}
		}
		assertMode(t, name, 0o600)
	}
}

func TestRotationLosesNoLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := openRotatingFile(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 4 * keptFiles {
		fmt.Fprintf(f, "%020d\n", i) // four a file
	}
	var all []byte
	for i := keptFiles - 1; i >= 0; i-- {
		b, err := os.ReadFile(f.numbered(i))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 100 {
			t.Errorf("%s holds %d bytes", f.numbered(i), len(b))
		}
		all = append(all, b...)
	}
	if n := bytes.Count(all, []byte("\n")); n != 4*keptFiles {
		t.Errorf("%d lines are left, want %d", n, 4*keptFiles)
	}
}
