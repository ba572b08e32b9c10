package logging

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func tailOf(t *testing.T, dir string) *RequestTail {
	t.Helper()
	tail, err := OpenRequestTail(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tail.Close() })
	return tail
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestLastLines(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, RequestsLog)
	if lines, err := tailOf(t, dir).Last(-1); err != nil || lines != nil {
		t.Errorf("of no file: %q, %v", lines, err)
	}
	write(t, path+".1", "old 1\nold 2\n")
	write(t, path, "\nnew 1\nnew 2\nnew 3\nhalf")
	for n, want := range map[int]string{0: "", 1: "new 3", 3: "new 1 new 2 new 3", 4: "old 2 new 1 new 2 new 3", 9: "old 1 old 2 new 1 new 2 new 3", -1: "old 1 old 2 new 1 new 2 new 3"} {
		lines, err := tailOf(t, dir).Last(n)
		var got []string
		for _, line := range lines {
			got = append(got, string(line))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("last %d: %q, %v", n, got, err)
		}
	}
}

// TestFollow: no line is lost or given twice, through a log that begins, a line
// that is written in pieces, a rotation and a purge.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, RequestsLog)
	synctest.Test(t, func(t *testing.T) {
		tail := tailOf(t, dir)
		ctx, stop := context.WithCancel(t.Context())
		var got []string
		done := make(chan error)
		go func() {
			done <- tail.Follow(ctx, func(line []byte) error {
				got = append(got, string(line))
				return nil
			})
		}()
		step := func(want string) {
			t.Helper()
			time.Sleep(3 * tailPause)
			synctest.Wait()
			if seen := strings.Join(got, " "); seen != want {
				t.Fatalf("saw %q, want %q", seen, want)
			}
		}
		step("")
		write(t, path, "a\nb\n")
		step("a b")
		write(t, path, "c")
		step("a b")
		write(t, path, "c\n")
		step("a b cc")
		write(t, path, "d\n")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		write(t, path, "e\n")
		step("a b cc d e")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		step("a b cc d e")
		write(t, path, "f\n")
		step("a b cc d e f")
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		step("a b cc d e f")
		write(t, path, "g\n")
		step("a b cc d e f g")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestEventRoundTrip: what is read of the log is what was written.
func TestEventRoundTrip(t *testing.T) {
	want := Event{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), PID: 1, Event: "request", Call: "c", Attempt: 2, Account: "acct_1", Method: "POST",
		URL: "https://x/", Headers: [][2]string{{"a", "b"}}, EditCount: new(1), BodyBytes: new(9), Edits: []Edit{{3, 4, "text"}}, Body: new("{}")}
	line, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Event
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(line), `"edits":[[3,4,"text"]]`) {
		t.Errorf("an edit is not as on the wire: %s", line)
	}
}
