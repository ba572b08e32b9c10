package plugin

import (
	"maps"
	"slices"
	"sync"
	"time"

	"codex-rota/logging"
	"codex-rota/plugin/request"
	"codex-rota/plugin/response"
	"codex-rota/pool"
)

// How long things are remembered (DESIGN 3 and 5).
const (
	callMemory    = 2 * time.Hour
	sessionMemory = 24 * time.Hour
)

// call is one model call from prepare to done. Its fields are guarded by mu,
// which is held while one message about the call is worked on.
type call struct {
	mu      sync.Mutex
	id      CallID
	url     string // rewritten: where it goes
	method  string
	chat    bool // a /v1/chat/completions call: its body is never edited
	aside   bool // not the model's: what the Codex CLI asks beside it
	headers []Header
	session string
	// turnGiver is whose turn state the host's headers carry.
	turnGiver string
	raw       []byte        // the body as the host sent it, until delivery
	body      *request.Body // raw, scanned; nil when it is not to be edited
	textBody  bool          // the host sent the body as a string and gets it back so

	askedModel string // by the host
	model      string // that is sent: askedModel, or a fallback for it
	fallbacks  int    // how many of the person's chain were used

	since time.Time // when it began; never changed, so that the table may read it
	progress
	attempt      int
	firstAccount string
	account      string // of the current attempt
	label        string // of account, for people
	token        pool.Token
	head         *response.Head
	consumed     int64 // bytes of the stream that head has seen

	firstNumber   *int // the host's number for the first attempt: 1, or 0
	lastVerdict   *Verdict
	delivered     bool
	status        int
	answerHeaders []Header
	verdicts      []string
}

// refusedTokens are the verdicts that could not be written: the accounts, each
// with the access token that was refused. They hold for as long as that token is
// the stored one.
type refusedTokens struct {
	mu   sync.Mutex
	byID map[string]logging.Secret
}

func (r *refusedTokens) add(id string, access logging.Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[string]logging.Secret{}
	}
	r.byID[id] = access
}

// skip adds the accounts that must not be chosen to those in other.
func (r *refusedTokens) skip(accounts *pool.Roster, other map[string]bool) map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.byID) == 0 {
		return other
	}
	out := maps.Clone(other)
	if out == nil {
		out = map[string]bool{}
	}
	for id, access := range r.byID {
		if a := accounts.ByID(id); a != nil && access.Equal(a.Access) {
			out[id] = true
		}
	}
	return out
}

// callTable holds the calls in flight and the delivered ones that done may
// still be told about.
type callTable struct {
	mu    sync.Mutex
	byID  map[CallID]*call
	swept time.Time
}

func (t *callTable) get(id CallID) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

// put remembers c, in place of an older call of the same name, and forgets
// calls that nobody has spoken of for callMemory.
func (t *callTable) put(c *call, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = map[CallID]*call{}
	}
	if now.Sub(t.swept) > time.Minute {
		t.swept = now
		for id, old := range t.byID {
			if now.Sub(old.since) > callMemory {
				delete(t.byID, id)
			}
		}
	}
	t.byID[c.id] = c
}

// take removes and gives the call.
func (t *callTable) take(id CallID) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.byID[id]
	delete(t.byID, id)
	return c
}

// useFallback goes one step down the person's chain.
func (c *call) useFallback(model string) {
	c.model = model
	c.fallbacks++
}

// fallback is the model sent in place of the one the host asked for, "" for none.
func (c *call) fallback() string {
	if c.model == c.askedModel {
		return ""
	}
	return c.model
}

// isLate reports whether an answer is to an attempt that was judged already: the
// account in use now must not be charged for it. A host that gives no numbers is
// taken at its word.
func (c *call) isLate(number *int) bool {
	if number == nil {
		return false
	}
	if c.firstNumber == nil {
		c.firstNumber = number
	}
	return *number-*c.firstNumber+1 < c.attempt && c.lastVerdict != nil
}

// forgetBody frees what only a retry would need. All that is left of the body in
// the call, its session and its answers are copies.
func (s *Service) forgetBody(c *call) {
	c.delivered = true
	s.giveBack(c.raw)
	c.body, c.raw, c.head = nil, nil, nil
}

func (s *Service) giveBack(body []byte) {
	if s.reclaim != nil && body != nil {
		s.reclaim(body)
	}
}

// sessionFacts is what one session keeps in this process: the instructions it
// began with (a change is a cache miss) and whose turn states it was given. Its
// account, and the encrypted items it lost, are the pool's to remember.
type sessionFacts struct {
	instructions map[string]string // by model
	turnStates   []turnState       // the latest that it was given
	usedAt       time.Time
}

type sessionTable struct {
	mu    sync.Mutex
	byID  map[string]*sessionFacts
	swept time.Time
}

// sessionsKept bounds the memory; beyond it the sessions used longest ago go.
const sessionsKept = 4096

// read runs f on the session's facts under the lock; on empty ones when there are
// none, and makes none.
func (t *sessionTable) read(id string, f func(*sessionFacts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil {
		s = &sessionFacts{}
	}
	f(s)
}

// change runs f on the session's facts under the lock, making them first. A call
// without a session gets facts of its own that nobody keeps.
func (t *sessionTable) change(id string, now time.Time, f func(*sessionFacts)) {
	if id == "" {
		f(&sessionFacts{})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = map[string]*sessionFacts{}
	}
	if now.Sub(t.swept) > time.Hour || len(t.byID) > sessionsKept {
		t.sweep(now)
	}
	s := t.byID[id]
	if s == nil {
		s = &sessionFacts{}
		t.byID[id] = s
	}
	s.usedAt = now
	f(s)
}

func (t *sessionTable) sweep(now time.Time) {
	t.swept = now
	maps.DeleteFunc(t.byID, func(_ string, s *sessionFacts) bool { return now.Sub(s.usedAt) > sessionMemory })
	if len(t.byID) <= sessionsKept {
		return
	}
	ids := slices.SortedFunc(maps.Keys(t.byID), func(a, b string) int { return t.byID[a].usedAt.Compare(t.byID[b].usedAt) })
	for _, id := range ids[:len(ids)-sessionsKept/2] { // half, so that it is not done again at once
		delete(t.byID, id)
	}
}

// keepInstructions gives the text the session began with for this model, and
// begins with text when it has none.
func (t *sessionTable) keepInstructions(id, model, text string, now time.Time) string {
	t.change(id, now, func(s *sessionFacts) {
		if known, ok := s.instructions[model]; ok {
			text = known
			return
		}
		if s.instructions == nil {
			s.instructions = map[string]string{}
		}
		s.instructions[model] = text
	})
	return text
}

func (t *sessionTable) instructions(id, model string) (text string, ok bool) {
	t.read(id, func(s *sessionFacts) { text, ok = s.instructions[model] })
	return text, ok
}
