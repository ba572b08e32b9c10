package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestManifestIsFresh: manifest.json is what `codex-rota manifest` prints.
func TestManifestIsFresh(t *testing.T) {
	kept, err := os.ReadFile(filepath.Join("..", "..", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := newManifest()
	if err != nil {
		t.Fatal(err)
	}
	var fresh bytes.Buffer
	if err := printJSON(&fresh, m); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, fresh.Bytes()) {
		t.Error("manifest.json is stale; run: make manifest")
	}
}
