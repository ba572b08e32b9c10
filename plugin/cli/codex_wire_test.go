package cli

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"codex-rota/plugin/sim"
)

// recorder passes requests on to an origin and keeps what went through, both
// ways, as bytes.
type recorder struct {
	*httptest.Server
	origin string
	mu     sync.Mutex
	seen   []exchanged
}

type exchanged struct {
	method, path      string
	asked, answered   http.Header
	request, response []byte
}

func newRecorder(t *testing.T, origin string) *recorder {
	r := &recorder{origin: origin}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	x := exchanged{method: in.Method, path: in.RequestURI, asked: in.Header.Clone()}
	x.request, _ = io.ReadAll(in.Body) // a body cut short differs from its original
	out, err := http.NewRequestWithContext(in.Context(), in.Method, r.origin+in.RequestURI, bytes.NewReader(x.request))
	if err != nil {
		panic(err) // the address was one already
	}
	out.Header = in.Header.Clone()
	answer, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	x.answered = answer.Header.Clone()
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	x.response, _ = io.ReadAll(io.TeeReader(answer.Body, w))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, x)
}

// modelCalls are the exchanges that answered the person.
func (r *recorder) modelCalls() []exchanged {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.seen), func(x exchanged) bool { return x.method != http.MethodPost })
}

// TestCodexPassesUntouched stands on both sides of the front end while the real
// Codex goes through it, and compares what went in with what came out: requests
// but for their credentials, answers in everything.
func TestCodexPassesUntouched(t *testing.T) {
	for _, model := range []string{"gpt-5.5", "gpt-6.1-sol"} {
		t.Run(model, func(t *testing.T) {
			c := newCodex(t, named("a", "b")...)
			c.useTools(1, nil)
			backend, err := url.Parse(c.sim.Backend())
			if err != nil {
				t.Fatal(err)
			}
			upstream := newRecorder(t, backend.Scheme+"://"+backend.Host)
			codex := newRecorder(t, "http://127.0.0.1:"+strconv.Itoa(c.port()))
			c.startWith([]string{"CODEX_ROTA_BACKEND=" + upstream.URL + "/backend-api"}, "exec", "--skip-git-repo-check", "-m", model,
				"-c", "model_providers.codex-rota.base_url="+strconv.Quote(codex.URL+"/backend-api/codex"), "Say hello.").shown().mustSay(t, "Hello from a")
			inside, outside := codex.modelCalls(), upstream.modelCalls()
			if len(inside) == 0 || len(inside) != len(outside) {
				t.Fatalf("%d calls of Codex, %d of the front end", len(inside), len(outside))
			}
			for i := range inside {
				compareExchanges(t, inside[i], outside[i], c.seats[0])
			}
			c.mustBeObedient()
		})
	}
}

func compareExchanges(t *testing.T, in, out exchanged, seat *sim.Seat) {
	t.Helper()
	if in.path != out.path || !bytes.Equal(in.request, out.request) {
		t.Errorf("%s with %d bytes became %s with %d", in.path, len(in.request), out.path, len(out.request))
	}
	if !bytes.Equal(in.response, out.response) || len(in.response) == 0 {
		t.Errorf("an answer of %d bytes became one of %d", len(out.response), len(in.response))
	}
	want := in.asked.Clone()
	want.Set("Authorization", "Bearer "+seat.Tokens().Access)
	want.Set("Chatgpt-Account-Id", seat.AccountID)
	compareHeaders(t, "request", want, out.asked)
	compareHeaders(t, "answer", out.answered, in.answered)
	for _, name := range []string{"Originator", "User-Agent", "Session-Id", "Thread-Id", "X-Codex-Turn-Metadata", "X-Codex-Window-Id"} {
		if out.asked.Get(name) == "" {
			t.Errorf("Codex sends no %s any more: this test is blind", name)
		}
	}
	for _, name := range []string{"Openai-Model", "X-Models-Etag", "X-Codex-Turn-State", "X-Codex-Primary-Used-Percent"} {
		if in.answered.Get(name) == "" {
			t.Errorf("the simulation sends no %s any more: this test is blind", name)
		}
	}
}

func compareHeaders(t *testing.T, what string, want, got http.Header) {
	t.Helper()
	for name := range maps.Keys(want) {
		if !slices.Equal(want[name], got[name]) {
			t.Errorf("%s header %s: %q became %q", what, name, want[name], got[name])
		}
	}
	for name := range maps.Keys(got) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s header %s was added: %q", what, name, strings.Join(got[name], ", "))
		}
	}
}
