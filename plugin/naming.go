package plugin

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"codex-rota/pool"
)

// How long, in characters, what a person may write on an account can be, and how
// many tags there are.
const (
	longestLabel = 80
	longestTag   = 40
	longestNote  = 500
	mostTags     = 20
)

// CheckLabel refuses a label that a line of text cannot show. "" is no label.
func CheckLabel(label string) error { return checkLine("the label", label, longestLabel) }

func checkLine(what, text string, longest int) error {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return badParams("%s must be one line of plain text", what)
	case utf8.RuneCountInString(text) > longest:
		return badParams("%s must not be longer than %d characters", what, longest)
	case strings.TrimSpace(text) != text:
		return badParams("%s must not begin or end with a blank", what)
	}
	return nil
}

func checkTags(tags []string) error {
	if len(tags) > mostTags {
		return badParams("an account can have %d tags", mostTags)
	}
	for _, tag := range tags {
		if tag == "" || strings.ContainsFunc(tag, unicode.IsSpace) || strings.HasPrefix(tag, "#") {
			return badParams("a tag is one word, without #")
		}
		if err := checkLine("a tag", tag, longestTag); err != nil {
			return err
		}
	}
	return nil
}

// Tags is a change of an account's tags: Clear comes first, then Remove, then
// Add. A tag that is there already is not added again.
type Tags struct {
	Clear  bool
	Remove []string
	Add    []string
}

// Tag changes the tags of an account, by its id, whatever another process does
// to them at the same time, and gives them as they are now.
func (s *Service) Tag(ctx context.Context, id string, change Tags) ([]string, error) {
	var tags []string
	err := s.store.Update(ctx, id, func(a *pool.Account) error {
		if change.Clear {
			a.Tags = nil
		}
		a.Tags = slices.DeleteFunc(a.Tags, func(tag string) bool { return slices.Contains(change.Remove, tag) })
		for _, tag := range change.Add {
			if !slices.Contains(a.Tags, tag) {
				a.Tags = append(a.Tags, tag)
			}
		}
		tags = a.Tags
		return checkTags(a.Tags)
	})
	return tags, s.changed(err)
}
