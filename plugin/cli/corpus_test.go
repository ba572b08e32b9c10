package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryParserHasACorpus: each fuzz target begins with hand-made inputs in
// testdata, which `go test` runs as cases and `make fuzz` goes on from.
func TestEveryParserHasACorpus(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	targets, inputs := 0, 0
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range target.FindAllSubmatch(code, -1) {
			corpus, err := filepath.Glob(filepath.Join(filepath.Dir(path), "testdata", "fuzz", string(found[1]), "*"))
			if err != nil || len(corpus) == 0 {
				t.Errorf("%s of %s has no input in testdata/fuzz (%v)", found[1], path, err)
			}
			targets++
			for _, file := range corpus {
				if text, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(text, []byte("go test fuzz v1\n")) {
					t.Errorf("%s is no input for a fuzz target (%v)", file, err)
				}
				inputs++
			}
		}
		return nil
	})
	if err != nil || targets == 0 {
		t.Errorf("%d targets, %v", targets, err)
	}
	t.Logf("figures: %d fuzz targets with %d inputs in testdata", targets, inputs)
}
