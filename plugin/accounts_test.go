package plugin

import (
	"strings"
	"testing"

	"codex-rota/pool"
)

func TestWho(t *testing.T) {
	accounts := []pool.Account{
		{ID: "acct_1", Label: "Work", Email: "me@example.com"},
		{ID: "acct_2", Label: "home", Email: "me@example.com"},
		{ID: "acct_3", Label: "1"},
	}
	for _, test := range []struct{ who, id, problem string }{
		{"acct_2", "acct_2", ""},
		{"work", "acct_1", ""},
		{"2", "acct_2", ""},
		{"3", "acct_3", ""},
		{"me@example.com", "", "matches 2 accounts"},
		{"1", "", "matches 2 accounts, name one by its id: acct_1 (1, Work); acct_3 (3, 1)"},
		{"nobody", "", "no account is called"},
		{"", "", "no account is called"},
		{"4", "", "no account is called"},
		{"-1", "", "no account is called"},
	} {
		a, err := Who(accounts, test.who)
		switch {
		case test.problem == "" && (err != nil || a.ID != test.id):
			t.Errorf("%q: got %v, %v", test.who, a, err)
		case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
			t.Errorf("%q: got %v, want an error with %q", test.who, err, test.problem)
		}
	}
}
