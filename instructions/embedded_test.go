package instructions

import (
	"slices"
	"testing"
)

func TestEmbeddedModels(t *testing.T) {
	models := EmbeddedModels()
	if len(models) != 9 {
		t.Fatalf("%d models, want the 9 of FACTS-upstream 3", len(models))
	}
	for slug, last := range map[string]string{"gpt-6-astra": "ultra", "gpt-5.6-luna": "max", "gpt-5.5": "xhigh"} {
		m := models[slug]
		if m.Slug != slug || !slices.Contains(m.Efforts, last) || m.Efforts[len(m.Efforts)-1] != last || m.Lite == (slug == "gpt-5.5") {
			t.Errorf("%s is %+v", slug, m)
		}
	}
}
