package instructions

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheFolder(t *testing.T) {
	h, dir := newHub(t), filepath.Join(t.TempDir(), "a", "cache")
	c, _ := newTestCache(t, h, dir)
	get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
	for name, mode := range map[string]os.FileMode{"": 0o700, metaFile: 0o600, "codex-instructions-gpt-5.5.txt": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}

	t.Run("a text that was changed counts as absent", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "codex-instructions-gpt-5.5.txt"), []byte("EVIL"), 0o600); err != nil {
			t.Fatal(err)
		}
		other, _ := newTestCache(t, h, dir)
		h.asked()
		get(t, other, "gpt-5.5", "BASE 5.5", SourceNetwork)
		h.wantAsked(t, modelsPath) // without an ETag, and without asking for the release again
	})
	for name, content := range map[string]string{
		"no JSON": "{", "a newer version": `{"version":99,"tag":"x"}`, "a bad tag": `{"version":1,"tag":"../x"}`,
	} {
		t.Run("meta file is "+name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, metaFile), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			get(t, c, "gpt-5.5", "BASE 5.5", SourceNetwork)
		})
	}
	t.Run("a clock that was set back", func(t *testing.T) {
		other, clk := newTestCache(t, h, dir)
		clk.add(-time.Hour)
		get(t, other, "gpt-5.5", "BASE 5.5", SourceStale)
	})
	t.Run("a folder that cannot be written", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		other, _ := newTestCache(t, h, filepath.Join(file, "cache"))
		get(t, other, "gpt-5.5", "BASE 5.5", SourceNetwork)
		get(t, other, "gpt-6-sol", "SOL calm.", SourceCache)
		h.put(rawPath("rust-v1", "core/gpt_5_codex_prompt.md"), "CODEX")
		get(t, other, "gpt-5-codex", "CODEX", SourceNetwork)
		get(t, other, "gpt-5.5", "BASE 5.5", SourceCache)
	})
}

// Models asks the disk once a second: what another process fetched is seen then.
func TestWhatOthersFetchedIsSeenWithinASecond(t *testing.T) {
	h, dir := newHub(t), t.TempDir()
	c, clk := newTestCache(t, h, dir)
	if len(c.WaitModels(t.Context())) != 2 {
		t.Fatal("no models")
	}
	c.running.Wait()
	before := c.Models()
	h.release("rust-v2")
	h.put(rawPath("rust-v2", "models-manager/models.json"), strings.Replace(catalogue1, "gpt-6-sol", "gpt-7", 1))
	other, otherClock := newTestCache(t, h, dir)
	otherClock.at = clk.now()
	if _, err := other.Refresh(t.Context(), "gpt-5.5"); err != nil {
		t.Fatal(err)
	}
	clk.add(lookEvery - time.Millisecond)
	if _, seen := c.Models()["gpt-7"]; seen {
		t.Error("the folder was looked at within the second")
	}
	clk.add(time.Millisecond)
	after := c.Models()
	if _, seen := after["gpt-7"]; !seen || len(before) != len(after) {
		t.Errorf("after a second: %v", after)
	}
	clk.add(-time.Hour)
	if err := os.Remove(filepath.Join(dir, metaFile)); err != nil {
		t.Fatal(err)
	}
	if c.Models() != nil {
		t.Error("a clock that was set back keeps an old look")
	}
}
