package plugin

import (
	"fmt"

	"codex-rota/pool"
)

// ownerNames are the tools that keep a file of logins, for people.
var ownerNames = map[string]string{FromOpenCode: "OpenCode", FromCodex: "the Codex CLI", FromPool: "another pool"}

// checkTokenOwners looks for other tools that hold a login of ours. A refresh
// token works once: when two hold it, the second to use it loses the login, and
// may take the first one's with it (FACTS-upstream 1).
func (d *Doctor) checkTokenOwners() {
	const name = "token-owners"
	accounts, err := d.Store.Accounts()
	if err != nil {
		d.fail(name, "", "%v", err)
		return
	}
	for i := range d.Others {
		file := &d.Others[i]
		logins, err := readLogins(file, d.Placeholder)
		if err != nil {
			d.warn(name, "mend it, or move it away", "%s cannot be read, so it is not known whether %s shares a login with the pool: %v", file.Path, ownerNames[file.From], err)
		}
		for j := range logins {
			d.checkOwner(name, &logins[j], accounts)
		}
	}
	if d.silent(name) {
		d.ok(name, "no other tool holds a login of the pool")
	}
}

func (d *Doctor) checkOwner(name string, l *foundLogin, accounts []pool.Account) {
	token, who := l.tokens.Refresh, fmt.Sprintf("%s (%s)", ownerNames[l.file.From], l.file.Path)
	if token.IsZero() {
		return
	}
	for i := range accounts {
		if accounts[i].Refresh.Equal(token) {
			d.fail(name, "move that file away, or log the account in anew here: codex-rota add",
				"%s holds the refresh token of %s: the first of the two to use it logs the other out", who, nameOf(&accounts[i], d.Sensitive))
			return
		}
	}
	switch spent, err := d.Store.Consumed(token); {
	case err != nil:
		d.warn(name, "", "%v", err)
	case spent:
		d.fail(name, "move that file away; to log out there may end the login here too",
			"%s holds a refresh token that codex-rota has used up: when it uses it again, OpenAI may end the login here too", who)
	}
}
