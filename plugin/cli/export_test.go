package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codex-rota/plugin"
)

func TestExport(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a", "b")...)
	h, _ := r.serve("")
	var result plugin.AccountResult
	if err := h.ask(t.Context(), "accounts/update", object{"account": "b", "tags": []string{"team"}, "note": "of the team", "enabled": false}, &result); err != nil {
		t.Fatal(err)
	}
	sealed, plain := filepath.Join(r.dir, "sealed.age"), filepath.Join(r.dir, "plain.json")
	r.witness.allow(plain)
	if _, errOut, code := r.run("correct horse\n", "export", sealed); code != 0 {
		t.Fatalf("export: exit %d, %s", code, errOut)
	}
	if _, errOut, code := r.run("", "export", "--plain", plain); code != 0 || !strings.Contains(errOut, "clear text") {
		t.Fatalf("export --plain: exit %d, %s", code, errOut)
	}
	for path, open := range map[string]bool{sealed: false, plain: true} {
		data, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil {
			t.Fatal(err, statErr)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if strings.Contains(string(data), r.seats[0].Tokens().Refresh) != open || strings.Contains(string(data), r.seats[0].Email) != open {
			t.Errorf("%s: readable %v, want %v", path, !open, open)
		}
	}
	r.write("passphrase", "correct horse\r\n")
	for _, test := range []struct {
		name, stdin string
		args        []string
	}{
		{"passphrase on stdin", "correct horse\n", []string{"import", "--json", sealed}},
		{"passphrase in a file", "", []string{"import", "--json", "--passphrase-file", filepath.Join(r.dir, "passphrase"), sealed}},
		{"passphrase on stdin by name", "correct horse", []string{"import", "--json", "--passphrase-file", "-", sealed}},
		{"not encrypted", "", []string{"import", "--json", plain}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			other := newRig(t)
			out, errOut, code := other.run(test.stdin, test.args...)
			if code != 0 || len(decode[importReport](t, out).Warnings) != 1 {
				t.Fatalf("exit %d, %s%s", code, out, errOut)
			}
			list := decode[struct{ Accounts []plugin.Account }](t, other.must("list", "--json")).Accounts
			if len(list) != 2 || list[0].Label != "a" || list[1].Label != "b" || list[1].Enabled || list[1].Note != "of the team" || !slices.Equal(list[1].Tags, []string{"team"}) {
				t.Errorf("imported %+v", list)
			}
		})
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, named("a")...)
	sealed := filepath.Join(r.dir, "sealed.age")
	if _, errOut, code := r.run("correct horse\n", "export", sealed); code != 0 {
		t.Fatal(errOut)
	}
	first, err := os.ReadFile(sealed)
	if err != nil {
		t.Fatal(err)
	}
	damaged := r.write("damaged.age", string(first[:len(first)-5]))
	key := r.write("key.age", "age-encryption.org/v1\n-> X25519 "+strings.Repeat("A", 43)+"\n"+strings.Repeat("A", 43)+"\n--- "+strings.Repeat("A", 43)+"\n")
	empty := newRig(t)
	for _, test := range []struct {
		name, stdin string
		rig         *rig
		args        []string
		code        int
		line        string // all of stderr
	}{
		{"wrong passphrase", "battery staple\n", r, []string{"import", sealed}, 1, "codex-rota: " + sealed + ": the passphrase is wrong\n"},
		{"damaged", "correct horse\n", r, []string{"import", damaged}, 1, "codex-rota: " + damaged + ": the file is damaged: its end does not fit the rest\n"},
		{"for a key", "correct horse\n", r, []string{"import", key}, 1, "codex-rota: " + key + ": the file is encrypted for a key, not with a passphrase; decrypt it with age, then import what comes out\n"},
		{"no passphrase", "", r, []string{"export", filepath.Join(r.dir, "new.age")}, 2, "codex-rota: there is no passphrase on the first line of stdin; without a terminal give --passphrase-file FILE, or write it to stdin\n"},
		{"the file is there", "other\n", r, []string{"export", sealed}, 1, "codex-rota: " + sealed + " is there already and was left as it is; name another file, or add --yes to write over it\n"},
		{"empty pool", "x\n", empty, []string{"export", filepath.Join(empty.dir, "new.age")}, 3, "codex-rota: there is no login in the pool to export. Type: codex-rota add\n"},
		{"plain with a passphrase", "", r, []string{"export", "--plain", "--passphrase-file", "x", "y"}, 2, "codex-rota: --plain takes no passphrase\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errOut, code := test.rig.run(test.stdin, test.args...)
			if code != test.code || errOut != test.line {
				t.Errorf("exit %d, want %d\n got %q\nwant %q", code, test.code, errOut, test.line)
			}
		})
	}
	if now, err := os.ReadFile(sealed); err != nil || string(now) != string(first) {
		t.Error("the file that was there was changed")
	}
	for _, name := range []string{"new.age", "y"} {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	if _, errOut, code := r.run("other\n", "export", "--yes", sealed); code != 0 {
		t.Errorf("export --yes: %s", errOut)
	}
	if _, errOut, code := r.run("other\n", "import", sealed); code != 0 {
		t.Errorf("with the new passphrase: exit %d, %s", code, errOut)
	}
}
