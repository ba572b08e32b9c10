package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"codex-rota/plugin/request"
)

// Prepare turns the host's outgoing call into the one that is sent: the
// session's account, a fresh token, the edits its body needs. A URL that is no
// model call passes as it is, with no token of ours; only the Codex CLI has other
// calls to its backend, and they get an account too.
func (s *Service) Prepare(ctx context.Context, p PrepareParams, body []byte) (*Prepared, error) {
	prepared, err := s.prepare(ctx, p, body)
	if err != nil || prepared.Pass {
		s.giveBack(body) // no call was remembered with it
	}
	return prepared, err
}

func (s *Service) prepare(ctx context.Context, p PrepareParams, body []byte) (*Prepared, error) {
	if p.URL == "" {
		return nil, badParams("url is missing")
	}
	url, ours := request.RewriteURL(p.URL, s.settings.Backend)
	aside := false
	if !ours && s.hostName() == HostCodex {
		url, aside = request.UnderCodex(p.URL, s.settings.Backend)
	}
	if !ours && !aside {
		return &Prepared{Pass: true}, nil
	}
	now := s.now()
	c := &call{id: p.Call, url: url, aside: aside, chat: request.IsChat(p.URL), method: p.Method, headers: p.Headers, raw: body, textBody: p.Body != nil,
		since: now, progress: progress{startedAt: now, tries: 1}}
	if c.id == "" {
		c.id = s.newCallID()
	}
	s.readBody(ctx, c)
	c.session = c.sessionOf(p.Session, p.Headers)
	c.turnGiver = s.turnGiver(c) // before the session may be bound to another account
	c.mu.Lock()
	defer c.mu.Unlock()
	accounts, err := s.store.Look() // the one look of this call
	if err != nil {
		return nil, s.storeError(err)
	}
	s.noticeChanges(accounts)
	if fail := s.authorize(ctx, c, "", accounts); fail != nil {
		return nil, fail
	}
	prepared, fail := s.attempt(ctx, c, 0)
	if fail != nil {
		return nil, fail
	}
	if ctx.Err() != nil {
		return nil, s.cancelled(ctx.Err()) // nobody is left to say done
	}
	s.probeSoon(accounts)
	s.calls.put(c, now)
	return prepared, nil
}

// readBody scans the body once. One that is no JSON object goes out unedited:
// the backend says best what is wrong with it.
func (s *Service) readBody(ctx context.Context, c *call) {
	if c.chat || len(c.raw) == 0 {
		return
	}
	body, err := request.Scan(c.raw)
	if err != nil {
		s.log.Debug("the body passes unread", "reason", err)
		return
	}
	c.body = body
	if slug := body.Slug(s.catalogue()); request.Suffixed(slug) && s.texts.Models() == nil {
		// Only a catalogue that was never fetched can tell a suffix from a name.
		wait, cancel := context.WithTimeout(ctx, instructionsWait)
		defer cancel()
		s.texts.WaitModels(wait)
	}
	c.model = body.Slug(s.catalogue())
	c.askedModel = c.model
}

// longestSession bounds what a host can have written to disk for a session.
const longestSession = 128

// sessionOf names the session by DESIGN 3's order. The name outlives the call by a
// day, so it is no piece of the message's text, which it would hold in memory.
func (c *call) sessionOf(explicit string, headers []Header) string {
	key := ""
	if c.body != nil {
		key = c.body.PromptCacheKey()
	}
	session := request.SessionOf(explicit, headers, key)
	if len(session) > longestSession {
		sum := sha256.Sum256([]byte(session))
		return hex.EncodeToString(sum[:])
	}
	return strings.Clone(session)
}
