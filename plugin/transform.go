package plugin

import (
	"context"
	"reflect"
	"time"

	"codex-rota/instructions"
	"codex-rota/plugin/request"
)

// How long a call, and instructions/get, wait for instructions that were never
// fetched before (FACTS-upstream 6).
const (
	instructionsWait    = 3 * time.Second
	instructionsGetWait = 10 * time.Second
)

// transform shapes the call's body for the backend, from the original bytes each
// time. A call without a readable body gets no edits.
func (s *Service) transform(ctx context.Context, c *call) (request.Result, *Error) {
	if c.body == nil {
		return request.Result{Edits: []request.Edit{}, Model: c.model}, nil
	}
	o := request.Options{
		Mode:          s.settings.Transform,
		Untouched:     s.hostName() == HostCodex, // Codex sends what its backend takes
		Model:         c.fallback(),
		DropReasoning: c.dropped,
		Dropped:       s.book.Dropped(c.session, s.now()),
	}
	wanted := o.Mode == request.ModeCodex || o.Mode == request.ModeNative && c.body.NeedsInstructions()
	if wanted && !o.Untouched {
		text, fail := s.sessionInstructions(ctx, c)
		if fail != nil {
			return request.Result{}, fail
		}
		o.Instructions = text
	}
	o.Catalogue = s.catalogue() // after the wait for instructions, which brings it too
	result := c.body.Transform(o)
	if c.dropped {
		s.book.Drop(c.session, result.Dropped, s.now())
	}
	return result, nil
}

// sessionInstructions is the text for the call's model: the one its session
// began with, because a change in mid-session is a cache miss.
func (s *Service) sessionInstructions(ctx context.Context, c *call) (string, *Error) {
	if text, ok := s.sessions.instructions(c.session, c.model); ok {
		return text, nil
	}
	wait, cancel := context.WithTimeout(ctx, instructionsWait)
	defer cancel()
	text := s.texts.Get(wait, c.model)
	if ctx.Err() != nil {
		return "", s.cancelled(ctx.Err())
	}
	return s.sessions.keepInstructions(c.session, c.model, text.Text, s.now()), nil
}

// Transform is prepare's half that needs no account (request/transform).
func (s *Service) Transform(ctx context.Context, p TransformParams, body []byte) (*Transformed, error) {
	url, ours := request.RewriteURL(p.URL, s.settings.Backend)
	if !ours {
		return &Transformed{Pass: true, Edits: []request.Edit{}}, nil
	}
	s.book.Look(s.now()) // a whole prepare does when it chooses
	c := &call{url: url, chat: request.IsChat(p.URL), raw: body, textBody: p.Body != nil}
	s.readBody(ctx, c)
	c.session = c.sessionOf(p.Session, p.Headers)
	shaped, fail := s.transform(ctx, c)
	if fail != nil {
		return nil, fail
	}
	return &Transformed{URL: url, Headers: shaped.Headers, Edits: shaped.Edits, Collapse: shaped.Collapse, Body: c.edited(shaped.Edits)}, nil
}

// Authorize is prepare's half that needs no body (request/authorize). With a
// call id the call is known to request/response; its retries then carry headers
// and no edits, since only the host knows the body.
func (s *Service) Authorize(ctx context.Context, p AuthorizeParams) (*Authorized, error) {
	prepared, err := s.Prepare(ctx, PrepareParams{Call: p.Call, URL: p.URL, Method: p.Method, Headers: p.Headers, Session: p.Session}, nil)
	if err != nil {
		return nil, err
	}
	if prepared.Pass {
		return &Authorized{Pass: true}, nil
	}
	return &Authorized{Call: prepared.Call, Account: prepared.Account, URL: prepared.URL, Headers: prepared.Headers}, nil
}

// Instructions gives the Codex instructions for a model (instructions/get);
// nothing cached waits for the fetch.
func (s *Service) Instructions(ctx context.Context, p InstructionsParams) (*InstructionsResult, error) {
	if p.Model == "" {
		return nil, badParams("model is missing")
	}
	return s.CachedInstructions(ctx, p.Model)
}

// CachedInstructions is Instructions where model "" is the catalogue's first one.
func (s *Service) CachedInstructions(ctx context.Context, model string) (*InstructionsResult, error) {
	wait, cancel := context.WithTimeout(ctx, instructionsGetWait)
	defer cancel()
	text := s.texts.Get(wait, model)
	if ctx.Err() != nil {
		return nil, s.cancelled(ctx.Err())
	}
	return instructionsResult(text), nil
}

// RefreshInstructions asks GitHub now, whatever the age of what is cached. On an
// error what is cached stays as it was.
func (s *Service) RefreshInstructions(ctx context.Context, model string) (*InstructionsResult, error) {
	text, err := s.texts.Refresh(ctx, model)
	if err != nil {
		return nil, &Error{Code: CodeUpstreamUnreachable, Message: "the instructions could not be refreshed, what is cached stays: " + err.Error(), cause: err}
	}
	return instructionsResult(text), nil
}

func instructionsResult(text instructions.Text) *InstructionsResult {
	return &InstructionsResult{Text: text.Text, Source: string(text.Source), ETag: text.ETag, Tag: text.Tag, FetchedAt: when(text.FetchedAt)}
}

// catalogue is what is known of the models now; the embedded one stands in while
// nothing was ever fetched. The conversion is kept for as long as the models are
// the same.
func (s *Service) catalogue() request.Catalogue {
	models := s.texts.Models()
	if models == nil {
		models = instructions.EmbeddedModels()
	}
	known := s.models.Load()
	if known != nil && reflect.ValueOf(known.of).Pointer() == reflect.ValueOf(models).Pointer() {
		return known.catalogue
	}
	fresh := &knownModels{of: models, catalogue: make(request.Catalogue, len(models))}
	for slug, m := range models {
		fresh.catalogue[slug] = request.Model{Slug: slug, Efforts: m.Efforts, Lite: m.Lite}
	}
	s.models.Store(fresh)
	return fresh.catalogue
}

type knownModels struct {
	of        map[string]instructions.Model // the cache's map it was made from
	catalogue request.Catalogue
}
