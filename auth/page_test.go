package auth

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin/sim"
)

func TestPageHeaders(t *testing.T) {
	styled := regexp.MustCompile(`<style nonce="([A-Za-z0-9_-]{22})">`)
	nonces := map[string]bool{}
	for name, p := range map[string]page{
		"signed in": pageSignedIn, "another login": pageOther, "expired": pageExpired, "over": pageOver,
		"denied":  outcomePage(newDenied("access_denied", `<script>alert(1)</script>`)),
		"no seat": outcomePage(ErrNoSeat),
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			showPage(w, p)
			text := w.Body.String()
			found := styled.FindStringSubmatch(text)
			if found == nil || nonces[found[1]] {
				t.Fatalf("no style of its own: %s", text)
			}
			nonces[found[1]] = true
			for header, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; style-src 'nonce-" + found[1] + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
				"Cache-Control":           "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
				"Content-Type": "text/html; charset=utf-8",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if w.Code != p.Status || !strings.Contains(text, p.Title) || !strings.Contains(text, "prefers-color-scheme: dark") {
				t.Errorf("%d %s", w.Code, text)
			}
			if lower := strings.ToLower(text); strings.Contains(lower, "<script") || strings.Contains(lower, "style=") || strings.Contains(lower, "http") {
				t.Errorf("the policy forbids something in %s", text)
			}
		})
	}
}

// TestPageEscapes: what comes from outside stays text, also where it looks like a
// place to fill in.
func TestPageEscapes(t *testing.T) {
	hostile := `<b>"x"&'{{next}}`
	text := page{Status: 200, Mood: hostile, Title: hostile, Text: hostile, Reason: hostile, Next: hostile}.render(hostile)
	if strings.Contains(text, "<b>") || strings.Contains(text, `"x"`) || strings.Contains(text, "&'") {
		t.Errorf("not escaped: %s", text)
	}
	if n := strings.Count(text, "{{next}}"); n != 7 {
		t.Errorf("%d of 7 values are there as they were given: %s", n, text)
	}
	plain := page{Title: "T"}.render("n")
	if strings.Contains(plain, "{{") || !strings.Contains(plain, "Start again with <code>codex-rota add</code>.") || strings.Contains(plain, `class="reason"`) {
		t.Errorf("%s", plain)
	}
}

func TestRefusalHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	(&callback{login: newLogin(), port: 1455}).ServeHTTP(w, httptest.NewRequest("GET", "http://evil.example/auth/callback", nil))
	for header, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Cache-Control":           "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
}

// chromium runs Debian's browser without a window.
type chromium struct{ path, profile, artifacts string }

func findChromium(t *testing.T) *chromium {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: a browser is too slow for -short, so the pages were NOT looked at")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: there is no chromium on this machine, so the pages were NOT looked at")
	}
	artifacts := filepath.Join("..", "artifacts", "login-pages")
	if err := os.MkdirAll(artifacts, 0o755); err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "codex-rota-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) }) // one of its processes may still write: that is no failure of ours
	return &chromium{path, profile, artifacts}
}

// shoot opens an address and gives what a person sees. The picture stays in
// artifacts/login-pages.
func (c *chromium) shoot(t *testing.T, name, address string, dark bool) image.Image {
	t.Helper()
	scheme, file := "1", filepath.Join(c.artifacts, name+".png")
	if dark {
		scheme = "0"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // so that a browser that hangs fails the test
	defer cancel()
	cmd := exec.CommandContext(ctx, c.path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+c.profile,
		"--blink-settings=preferredColorScheme="+scheme, "--window-size=900,640", "--screenshot="+file, address)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// checkColours wants the page's own ground at the edge and its card in the
// middle, which a style that the policy blocked would not give, and something
// written on it.
func checkColours(t *testing.T, picture image.Image, ground, card color.RGBA) {
	t.Helper()
	size := picture.Bounds().Size()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) }
	if got := at(4, 4); got != ground {
		t.Errorf("the ground is %v, want %v", got, ground)
	}
	cards, others := 0, 0
	for x := range size.X {
		for y := range size.Y {
			switch at(x, y) {
			case card:
				cards++
			case ground:
			default:
				others++
			}
		}
	}
	if all := size.X * size.Y; cards < all/8 || others < all/100 {
		t.Errorf("of %d points %d are card and %d are drawn", all, cards, others)
	}
}

// A real browser makes the whole way, through the simulator's redirect: what
// keeps hostile pages out must let it in.
func TestPagesInChromium(t *testing.T) {
	browser := findChromium(t)
	s := startSim(t, sim.Options{AnyCallbackPort: true})
	s.AddSeat(sim.Seat{})
	client := &Client{Issuer: s.Issuer()}
	const no = "The workspace owner does not allow Codex"
	for _, tc := range []struct {
		name  string
		limit time.Duration
		query url.Values // of a return to the callback; nil: the browser signs in
		fails string     // how the login ends
	}{
		{"signed-in", browserLimit, nil, ""},
		{"denied", browserLimit, url.Values{"error": {"access_denied"}, "error_description": {no}}, "the sign-in was refused: access_denied: " + no},
		{"wrong-state", browserLimit, url.Values{"code": {"ac_1"}, "state": {"another"}}, "the login was cancelled"},
		{"expired", time.Millisecond, url.Values{"code": {"ac_1"}}, "the login was not finished in time"},
	} {
		for _, dark := range []bool{false, true} {
			name, ground, card := tc.name+"-light", color.RGBA{0xf4, 0xf4, 0xf1, 255}, color.RGBA{255, 255, 255, 255}
			if dark {
				name, ground, card = tc.name+"-dark", color.RGBA{0x15, 0x16, 0x14, 255}, color.RGBA{0x1f, 0x21, 0x1e, 255}
			}
			t.Run(name, func(t *testing.T) {
				o := CodeOptions{Port: freePort(t)}
				l, err := client.startBrowser(t.Context(), o, tc.limit)
				if err != nil {
					t.Fatal(err)
				}
				address := l.URL
				if tc.query != nil {
					address = o.redirect() + "?" + tc.query.Encode()
				}
				if tc.limit < browserLimit {
					<-l.done
				}
				checkColours(t, browser.shoot(t, name, address, dark), ground, card)
				l.Cancel()
				if _, err := l.Wait(t.Context()); message(err) != tc.fails {
					t.Errorf("ended with %v, want %q", err, tc.fails)
				}
			})
		}
	}
}
