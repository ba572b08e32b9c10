package instructions

import (
	"slices"
	"strings"
)

// candidate is a place where a model's instructions may be: an entry of the
// catalogue, or a file of codex-rs/core.
type candidate struct {
	slug   string
	prompt string
}

// genericPrompt is Codex's text for models that it has no other for.
const genericPrompt = "prompt.md"

// candidates are the places for a model's text, the best first: its own entry
// in the catalogue, the file of its older family, the entry that its name
// extends ("gpt-5.5-high", a dated version), the generic file, and the
// catalogue's first text. slugs are the catalogue's entries that have a text.
func candidates(model string, slugs []string) []candidate {
	model = model[strings.LastIndexByte(model, '/')+1:]
	var places []candidate
	if slices.Contains(slugs, model) {
		places = append(places, candidate{slug: model})
	}
	if model != "" {
		for _, prompt := range familyPrompts(model) {
			places = append(places, candidate{prompt: prompt})
		}
		longest := ""
		for _, slug := range slugs {
			if strings.HasPrefix(model, slug+"-") && len(slug) > len(longest) {
				longest = slug
			}
		}
		if longest != "" {
			places = append(places, candidate{slug: longest})
		}
		places = append(places, candidate{prompt: genericPrompt})
	}
	if len(slugs) > 0 {
		places = append(places, candidate{slug: slugs[0]})
	}
	return places
}

// familyPrompts are the files of codex-rs/core for families older than the
// catalogue, the family's own first. Which of them a release still has shows
// when they are asked for.
func familyPrompts(model string) []string {
	const (
		codex    = "gpt_5_codex_prompt.md"
		codexMax = "gpt-5.1-codex-max_prompt.md"
		codex52  = "gpt-5.2-codex_prompt.md"
	)
	is := func(family string) bool { return model == family || strings.HasPrefix(model, family+"-") }
	switch {
	case is("gpt-5.2-codex"):
		return []string{codex52, codexMax, codex}
	case strings.Contains(model, "codex-max"):
		return []string{codexMax, codex}
	case strings.Contains(model, "codex"):
		return []string{codex}
	case is("gpt-5.2"):
		return []string{"gpt_5_2_prompt.md"}
	case is("gpt-5.1"), is("gpt-5"):
		return []string{"gpt_5_1_prompt.md"}
	}
	return nil
}
