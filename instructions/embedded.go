package instructions

import (
	_ "embed"
	"encoding/json"
	"sync"
)

//go:embed embedded-models.json
var embeddedModelsText []byte

// EmbeddedModels is the catalogue of Codex 0.169.0 (FACTS-upstream 3), without
// its texts: what stands in while nothing was ever fetched. The map is shared and
// must not be changed.
var EmbeddedModels = sync.OnceValue(func() map[string]Model {
	var listed map[string]struct {
		Efforts []string `json:"efforts"`
		Lite    bool     `json:"lite"`
	}
	if err := json.Unmarshal(embeddedModelsText, &listed); err != nil {
		return nil // a test holds the embedded text to be readable
	}
	models := make(map[string]Model, len(listed))
	for slug, m := range listed {
		models[slug] = Model{Slug: slug, Efforts: m.Efforts, Lite: m.Lite}
	}
	return models
})
