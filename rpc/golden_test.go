package rpc

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden transcripts anew")

// TestTranscripts plays the host's side of testdata/rpc/*.txtar and compares what
// is answered. The comment's last line is `framing: lines` or `framing: headers`.
// Files, in order:
//
//	send    one message, framed as the framing says
//	attach  the attachment of the send that follows
//	raw     bytes as they are, with \n for CRLF under headers, less the last newline
//	eof     stdin ends
//	recv    everything answered since, one JSON text a line; written by -update
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("../testdata/rpc/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var played []txtar.File
			synctest.Test(t, func(t *testing.T) { played = play(t, archive) })
			if *update {
				archive.Files = played
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: played}))); diff != "" {
				t.Errorf("transcript differs (-want +got):\n%s", diff)
			}
		})
	}
}

// play gives the archive's files with every recv as it came now.
func play(t *testing.T, archive *txtar.Archive) []txtar.File {
	headers := bytes.HasSuffix(bytes.TrimSpace(archive.Comment), []byte("framing: headers"))
	c := serve(t)
	var played []txtar.File
	attachment, ended := "", false
	for _, f := range archive.Files {
		text, got := strings.TrimSuffix(string(f.Data), "\n"), ""
		switch f.Name {
		case "recv":
			continue
		case "attach":
			attachment = text
		case "send":
			if headers {
				got = c.send(framed(text, attachment))
			} else {
				got = c.send(text + "\n")
			}
			attachment = ""
		case "raw":
			if headers {
				text = strings.ReplaceAll(text, "\n", "\r\n")
			}
			got = c.send(text)
		case "eof":
			got, ended = c.close(), true
		default:
			t.Fatalf("unknown file %q", f.Name)
		}
		played = append(played, f)
		if got != "" {
			played = append(played, txtar.File{Name: "recv", Data: []byte(readable(t, got, headers))})
		}
	}
	if !ended {
		if rest := c.close(); rest != "" {
			t.Errorf("answered after the end: %q", rest)
		}
	}
	return played
}

// readable is what was answered, one JSON text a line, in an order that does not
// depend on which call was faster.
func readable(t *testing.T, got string, headers bool) string {
	var texts []string
	if headers {
		texts = unframe(t, []byte(got))
	} else {
		texts = strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	}
	slices.Sort(texts)
	return strings.Join(texts, "\n") + "\n"
}
