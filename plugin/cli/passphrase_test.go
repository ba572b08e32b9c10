package cli

import (
	"strings"
	"testing"
)

// TestPassphraseOnATerminal: it is asked for twice, never shown, and Ctrl-C gives
// the terminal back with its echo.
func TestPassphraseOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	export := func(first, second, end string) string {
		x := r.newTerminal(100, 40) // a new one: an old prompt on the screen is not to be taken for this one
		x.run("codex-rota export $HOME/kept.age; echo exit $?")
		x.waitFor("passphrase for the export:")
		x.run(first)
		x.waitFor("the same again:")
		x.run(second)
		return x.waitFor(end)
	}
	if screen := export("correct horse", "battery staple", "exit 1"); !strings.Contains(screen, "the two passphrases differ; nothing was written") {
		t.Errorf("two different ones:\n%s", screen)
	}
	if screen := export("correct horse", "correct horse", "exit 0"); !strings.Contains(screen, "1 account written to") || strings.Contains(screen, "horse") {
		t.Errorf("the same twice:\n%s", screen)
	}
	x := r.newTerminal(100, 40)
	x.run("codex-rota import $HOME/kept.age")
	x.waitFor("passphrase of")
	x.press("C-c")
	x.waitFor("interrupted; nothing was written", "ready>")
	x.run("echo is back")
	x.waitFor("ready> echo is back\nis back")
	x = r.newTerminal(100, 40)
	x.run("codex-rota import $HOME/kept.age; echo exit $?")
	x.waitFor("passphrase of")
	x.run("battery staple")
	x.waitFor("the passphrase is wrong", "exit 1")
}

// TestImportAsksOnATerminal: it shows what it found and who else holds it, before
// it takes anything.
func TestImportAsksOnATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	tokens := r.seats[0].Tokens()
	r.write(codexAuth, codexLogin(tokens))
	r.must("purge", "--all", "--yes")
	x := r.newTerminal(100, 40)
	x.run("codex-rota import auto; echo exit $?")
	x.waitFor("~/.codex/auth.json", "the Codex CLI holds the same refresh token", "Import 1 login? [y/N]")
	x.run("n")
	x.waitFor("Nothing was changed.", "exit 1")
	if states := r.states(); len(states) != 0 {
		t.Fatalf("states %v after a no", states)
	}
	x = r.newTerminal(100, 40)
	x.run("codex-rota import auto; echo exit $?")
	x.waitFor("Import 1 login? [y/N]")
	x.run("y")
	x.waitFor("a new account", "exit 0")
	x = r.newTerminal(100, 40)
	x.run("codex-rota purge --all; echo exit $?")
	x.waitFor("Delete every account with its tokens", "There is no way back. [y/N]")
	x.run("n")
	x.waitFor("Nothing was changed.", "exit 1")
	if states := r.states(); len(states) != 1 {
		t.Errorf("states %v after a no", states)
	}
}
