package instructions

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

func TestParseCatalogue(t *testing.T) {
	got, err := parseCatalogue([]byte(`{"future":1,"models":[
		{"slug":"a","supported_reasoning_levels":null,"model_messages":null,"default_reasoning_level":null},
		{"slug":"b","supported_reasoning_levels":["low"]},
		{"slug":5}, 7, {"no":"slug"},
		{"slug":"a","base_instructions":"twice"},
		{"slug":"c","base_instructions":"C","model_messages":{"instructions_template":"T"},"supported_reasoning_levels":[{"effort":"low"},{}],"use_responses_lite":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []listed{
		{Model: Model{Slug: "a"}},
		{Model: Model{Slug: "c", Efforts: []string{"low"}, Lite: true}, text: "C"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(listed{})); diff != "" {
		t.Error(diff)
	}
}

func TestCandidates(t *testing.T) {
	slugs := []string{"gpt-6-sol", "gpt-5.5", "gpt-5.5-mini"}
	for model, want := range map[string]string{
		"gpt-5.5":             "gpt-5.5 prompt.md gpt-6-sol",
		"openai/gpt-5.5":      "gpt-5.5 prompt.md gpt-6-sol",
		"gpt-5.5-mini-high":   "gpt-5.5-mini prompt.md gpt-6-sol",
		"gpt-5.50":            "prompt.md gpt-6-sol",
		"gpt-5.5-codex":       "gpt_5_codex_prompt.md gpt-5.5 prompt.md gpt-6-sol",
		"gpt-5.2-codex":       "gpt-5.2-codex_prompt.md gpt-5.1-codex-max_prompt.md gpt_5_codex_prompt.md prompt.md gpt-6-sol",
		"gpt-5.1-codex-max":   "gpt-5.1-codex-max_prompt.md gpt_5_codex_prompt.md prompt.md gpt-6-sol",
		"codex-mini-latest":   "gpt_5_codex_prompt.md prompt.md gpt-6-sol",
		"gpt-5.2":             "gpt_5_2_prompt.md prompt.md gpt-6-sol",
		"gpt-5-mini":          "gpt_5_1_prompt.md prompt.md gpt-6-sol",
		"":                    "gpt-6-sol",
		"something/../../odd": "prompt.md gpt-6-sol",
	} {
		var got []string
		for _, place := range candidates(model, slugs) {
			got = append(got, place.slug+place.prompt)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", model, s, want)
		}
	}
}

func TestFileName(t *testing.T) {
	for in, plain := range map[string]bool{"gpt-5.5": true, "../x": false, "": false, "a/b": false, ".hidden": false, "a b": false, "é": false, "-x": false, "x": true, "A_b-9.": true, strings.Repeat("x", 100): true, strings.Repeat("x", 101): false, strings.Repeat("x", 200): false} {
		got := fileName(in)
		if (got == in) != plain || !isPlain(got, longestFileName) {
			t.Errorf("fileName(%q) = %q", in, got)
		}
	}
}

func FuzzParseCatalogue(f *testing.F) {
	f.Add([]byte(catalogue1))
	f.Add([]byte(`{"models":[null,{"slug":"../x","base_instructions":"\u0000"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		models, err := parseCatalogue(data)
		if (err == nil) != (len(models) > 0) {
			t.Errorf("%d models and error %v", len(models), err)
		}
		for _, m := range models {
			if m.Slug == "" || filepath.Base(fileName(m.Slug)) != fileName(m.Slug) {
				t.Errorf("slug %q", m.Slug)
			}
		}
	})
}

// Whatever the meta file holds, reading it neither panics nor reads a file
// outside the folder.
func FuzzMeta(f *testing.F) {
	f.Add([]byte(`{"version":1,"tag":"t","models":[{"slug":"m","text":{"file":"../outside","sha256":"` + hash([]byte("outside")) + `","tag":"t"}}]}`))
	f.Add([]byte(`{"version":1,"tag":"t","models":[{"slug":""}],"prompts":{"prompt.md":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := filepath.Join(t.TempDir(), "cache")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{filepath.Join(dir, metaFile): data, filepath.Join(dir, "..", "outside"): []byte("outside")} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := &store{dir: dir, log: hclog.NewNullLogger()}
		for _, model := range []string{"m", "", "gpt-5-codex"} {
			if found := s.resolve(s.load(), model); found.text == "outside" {
				t.Error("read a file outside the folder")
			}
		}
	})
}
