package request

import (
	"slices"
	"strings"
)

// efforts are the reasoning efforts there are, least first.
var efforts = [...]string{"none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"}

// Slug takes a model as a person writes it apart (FACTS-upstream 3): without a
// provider prefix (`openai/`), and without an effort suffix (`-high`) when what
// remains is a slug of the catalogue and the whole is not. effort is the suffix,
// "" when none was cut. With no catalogue a suffix stays.
func Slug(model string, c Catalogue) (slug, effort string) {
	if _, known := c[model]; known {
		return model, ""
	}
	slug = model
	if rest, ok := strings.CutPrefix(model, "openai/"); ok && rest != "" {
		slug = rest
	}
	if _, known := c[slug]; known {
		return slug, ""
	}
	for _, e := range efforts {
		if base, ok := strings.CutSuffix(slug, "-"+e); ok {
			if _, known := c[base]; known {
				return base, e
			}
		}
	}
	return slug, ""
}

// Suffixed reports whether a model's name ends like an effort: then only the
// catalogue can tell a suffix from a name, and it is worth a short wait.
func Suffixed(model string) bool {
	return slices.ContainsFunc(efforts[:], func(e string) bool { return strings.HasSuffix(model, "-"+e) })
}

// nearest is the offered effort closest to the wanted one, the lower of two that
// are as close, and "" when the model offers none.
func nearest(wanted string, offered []string) string {
	want, best, distance := slices.Index(efforts[:], wanted), "", len(efforts)
	for rank, e := range efforts {
		if d := max(rank-want, want-rank); d < distance && slices.Contains(offered, e) {
			best, distance = e, d
		}
	}
	return best
}

// reasons reports whether a model is a reasoning model, which refuses
// temperature and top_p. The catalogue tells by the efforts it lists. Of a model
// it does not list the name must do: gpt-5 and later, o1 and its kin, codex.
// Wrongly false costs a 400, wrongly true a setting that the person chose.
func reasons(slug string, c Catalogue) bool {
	if m, known := c[slug]; known {
		return len(m.Efforts) > 0
	}
	if version, ok := strings.CutPrefix(slug, "gpt-"); ok && version != "" {
		twoDigits := len(version) > 1 && isDigit(version[0]) && isDigit(version[1])
		if twoDigits || version[0] >= '5' && version[0] <= '9' {
			return true
		}
	}
	return len(slug) > 1 && slug[0] == 'o' && isDigit(slug[1]) || strings.Contains(slug, "codex")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
