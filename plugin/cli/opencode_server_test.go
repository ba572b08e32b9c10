//go:build !windows

package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

// TestOpenCodeServer: OpenCode loads the plugin once for each project folder;
// all share one process of ours. Four calls are open in it at once, an answer and
// a title for each of two sessions.
func TestOpenCodeServer(t *testing.T) {
	o := newOpenCode(t, named("a")...)
	children := o.watchChildren()
	o.sim.SetReply(func(c sim.Call) sim.Reply {
		o.hold(func([]sim.Call) bool { return len(o.sim.Calls(sim.KindResponses)) == 4 })
		_, name, _ := strings.Cut(c.Body, "I am ")
		name, _, _ = strings.Cut(name, ".")
		if isTitle(c) {
			return sim.Reply{Text: "Title for " + name}
		}
		return sim.Reply{Text: "Hello " + name}
	})
	server := o.startWith(nil, "serve", "--port", "0", "--hostname", "127.0.0.1")
	address := regexp.MustCompile(`listening on (http://\S+)\n`)
	o.until("the server listens", func() bool { return address.MatchString(server.out.String()) })
	base := address.FindStringSubmatch(server.out.String())[1]
	var talks sync.WaitGroup
	for _, name := range []string{"one", "two"} {
		talks.Go(func() { o.meet(base, name) })
	}
	talks.Wait()
	children.started()
	server.signal(t, false, syscall.SIGTERM)
	server.wait()
	if more := children.ended(); more != 0 {
		t.Errorf("%d plugin processes, want 1", more+1)
	}
	o.mustTalk("a 200", "a 200")
	o.mustLeaveNothing()
	o.mustBeObedient()
}

// meet opens a session in a project folder of its own, and fails unless answer
// and title are for it.
func (o *openCode) meet(base, name string) {
	where := "?directory=" + url.QueryEscape(filepath.Join(o.dir, name))
	if err := os.Mkdir(filepath.Join(o.dir, name), 0o700); err != nil {
		o.t.Error(err)
	}
	session := o.request(http.MethodPost, base+"/session"+where, "{}").ID
	answer := o.request(http.MethodPost, base+"/session/"+session+"/message"+where,
		`{"model":{"providerID":"openai","modelID":"gpt-5.5"},"parts":[{"type":"text","text":"I am `+name+`."}]}`)
	if got := answer.text(); got != "Hello "+name {
		o.t.Errorf("%s reads %q", name, got)
	}
	var title string
	for end := time.Now().Add(hung); title != "Title for "+name; time.Sleep(10 * time.Millisecond) {
		title = o.request(http.MethodGet, base+"/session/"+session+where, "").Title
		if time.Now().After(end) || o.t.Failed() {
			o.t.Errorf("the session of %s is called %q", name, title)
			return
		}
	}
}

// message is what OpenCode's server answers, as far as the tests read it.
type message struct {
	ID    string
	Title string

	URL, Method, Instructions string // of a login that was started
	Parts                     []struct{ Type, Text string }
}

func (m message) text() string {
	var text string
	for _, p := range m.Parts {
		if p.Type == "text" {
			text += p.Text
		}
	}
	return text
}

func (o *openCode) request(method, address, body string) message {
	var m message
	o.exchange(method, address, body, &m)
	return m
}

// exchange sends a request to OpenCode's server and reads its JSON answer.
func (o *openCode) exchange(method, address, body string, answer any) {
	ctx, cancel := context.WithTimeout(o.t.Context(), hung)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		o.t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Error(err)
		return
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil || res.StatusCode != http.StatusOK {
		o.t.Errorf("%s %s: %s, %v", method, address, res.Status, err)
	}
}
