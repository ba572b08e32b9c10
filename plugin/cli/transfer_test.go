package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"codex-rota/plugin"
	"codex-rota/plugin/sim"
)

// run runs the binary in the playground with this on stdin, and gives what it
// printed and its exit code.
func (r *rig) run(stdin string, args ...string) (out, errOut string, code int) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), binary, args...)
	cmd.Env, cmd.Dir = r.env(os.Environ()), r.dir
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	r.witness.watch(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// write puts a file into the playground's home, tokens or not.
func (r *rig) write(name string, content any) string {
	r.t.Helper()
	text, ok := content.(string)
	if !ok {
		encoded, err := json.Marshal(content)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(encoded)
	}
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	r.witness.allow(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

type object = map[string]any

const (
	openCodeAuth = ".local/share/opencode/auth.json"
	codexAuth    = ".codex/auth.json"
)

func openCodeLogin(tokens sim.Tokens) object {
	return object{"other": object{"type": "api", "key": "k"},
		"openai": object{"type": "oauth", "refresh": tokens.Refresh, "access": tokens.Access, "expires": tokens.ExpiresAt.UnixMilli()}}
}

func codexLogin(tokens sim.Tokens) object {
	return object{"auth_mode": "chatgpt", "OPENAI_API_KEY": nil, "last_refresh": "2026-01-01T00:00:00Z",
		"tokens": object{"id_token": tokens.ID, "access_token": tokens.Access, "refresh_token": tokens.Refresh, "account_id": "x"}}
}

// nodePool is a pool of the Node tools; format 1 has no access tokens.
func nodePool(version int, seats ...*sim.Seat) object {
	accounts := []object{}
	for i, seat := range seats {
		tokens := seat.Tokens()
		a := object{"refreshToken": tokens.Refresh, "accountId": seat.AccountID, "addedAt": 1, "lastUsed": 1}
		if version > 1 {
			a["accessToken"], a["expiresAt"], a["email"] = tokens.Access, tokens.ExpiresAt.UnixMilli(), seat.Email
			a["accountLabel"], a["accountTags"], a["enabled"] = fmt.Sprintf("node %d", i+1), []string{"old"}, i == 0
		}
		accounts = append(accounts, a)
	}
	return object{"version": version, "accounts": accounts, "activeIndex": 0}
}

type importReport struct {
	plugin.ImportPlan
	Warnings []string
}

// importJSON runs import --json and says of each login "where: what became of it".
func (r *rig) importJSON(args ...string) (report importReport, lines []string, code int) {
	r.t.Helper()
	out, errOut, code := r.run("", append([]string{"import", "--json"}, args...)...)
	if out == "" {
		r.t.Fatalf("import %v: exit %d, %s", args, code, errOut)
	}
	report = decode[importReport](r.t, out)
	for _, l := range report.Logins {
		rel, err := filepath.Rel(r.dir, l.Path)
		if err != nil {
			r.t.Fatal(err)
		}
		line := filepath.ToSlash(rel) + ": " + l.Action
		if l.Result != "" {
			line += ", " + string(l.Result)
		}
		if l.Reason != "" {
			line += ", " + l.Reason
		}
		lines = append(lines, line)
	}
	for _, seat := range r.sim.Seats() {
		for _, secret := range []string{seat.Tokens().Refresh, seat.Tokens().Access} {
			if strings.Contains(out+errOut, secret) {
				r.t.Errorf("import %v printed a token", args)
			}
		}
	}
	return report, lines, code
}

func TestImportAuto(t *testing.T) {
	r := newRig(t, sim.Seat{Name: "here"})
	one, two, three, four := r.sim.AddSeat(sim.Seat{Name: "one"}), r.sim.AddSeat(sim.Seat{Name: "two"}), r.sim.AddSeat(sim.Seat{Name: "three"}), r.sim.AddSeat(sim.Seat{Name: "four"})
	older := one.Tokens()
	newer := r.loginAgain(one, time.Hour)
	r.write(openCodeAuth, openCodeLogin(older))
	r.write(codexAuth, codexLogin(newer))
	r.write(".opencode/openai-codex-accounts.json", nodePool(3, two, r.seats[0]))
	r.write(".opencode/projects/app-0123456789ab/oc-codex-multi-auth-accounts.json", nodePool(2, two))
	r.write(".codex/multi-auth/projects/web-0123456789ab/openai-codex-accounts.json", nodePool(1, three))
	r.write("project/.git/HEAD", "ref")
	r.write("project/.codex/openai-codex-accounts.json", "{broken")
	r.write(".codex/openai-codex-accounts.json", nodePool(3, four))
	before := r.fingerprint()

	report, lines, code := r.importJSON("auto")
	want := []string{
		".local/share/opencode/auth.json: keep, a newer login of this seat is in " + filepath.Join(r.dir, codexAuth),
		".codex/auth.json: import, new",
		".codex/multi-auth/projects/web-0123456789ab/openai-codex-accounts.json: import, new",
		".codex/openai-codex-accounts.json: import, new",
		".opencode/openai-codex-accounts.json: import, new",
		".opencode/openai-codex-accounts.json: keep, the pool has this login",
		".opencode/projects/app-0123456789ab/oc-codex-multi-auth-accounts.json: keep, the same login is in " + filepath.Join(r.dir, ".opencode/openai-codex-accounts.json"),
	}
	if code != 0 || !slices.Equal(lines, want) {
		t.Errorf("exit %d, found\n%s\nwant\n%s", code, strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for _, holder := range []string{"codex logout", "projects/app-0123456789ab", ".opencode/openai-codex-accounts.json"} {
		if !slices.ContainsFunc(report.Warnings, func(w string) bool { return strings.Contains(w, holder) }) {
			t.Errorf("no warning of %s in %q", holder, report.Warnings)
		}
	}
	if after := r.fingerprint(); !equalMaps(before, after) {
		t.Error("import wrote into other tools' files")
	}
	list := decode[struct{ Accounts []plugin.Account }](t, r.must("list", "--json", "--include-sensitive")).Accounts
	if len(list) != 5 {
		t.Fatalf("%d accounts: %+v", len(list), list)
	}
	for _, a := range list {
		if a.AccountID == two.AccountID && (a.Label != "node 1" || len(a.Tags) != 1 || a.Source != "import:pool") {
			t.Errorf("what the tool knew of it was lost: %+v", a)
		}
	}
	// A login without an access token gets its seat at its first refresh.
	r.must("token", list[slices.IndexFunc(list, func(a plugin.Account) bool { return a.AccountID == three.AccountID })].ID)
	list = decode[struct{ Accounts []plugin.Account }](t, r.must("list", "--json", "--include-sensitive")).Accounts
	if i := slices.IndexFunc(list, func(a plugin.Account) bool { return a.UserID == three.AccountUserID }); i < 0 {
		t.Errorf("the seat was not completed: %+v", list)
	}
	// Doing it again changes nothing, and the spent token of format 1 is refused.
	_, lines, _ = r.importJSON("auto")
	for _, line := range lines {
		if strings.Contains(line, ": import") {
			t.Errorf("a second import: %s", line)
		}
	}
}

// loginAgain gives a seat a second login, whose access token lives longer.
func (r *rig) loginAgain(seat *sim.Seat, longer time.Duration) sim.Tokens {
	again := *seat
	again.ExpiresIn += longer
	return r.sim.AddSeat(again).Tokens()
}

// fingerprint is every file of the home outside the pool.
func (r *rig) fingerprint() map[string]string {
	r.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, r.root()+string(filepath.Separator)) {
			return err
		}
		data, err := os.ReadFile(path)
		info, infoErr := d.Info()
		files[path] = fmt.Sprint(string(data), info.ModTime(), info.Mode())
		return errors.Join(err, infoErr)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return files
}

func TestImportOne(t *testing.T) {
	good := func(r *rig) *sim.Seat { return r.sim.AddSeat(sim.Seat{Name: "outside"}) }
	for _, test := range []struct {
		name   string
		source string
		files  func(*rig) // makes the files
		want   []string
		code   int
	}{
		{"opencode", "opencode", func(r *rig) { r.write(openCodeAuth, openCodeLogin(good(r).Tokens())) },
			[]string{openCodeAuth + ": import, new"}, 0},
		{"our own placeholder is no login", "opencode", func(r *rig) { r.must("install", "opencode") }, nil, 1},
		{"an API key is no login", "opencode", func(r *rig) { r.write(openCodeAuth, `{"openai":{"type":"api","key":"sk"}}`) }, nil, 1},
		{"nothing there", "opencode", func(*rig) {}, nil, 1},
		{"codex", "codex", func(r *rig) { r.write(codexAuth, codexLogin(good(r).Tokens())) },
			[]string{codexAuth + ": import, new"}, 0},
		{"codex with an API key", "codex", func(r *rig) { r.write(codexAuth, `{"auth_mode":"apikey","OPENAI_API_KEY":"sk"}`) }, nil, 1},
		{"no seat in the token", "codex", func(r *rig) {
			tokens := good(r).Tokens()
			tokens.Access = withoutClaims(tokens.Access, "chatgpt_user_id", "chatgpt_account_user_id")
			tokens.ID = ""
			r.write(codexAuth, codexLogin(tokens))
		}, []string{codexAuth + ": refuse, the token does not name a ChatGPT account: neither chatgpt_account_user_id nor chatgpt_user_id in it"}, 1},
		{"no refresh token", "codex", func(r *rig) {
			tokens := good(r).Tokens()
			tokens.Refresh = ""
			r.write(codexAuth, codexLogin(tokens))
		}, []string{codexAuth + ": refuse, it has no refresh token"}, 1},
		{"not a token", "codex", func(r *rig) { r.write(codexAuth, codexLogin(sim.Tokens{Access: "abc", Refresh: "def"})) },
			[]string{codexAuth + ": refuse, access token: not a JWT: want three parts, got 1"}, 1},
		{"a token that was used up", "codex", func(r *rig) {
			r.write(codexAuth, codexLogin(r.seats[0].Tokens()))
			r.seats[0].RefuseAccess()
			h, _ := r.serve("")
			if _, _, err := r.call(h, hostCall{name: "1"}); err != nil {
				r.t.Fatal(err)
			}
		}, []string{codexAuth + ": keep, the pool has a newer login of this seat"}, 0},
		{"a format 1 file whose token was used up", "FILE", func(r *rig) {
			seat := good(r)
			r.write("FILE", nodePool(1, seat))
			r.run("", "import", filepath.Join(r.dir, "FILE"))
			r.must("token", r.accountID(""))
		}, []string{"FILE: refuse, its refresh token was used up before; log in again instead"}, 1},
		{"a file of nothing we know", "FILE", func(r *rig) { r.write("FILE", `{"version":3}`) }, nil, 1},
		{"a copy of codex's file", "FILE", func(r *rig) { r.write("FILE", codexLogin(good(r).Tokens())) },
			[]string{"FILE: import, new"}, 0},
		{"a copy of opencode's file", "FILE", func(r *rig) { r.write("FILE", openCodeLogin(good(r).Tokens())) },
			[]string{"FILE: import, new"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sim.Seat{Name: "here"})
			test.files(r)
			source := test.source
			if source == "FILE" {
				source = filepath.Join(r.dir, source)
			}
			_, lines, code := r.importJSON(source)
			if code != test.code || !slices.Equal(lines, test.want) {
				t.Errorf("exit %d, want %d; found\n%s\nwant\n%s", code, test.code, strings.Join(lines, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// withoutClaims takes claims about the seat out of a token.
func withoutClaims(token string, names ...string) string {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		payload = bytes.ReplaceAll(payload, []byte(`"`+name+`"`), []byte(`"was_`+name+`"`))
	}
	parts[1] = base64.RawURLEncoding.EncodeToString(payload)
	return strings.Join(parts, ".")
}

// accountID is the public id of the account with this label.
func (r *rig) accountID(label string) string {
	r.t.Helper()
	for _, a := range decode[struct{ Accounts []plugin.Account }](r.t, r.must("list", "--json")).Accounts {
		if a.Label == label {
			return a.ID
		}
	}
	r.t.Fatalf("no account is labelled %q", label)
	return ""
}
