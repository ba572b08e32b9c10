package mcp

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"codex-rota/plugin"
)

var update = flag.Bool("update", false, "write the golden transcripts anew")

// fakeTools answers from the tool's name and arguments. The account of a quota
// call chooses what happens.
type fakeTools struct {
	mu    sync.Mutex
	ended []string // why calls ended that waited
}

func (f *fakeTools) RunTool(ctx context.Context, p plugin.ToolParams) (*plugin.ToolResult, error) {
	switch args := string(p.Args); {
	case strings.Contains(args, "slow"): // until cancelled
		<-ctx.Done()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended = append(f.ended, context.Cause(ctx).Error())
		return nil, fmt.Errorf("reading: %w", ctx.Err())
	case strings.Contains(args, "second"):
		time.Sleep(time.Second) // of the bubble's clock
	case strings.Contains(args, "panic"):
		panic("a Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWNyZXQifQ.c2lnbmF0dXJlc2lnbmF0dXJl")
	case strings.Contains(args, "inner"):
		return nil, errors.New("open /home/someone/secret: no such file")
	case strings.Contains(args, "nobody"):
		return &plugin.ToolResult{Text: "codex-rota: no account is called \"nobody\"\n", Failed: true}, nil
	case p.Name == "switch_account" && !strings.Contains(args, "account"):
		return nil, &plugin.Error{Params: true, Message: "switch_account wants the account: an id, a label or a position"}
	}
	return &plugin.ToolResult{Text: "ran " + p.Name + " " + string(p.Args) + " <&>\n"}, nil
}

// output is a client that reads everything at once.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.buf.Reset()
	return o.buf.String()
}

// client is a test's end of a connection, inside a synctest bubble.
type client struct {
	t     *testing.T
	tools *fakeTools
	in    *io.PipeWriter
	out   *output
	ended chan error
}

func connect(t *testing.T) *client {
	t.Helper()
	read, write := io.Pipe()
	c := &client{t: t, tools: &fakeTools{}, in: write, out: &output{}, ended: make(chan error, 1)}
	go func() { c.ended <- Serve(t.Context(), read, c.out, Options{Tools: c.tools, Version: "1.2.3"}) }()
	return c
}

// send writes a line and gives what was answered once nothing moves.
func (c *client) send(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
	return c.out.take()
}

// close ends stdin and wants Serve to return nil.
func (c *client) close() string {
	c.t.Helper()
	c.in.Close()
	if err := <-c.ended; err != nil {
		c.t.Errorf("Serve: %v", err)
	}
	return c.out.take()
}

// TestTranscripts plays the client's side of testdata/mcp/*.txtar and compares
// what is answered. Files, in order:
//
//	send    one message, or several, one a line
//	second  a second passes
//	eof     stdin ends
//	recv    everything answered since, sorted; written by -update
//
// The bubble ends only when no goroutine is left.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("../../testdata/mcp/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			played := &txtar.Archive{Comment: archive.Comment}
			synctest.Test(t, func(t *testing.T) { played.Files = play(t, archive.Files) })
			if *update {
				if err := os.WriteFile(name, txtar.Format(played), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(played))); diff != "" {
				t.Errorf("transcript differs (-want +got):\n%s", diff)
			}
		})
	}
}

// play gives the files with every recv as it came now.
func play(t *testing.T, files []txtar.File) []txtar.File {
	c := connect(t)
	var played []txtar.File
	ended := false
	for _, f := range files {
		got := ""
		switch f.Name {
		case "recv":
			continue
		case "send":
			got = c.send(strings.TrimSuffix(string(f.Data), "\n"))
		case "second":
			time.Sleep(time.Second)
			synctest.Wait()
			got = c.out.take()
		case "eof":
			got, ended = c.close(), true
		default:
			t.Fatalf("unknown file %q", f.Name)
		}
		played = append(played, f)
		if got != "" {
			lines := slices.Sorted(strings.Lines(got))
			played = append(played, txtar.File{Name: "recv", Data: []byte(strings.Join(lines, ""))})
		}
	}
	if !ended {
		if rest := c.close(); rest != "" {
			t.Errorf("answered after the end: %q", rest)
		}
	}
	return played
}
