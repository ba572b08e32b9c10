package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

const (
	releasePath = "/repos/openai/codex/releases/latest"
	modelsFile  = "/codex-rs/models-manager/models.json"
)

func (r *rig) rawURL(file string) string {
	return r.GitHubRaw() + "/openai/codex/rust-v0.169.0" + file
}

// checkCatalogue holds a catalogue against FACTS-upstream 3.
func checkCatalogue(t *testing.T, text string) {
	t.Helper()
	models := decode[struct {
		Models []struct {
			Slug    string
			Lite    bool                      `json:"use_responses_lite"`
			Text    string                    `json:"base_instructions"`
			Efforts []struct{ Effort string } `json:"supported_reasoning_levels"`
		}
	}](t, text).Models
	highest := map[string]string{
		"gpt-6-astra": "ultra", "gpt-6.1-sol": "ultra", "gpt-6.1-terra": "ultra", "gpt-6-sol": "ultra", "gpt-5.6-sol": "ultra",
		"gpt-5.6-terra": "ultra", "gpt-6-luna": "max", "gpt-5.6-luna": "max", "gpt-5.5": "xhigh",
	}
	if len(models) != len(highest) {
		t.Errorf("%d models", len(models))
	}
	for _, m := range models {
		last := m.Efforts[len(m.Efforts)-1].Effort
		if m.Efforts[0].Effort != "low" || last != highest[m.Slug] || m.Lite != (m.Slug != "gpt-5.5") || !strings.HasPrefix(m.Text, "Simulated") {
			t.Errorf("model %+v", m)
		}
	}
}

func TestReleaseAndFiles(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.do("GET", r.GitHubAPI()+releasePath, "")
	etag := got.header.Get("ETag")
	if got.status != 200 || !strings.Contains(got.body, `"tag_name":"rust-v0.169.0"`) || etag == "" || got.header.Get("X-RateLimit-Remaining") != "59" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	again := r.do("GET", r.GitHubAPI()+releasePath, "", "If-None-Match", etag)
	if again.status != 304 || again.body != "" || again.header.Get("X-RateLimit-Remaining") != "59" {
		t.Errorf("a 304 is free: %d %v", again.status, again.header)
	}
	file := r.do("GET", r.rawURL(modelsFile), "")
	checkCatalogue(t, file.body)
	if got := r.do("GET", r.rawURL(modelsFile), "", "If-None-Match", "W/"+file.header.Get("ETag")); got.status != 304 {
		t.Errorf("raw: %d", got.status)
	}
	if got := r.do("GET", r.rawURL("/codex-rs/core/gpt_5_codex_prompt.md"), ""); !strings.HasPrefix(got.body, "Simulated prompt") {
		t.Errorf("prompt: %d %s", got.status, got.body)
	}
	for _, missing := range []string{r.rawURL("/codex-rs/core/nope.md"), r.rawURL("/codex-rs/core/../x_prompt.md"), strings.Replace(r.rawURL(modelsFile), "0.169.0", "0.1.0", 1)} {
		if got := r.do("GET", missing, ""); got.status != 404 {
			t.Errorf("%s: %d", missing, got.status)
		}
	}
	r.SetRelease("rust-v0.170.0")
	if got := r.do("GET", r.GitHubAPI()+releasePath, "", "If-None-Match", etag); got.status != 200 || !strings.Contains(got.body, "rust-v0.170.0") {
		t.Errorf("a new release: %d %s", got.status, got.body)
	}
	if got := r.do("GET", strings.Replace(r.rawURL(modelsFile), "0.169.0", "0.170.0", 1), "", "If-None-Match", file.header.Get("ETag")); got.status != 200 {
		t.Errorf("its file: %d", got.status)
	}
}

func TestGitHubChecks(t *testing.T) {
	r := start(t, sim.Options{})
	seat := r.AddSeat(sim.Seat{})
	for _, url := range []string{r.GitHubAPI() + releasePath, r.rawURL(modelsFile)} {
		for _, c := range []struct {
			method, header, value string
			status                int
		}{
			{"POST", "X", "", 405},
			{"GET", "Authorization", "Bearer " + seat.Tokens().Access, 401},
		} {
			if got := r.do(c.method, url, "", c.header, c.value); got.status != c.status || r.last().Refused == "" {
				t.Errorf("%s %s with %s: %d", c.method, url, c.header, got.status)
			}
		}
	}
	r.do("GET", r.GitHubAPI()+releasePath, "", "User-Agent", "Go-http-client/1.1")
	if notes := r.last().Notes; !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "user agent") }) {
		t.Errorf("notes %q", notes)
	}
}

func TestGitHubGrantsSixtyAnHour(t *testing.T) {
	r := start(t, sim.Options{})
	for range 60 {
		if got := r.do("GET", r.GitHubAPI()+releasePath, ""); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if got := r.do("GET", r.GitHubAPI()+releasePath, ""); got.status != 403 || got.header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("the 61st: %d", got.status)
	}
	r.clock.advance(time.Hour)
	if got := r.do("GET", r.GitHubAPI()+releasePath, ""); got.status != 200 {
		t.Errorf("an hour later: %d", got.status)
	}
}
