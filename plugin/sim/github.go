package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// catalogueETag is the backend's name for its catalogue.
const catalogueETag = `"sim-models-1"`

// apiQuota is what GitHub grants an hour to who does not log in (FACTS-upstream 6).
const apiQuota = 60

// efforts are all reasoning efforts, in rising order.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"}

// catalogueModel is one model of the catalogue (FACTS-upstream 3). The texts are
// invented. From ShellType on it is what the Codex CLI takes no catalogue without.
type catalogueModel struct {
	Slug             string        `json:"slug"`
	DisplayName      string        `json:"display_name"`
	Efforts          []effortLevel `json:"supported_reasoning_levels"`
	DefaultEffort    string        `json:"default_reasoning_level"`
	Lite             bool          `json:"use_responses_lite"`
	ContextWindow    int           `json:"context_window"`
	SupportVerbosity bool          `json:"support_verbosity"`
	DefaultVerbosity string        `json:"default_verbosity"`
	BaseInstructions string        `json:"base_instructions"`
	Messages         modelMessages `json:"model_messages"`
	ShellType        string        `json:"shell_type"`
	ApplyPatchType   string        `json:"apply_patch_tool_type"`
	Visibility       string        `json:"visibility"`
	InAPI            bool          `json:"supported_in_api"`
	Priority         int           `json:"priority"` // 1 is offered first
	Truncation       truncation    `json:"truncation_policy"`
	Experimental     []string      `json:"experimental_supported_tools"`
}

// truncation is how long a tool's output may be.
type truncation struct {
	Mode  string `json:"mode"`
	Limit int    `json:"limit"`
}

type effortLevel struct {
	Effort      string `json:"effort"`
	Description string `json:"description"`
}

type modelMessages struct {
	Template string `json:"instructions_template"`
}

// catalogue is the models as of a release.
func catalogue(tag string) []catalogueModel {
	var out []catalogueModel
	add := func(highest string, lite bool, slugs ...string) {
		from, to := slices.Index(efforts, "low"), slices.Index(efforts, highest)
		for _, slug := range slugs {
			text := "Simulated instructions for " + slug + " of " + tag + ".\n"
			m := catalogueModel{
				Slug: slug, DisplayName: slug, DefaultEffort: "medium", Lite: lite, ContextWindow: 272000,
				SupportVerbosity: true, DefaultVerbosity: "low", BaseInstructions: text, Messages: modelMessages{text + "{{ personality }}\n"},
				ShellType: "unified_exec", ApplyPatchType: "freeform", Visibility: "list", InAPI: true, Priority: len(out) + 1,
				Truncation: truncation{"tokens", 10000}, Experimental: []string{},
			}
			for _, e := range efforts[from : to+1] {
				m.Efforts = append(m.Efforts, effortLevel{e, "Simulated effort " + e})
			}
			out = append(out, m)
		}
	}
	add("ultra", true, "gpt-6-astra", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-sol", "gpt-5.6-sol", "gpt-5.6-terra")
	add("max", true, "gpt-6-luna", "gpt-5.6-luna")
	add("xhigh", false, "gpt-5.5")
	return out
}

func catalogueJSON(tag string) string {
	return toJSON(struct {
		Models []catalogueModel `json:"models"`
	}{catalogue(tag)})
}

// findModel gives a model by its slug, nil when the catalogue has none.
func findModel(slug string) *catalogueModel {
	for _, m := range catalogue("") {
		if m.Slug == slug {
			return &m
		}
	}
	return nil
}

// SetRelease publishes a new release: another tag, other texts, another ETag.
func (s *Server) SetRelease(tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release = tag
}

// conditional answers 304 when the asker has this text already.
func (x *exchange) conditional(body, mime string) answer {
	sum := sha256.Sum256([]byte(body))
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	a := answer{status: 200, body: body, header: map[string]string{"ETag": etag, "Content-Type": mime}}
	if strings.TrimPrefix(x.r.Header.Get("If-None-Match"), "W/") == etag {
		a.status, a.body = 304, ""
	}
	return a
}

// asksGitHub refuses what no request to GitHub must be.
func (x *exchange) asksGitHub() *refusal {
	switch {
	case x.r.Method != "GET":
		return &refusal{"method " + x.r.Method, apiMessage(405, "Method Not Allowed")}
	case x.r.Header.Get("Authorization") != "":
		return &refusal{"an authorization was sent to GitHub", apiMessage(401, "Bad credentials")}
	case x.r.UserAgent() == "":
		return &refusal{"no user agent", apiMessage(403, "Request forbidden by administrative rules.")}
	}
	return nil
}

func apiMessage(status int, text string) answer {
	return answer{status: status, body: toJSON(struct {
		Message string `json:"message"`
	}{text})}
}

// latestRelease counts the hour's requests; a 304 is free.
func (x *exchange) latestRelease() answer {
	if r := x.asksGitHub(); r != nil {
		return x.refuse(r.why, r.answer)
	}
	return x.strike(func() answer {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
		a := x.conditional(toJSON(struct {
			Tag        string `json:"tag_name"`
			Name       string `json:"name"`
			Prerelease bool   `json:"prerelease"`
		}{x.s.release, strings.TrimPrefix(x.s.release, "rust-v"), false}), "application/json; charset=utf-8")
		now := x.s.opts.Now()
		if !now.Before(x.s.hour) {
			x.s.hour, x.s.asked = now.Add(time.Hour), 0
		}
		if a.status == 200 && x.s.asked >= apiQuota {
			a = apiMessage(403, "API rate limit exceeded for 127.0.0.1.")
		} else if a.status == 200 {
			x.s.asked++
		}
		return rateHeaders(a, apiQuota-x.s.asked, x.s.hour)
	})
}

func rateHeaders(a answer, left int, reset time.Time) answer {
	return a.with("X-Ratelimit-Limit", strconv.Itoa(apiQuota)).
		with("X-Ratelimit-Remaining", strconv.Itoa(left)).
		with("X-Ratelimit-Reset", strconv.FormatInt(reset.Unix(), 10))
}

// isPrompt reports whether a path names one of the older families' prompts.
func isPrompt(path string) bool {
	name, inCore := strings.CutPrefix(path, "codex-rs/core/")
	return inCore && strings.HasSuffix(name, "prompt.md") && strings.Trim(name, base64URL+".") == ""
}

// rawFile serves the files of FACTS-upstream 6 at the newest tag.
func (x *exchange) rawFile() answer {
	if r := x.asksGitHub(); r != nil {
		return x.refuse(r.why, r.answer)
	}
	return x.strike(func() answer {
		x.s.mu.Lock()
		tag := x.s.release
		x.s.mu.Unlock()
		path, known := strings.CutPrefix(x.r.URL.Path, "/openai/codex/"+tag+"/")
		switch {
		case known && path == "codex-rs/models-manager/models.json":
			return x.conditional(catalogueJSON(tag), "text/plain; charset=utf-8")
		case known && isPrompt(path):
			return x.conditional(fmt.Sprintf("Simulated prompt %s of %s.\n", path, tag), "text/plain; charset=utf-8")
		}
		return answer{status: 404, body: "404: Not Found", header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}}
	})
}
