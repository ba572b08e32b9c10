package plugin

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"codex-rota/plugin/request"
	"codex-rota/plugin/sim"
)

func reasoning(blob string) string {
	return `{"type":"reasoning","summary":[],"encrypted_content":"` + blob + `"}`
}

// TestDroppedReasoningStaysDropped: what the backend could not decrypt is left
// out of the session's later turns too; new items and other sessions keep theirs.
func TestDroppedReasoningStaysDropped(t *testing.T) {
	r := newServiceRig(t, 1, rigOptions{})
	prepare := func(call, session string, blobs ...string) (data []byte) {
		t.Helper()
		var items []string
		for _, blob := range blobs {
			items = append(items, reasoning(blob))
		}
		data = body("gpt-5.5", append(items, `{"role":"user","content":"go on"}`)...)
		prepared, err := r.try(call, session, data)
		if err != nil {
			t.Fatal(err)
		}
		return request.Apply(data, prepared.Edits)
	}
	want := func(sent []byte, present, absent string) {
		t.Helper()
		for blob := range strings.FieldsSeq(present) {
			if !strings.Contains(string(sent), `"`+blob+`"`) {
				t.Errorf("%s is missing in %s", blob, sent)
			}
		}
		for blob := range strings.FieldsSeq(absent) {
			if strings.Contains(string(sent), `"`+blob+`"`) {
				t.Errorf("%s is still there in %s", blob, sent)
			}
		}
	}
	first := body("gpt-5.5", reasoning("one"), reasoning("two"))
	if _, err := r.try("1", "s", first); err != nil {
		t.Fatal(err)
	}
	v := r.respond("1", 400, `{"error":{"code":"invalid_encrypted_content"}}`)
	r.wantRetry(v, 0)
	want(request.Apply(first, v.Request.Edits), "", "one two")
	want(prepare("2", "s", "one", "two", "three"), "three", "one two")
	want(prepare("3", "another", "one", "two"), "one two", "")
}

// switchable is a network that can be gone.
type switchable struct{ on atomic.Bool }

func (n *switchable) RoundTrip(r *http.Request) (*http.Response, error) {
	if !n.on.Load() {
		return offline{}.RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// toServer sends what is meant for GitHub to the simulation.
type toServer struct {
	switchable
	server *sim.Server
}

func (n *toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	to := n.server.GitHubRaw()
	if strings.HasPrefix(r.URL.Host, "api.") {
		to = n.server.GitHubAPI()
	}
	origin, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = origin.Scheme, origin.Host, origin.Host
	return n.switchable.RoundTrip(r)
}

// TestSessionKeepsItsInstructions: a text that changes in mid-session would cost
// the session its prompt cache; only new sessions get the new one.
func TestSessionKeepsItsInstructions(t *testing.T) {
	server, err := sim.Start(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	network := &toServer{server: server}
	r := newServiceRig(t, 1, rigOptions{github: &http.Client{Transport: network}})
	without := []byte(strings.Replace(string(body("gpt-5.5")), `"instructions":"x",`, "", 1))
	instructions := func(call, session string) string {
		t.Helper()
		prepared, err := r.try(call, session, without)
		if err != nil {
			t.Fatal(err)
		}
		_, after, found := strings.Cut(string(request.Apply(without, prepared.Edits)), `"instructions":"`)
		text, _, _ := strings.Cut(after, `"`)
		if !found || text == "" {
			t.Fatalf("call %s has no instructions", call)
		}
		return text
	}
	began := instructions("1", "s")
	network.on.Store(true)
	if _, err := r.RefreshInstructions(t.Context(), "gpt-5.5"); err != nil {
		t.Fatal(err)
	}
	if got := instructions("2", "s"); got != began {
		t.Errorf("in mid-session the text changed to %.60q", got)
	}
	if got := instructions("3", "new"); got == began {
		t.Error("a new session does not get the new text")
	}
}
