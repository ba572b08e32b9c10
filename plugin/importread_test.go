package plugin

import (
	"strings"
	"testing"
)

// FuzzReadLogins feeds anything to the reader of other programs' files: it never
// fails badly, and its words hold nothing of a token.
func FuzzReadLogins(f *testing.F) {
	for _, seed := range []string{
		`{"openai":{"type":"oauth","refresh":"SECRETr","access":"SECRETa","expires":1e300}}`,
		`{"tokens":{"access_token":"SECRETa.b.c","refresh_token":"SECRETr","id_token":5}}`,
		`{"version":3,"accounts":[{"refreshToken":"SECRETr","accountId":7}]}`,
		`[{"refreshToken":"SECRETr"}]`, `{"accounts":null}`, `{}`, ``, "\xef\xbb\xbf{}", `{"tokens":{"refresh_token":"SECRET`,
	} {
		f.Add(seed, FromFile)
		f.Add(seed, FromOpenCode)
	}
	f.Fuzz(func(t *testing.T, text, from string) {
		logins, err := readLogins(&ImportFile{From: from, Path: "x", Data: []byte(text)}, "placeholder")
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("the error quotes the file: %v", err)
		}
		for i := range logins {
			if logins[i].account.Flag != nil {
				continue // another tool's words are passed on, less what looks like a token
			}
			out := describeLogin(&logins[i], false)
			if strings.Contains(out.Reason+logins[i].problem, "SECRET") {
				t.Errorf("a token is told: %+v", out)
			}
			if logins[i].problem == "" && logins[i].tokens.Refresh.IsZero() {
				t.Error("a login without a refresh token is taken")
			}
		}
	})
}
