package host

import "codex-rota/logging"

// Placeholder stands where OpenCode's auth.json holds tokens, in the entry that
// Install and the shim make. It is no token.
const Placeholder = "codex-rota"

// AuthPath is OpenCode's auth.json, whether it is there or not.
func (o *OpenCode) AuthPath() string { return o.authPath }

// OwnLogin is the refresh token of the ChatGPT login that OpenCode's auth.json
// holds by itself, zero when it holds none.
func (o *OpenCode) OwnLogin() (logging.Secret, error) {
	auth, err := readSentinelFile(o.authPath)
	if err != nil || auth.entry == nil || auth.entry.Type != "oauth" || *auth.entry == sentinel {
		return logging.Secret{}, err
	}
	return logging.NewSecret(auth.entry.Refresh), nil
}

// TakeOver puts the placeholder where OpenCode's own login was, once the pool has
// that login: a refresh token has one owner. It is left alone when OpenCode has
// renewed it meanwhile, so that was is no longer it.
func (o *OpenCode) TakeOver(was logging.Secret) (Report, error) {
	r := Report{}
	auth, err := readSentinelFile(o.authPath)
	if err != nil {
		return r, err
	}
	if auth.entry == nil || was.IsZero() || !was.Equal(logging.NewSecret(auth.entry.Refresh)) {
		r.note("OpenCode's login has changed meanwhile and is left as it is")
		return r, nil
	}
	rest, err := auth.doc.cut(auth.doc.object(), auth.doc.index(provider))
	if err != nil {
		return r, err
	}
	if auth.doc, err = parseDocument(o.authPath, rest); err != nil {
		return r, err
	}
	auth.entry = nil
	return r, auth.install(&r)
}
