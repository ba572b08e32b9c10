package auth

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is what a browser ends on. Mood chooses colour and sign: good, bad, late
// or other.
type page struct {
	Status int
	Mood   string
	Title  string
	Text   string
	Reason string // in the issuer's words or ours, "" for none
	Next   string // what to do now; "" for starting again
}

var (
	pageSignedIn = page{
		Status: http.StatusOK, Mood: "good", Title: "You are signed in",
		Text: "codex-rota has your login and is adding the account.",
		Next: "You can close this page and go back to where you started.",
	}
	pageOther = page{
		Status: http.StatusBadRequest, Mood: "other", Title: "This answer is from another login",
		Text: "codex-rota did not use it, and still waits for the login that it opened last.",
		Next: "Close this page and go on in the newest one.",
	}
	pageExpired = page{
		Status: http.StatusGone, Mood: "late", Title: "This login took too long",
		Text: "codex-rota no longer waits for it. No account was added.",
	}
	pageOver = page{
		Status: http.StatusGone, Mood: "other", Title: "This login is already over",
		Text: "Its answer came before, and each answer counts once.",
		Next: "You can close this page.",
	}
)

// outcomePage tells how a login ended that took this browser's reply.
func outcomePage(err error) page {
	var denied *DeniedError
	switch {
	case err == nil:
		return pageSignedIn
	case errors.As(err, &denied):
		return page{
			Status: http.StatusForbidden, Mood: "bad", Title: "The sign-in was refused",
			Text: "No account was added.", Reason: denied.Reason(),
		}
	}
	return page{
		Status: http.StatusBadGateway, Mood: "bad", Title: "The login could not be finished",
		Text: "You signed in, but codex-rota did not get what it needs. No account was added.", Reason: err.Error(),
	}
}

// endedPage tells a browser that comes back late how the login ended.
func endedPage(err error) page {
	if errors.Is(err, ErrLoginExpired) {
		return pageExpired
	}
	return pageOver
}

// secureHeaders are those of every answer: the address holds a code, so it must
// not travel on, and nothing may run (FACTS-upstream 1). nonce names the one
// style that may apply, "" for none.
func secureHeaders(h http.Header, nonce string) {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if nonce != "" {
		policy = "default-src 'none'; style-src 'nonce-" + nonce + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

// showPage writes a page so that it is on its way when showPage returns.
func showPage(w http.ResponseWriter, p page) {
	nonce := randomText(16).Reveal()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, struct {
		page
		Nonce string
	}{p, nonce}); err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	secureHeaders(w.Header(), nonce)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	control := http.NewResponseController(w)
	// A browser that is gone, or does not read, misses the page and nothing else.
	_ = control.SetWriteDeadline(time.Now().Add(pageTime))
	w.WriteHeader(p.Status)
	_, _ = w.Write(b.Bytes())
	_ = control.Flush()
}
