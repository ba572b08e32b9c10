package instructions

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// listed is one model of models.json with its instructions, "" when it has none.
type listed struct {
	Model
	text string
}

// catalogueModel is what is read of a model in codex-rs/models-manager/models.json.
type catalogueModel struct {
	Slug    string `json:"slug"`
	Efforts []struct {
		Effort string `json:"effort"`
	} `json:"supported_reasoning_levels"`
	DefaultEffort string `json:"default_reasoning_level"`
	Lite          bool   `json:"use_responses_lite"`
	Base          string `json:"base_instructions"`
	Messages      struct {
		Template  string `json:"instructions_template"`
		Variables struct {
			Personality string `json:"personality_default"`
		} `json:"instructions_variables"`
	} `json:"model_messages"`
}

// parseCatalogue reads models.json. A model whose fields have become something
// else is left out: one new shape must not cost the rest. No model at all is an
// error.
func parseCatalogue(data []byte) ([]listed, error) {
	var file struct {
		Models []json.RawMessage `json:"models"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("models.json: %w", err)
	}
	var models []listed
	seen := map[string]bool{}
	for _, raw := range file.Models {
		var m catalogueModel
		if json.Unmarshal(raw, &m) != nil || m.Slug == "" || seen[m.Slug] {
			continue
		}
		seen[m.Slug] = true
		l := listed{Model: Model{Slug: m.Slug, DefaultEffort: m.DefaultEffort, Lite: m.Lite}, text: m.instructions()}
		for _, e := range m.Efforts {
			if e.Effort != "" {
				l.Efforts = append(l.Efforts, e.Effort)
			}
		}
		models = append(models, l)
	}
	if len(models) == 0 {
		return nil, errors.New("models.json lists no model that can be read")
	}
	return models, nil
}

// instructions is the model's text: base_instructions, else the template that
// newer catalogues have, with the default personality in its place.
func (m catalogueModel) instructions() string {
	if m.Base != "" {
		return m.Base
	}
	return strings.ReplaceAll(m.Messages.Template, "{{ personality }}", m.Messages.Variables.Personality)
}
