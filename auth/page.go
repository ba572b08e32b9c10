package auth

import (
	_ "embed"
	"errors"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageHTML string

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

// sign is drawn for the page's mood.
func (p page) sign() string {
	switch p.Mood {
	case "good":
		return `<path d="M3 12.8l6 6L21 6"/>`
	case "late":
		return `<circle cx="12" cy="12" r="10"/><path d="M12 6v6l4 2.6"/>`
	case "other":
		return `<path d="M12 3.5v11M12 20v.01"/>`
	}
	return `<path d="M5 5l14 14M19 5L5 19"/>`
}

// render is the page, with everything escaped that was not written here. It is
// not html/template, which finds methods by name: with it the linker keeps every
// method of every package, a fifth of the binary.
func (p page) render(nonce string) string {
	reason, next := "", "Start again with <code>codex-rota add</code>."
	if p.Reason != "" {
		reason = `<p class="reason">` + html.EscapeString(p.Reason) + "</p>\n"
	}
	if p.Next != "" {
		next = html.EscapeString(p.Next)
	}
	return strings.NewReplacer("{{title}}", html.EscapeString(p.Title), "{{text}}", html.EscapeString(p.Text),
		"{{nonce}}", html.EscapeString(nonce), "{{mood}}", html.EscapeString(p.Mood), "{{sign}}", p.sign(),
		"{{reason}}", reason, "{{next}}", next).Replace(pageHTML)
}

// showPage writes a page so that it is on its way when showPage returns.
func showPage(w http.ResponseWriter, p page) {
	nonce := randomText(16).Reveal()
	text := p.render(nonce)
	secureHeaders(w.Header(), nonce)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	control := http.NewResponseController(w)
	// A browser that is gone, or does not read, misses the page and nothing else.
	_ = control.SetWriteDeadline(time.Now().Add(pageTime))
	w.WriteHeader(p.Status)
	_, _ = io.WriteString(w, text)
	_ = control.Flush()
}
