package plugin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"codex-rota/pool"
)

// Check is one line of the doctor's report.
type Check struct {
	Name   string `json:"name"`
	Result string `json:"result"` // CheckOK, CheckWarn or CheckFail, after mending
	Detail string `json:"detail"`
	Mend   string `json:"mend,omitempty"`  // what to type, or to do
	Fixed  string `json:"fixed,omitempty"` // what Doctor.Fix did
}

// Results of a check. A warning costs something, a failure keeps calls from
// working or will cost a login.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckFail = "fail"
)

// Diagnosis is what `codex-rota doctor --json` prints.
type Diagnosis struct {
	Schema int     `json:"schema"`
	Passed bool    `json:"passed"` // nothing failed
	Checks []Check `json:"checks"`
	// Unreadable says that the accounts cannot be read (exit code 5).
	Unreadable bool `json:"unreadable"`
}

// fixCommand mends what is safe to mend.
const fixCommand = "codex-rota doctor --fix"

// Doctor looks at everything codex-rota needs. It presents no token and makes no
// model call: the network sees one request without credentials for each origin.
// Store needs no way to refresh.
type Doctor struct {
	Root      string
	Store     *pool.Store
	Book      *pool.BookFile
	Settings  Settings
	Warnings  []string // of the settings
	HTTP      *http.Client
	Now       func() time.Time
	Sensitive bool // name accounts by their e-mails unmasked
	// Others are other tools' files of logins, Placeholder the refresh token that
	// is none in them.
	Others      []ImportFile
	Placeholder string
	// LongLocks are lock files that a process rightly holds for as long as it runs.
	LongLocks []string
	// Hosts looks at how the hosts are set up, and sets them up again if told to.
	Hosts func(ctx context.Context, fix bool) []Check
	Fix   bool // mend what is safe

	checks []Check
}

// Examine runs every check. Each gives at least one line.
func (d *Doctor) Examine(ctx context.Context) *Diagnosis {
	d.checks = nil
	d.checkRoot()
	readable := d.checkStore(ctx)
	d.checkLocks(ctx)
	if readable {
		d.checkRefreshes(ctx)
	}
	d.checkSettings()
	d.checkNetwork(ctx)
	if d.Hosts != nil {
		d.checks = append(d.checks, d.Hosts(ctx, d.Fix)...)
	}
	if readable {
		d.checkTokenOwners()
		d.checkAccounts()
	}
	failed := slices.ContainsFunc(d.checks, func(c Check) bool { return c.Result == CheckFail })
	return &Diagnosis{Schema: 1, Passed: !failed, Checks: d.checks, Unreadable: !readable}
}

func (d *Doctor) ok(name, format string, args ...any) {
	d.checks = append(d.checks, Check{Name: name, Result: CheckOK, Detail: fmt.Sprintf(format, args...)})
}

func (d *Doctor) warn(name, mend, format string, args ...any) {
	d.checks = append(d.checks, Check{Name: name, Result: CheckWarn, Mend: mend, Detail: fmt.Sprintf(format, args...)})
}

func (d *Doctor) fail(name, mend, format string, args ...any) {
	d.checks = append(d.checks, Check{Name: name, Result: CheckFail, Mend: mend, Detail: fmt.Sprintf(format, args...)})
}

func (d *Doctor) fixed(name, did, format string, args ...any) {
	d.checks = append(d.checks, Check{Name: name, Result: CheckOK, Fixed: did, Detail: fmt.Sprintf(format, args...)})
}

// silent reports whether a check has said nothing yet.
func (d *Doctor) silent(name string) bool {
	return !slices.ContainsFunc(d.checks, func(c Check) bool { return c.Name == name })
}

// checkRoot looks at owners, modes and symlinks of what we keep.
func (d *Doctor) checkRoot() {
	found := pool.InspectRoot(d.Root, d.Fix)
	for _, f := range found.Refused {
		d.fail("root", f.Mend, "%s", f.Text)
	}
	for _, f := range found.Warnings {
		d.warn("root", f.Mend, "%s", f.Text)
	}
	if d.silent("root") {
		d.ok("root", "%s is yours alone", d.Root)
	}
	for _, text := range found.Loose {
		d.warn("modes", fixCommand, "%s", text)
	}
	for _, text := range found.Tightened {
		d.fixed("modes", "took the access of others away", "%s", text)
	}
	if d.silent("modes") {
		d.ok("modes", "nobody else can read the files")
	}
	for _, link := range found.Links {
		if slices.Contains(found.Dangling, link) {
			path, _, _ := strings.Cut(link, " → ")
			d.warn("symlinks", "bring its target back, or remove "+path, "%s: nothing is there", link)
			continue
		}
		d.ok("symlinks", "%s", link)
	}
	if d.silent("symlinks") {
		d.ok("symlinks", "none")
	}
}

// checkSettings looks at settings.json, the environment and the quota cache.
func (d *Doctor) checkSettings() {
	if warning := d.Book.Warning(); warning != "" {
		d.warn("quota-cache", "nothing: the next limit that is met moves the file aside and begins a new one", "%s", warning)
	} else {
		d.ok("quota-cache", "limits and sessions are shared by all processes")
	}
	for _, w := range d.Warnings {
		d.warn("settings", "edit it as the values in this line allow", "%s", w)
	}
	if len(d.Warnings) == 0 {
		d.ok("settings", "rotation %s, transform %s", d.Settings.Rotation, d.Settings.Transform)
	}
}

// checkAccounts names the accounts that are out of service for good.
func (d *Doctor) checkAccounts() {
	const name = "accounts"
	accounts, err := d.Store.Accounts()
	if err != nil {
		d.fail(name, "", "%v", err)
		return
	}
	count := map[pool.StateName]int{}
	var order []pool.StateName
	for i := range accounts {
		a := &accounts[i]
		facts := d.Book.Facts(a.ID)
		state := pool.StateOf(a, &facts, "", d.Now())
		if count[state.Name]++; count[state.Name] == 1 {
			order = append(order, state.Name)
		}
		switch {
		case state.Name == pool.StateNeedsLogin:
			d.warn(name, "codex-rota add", "%s needs a login: %s", nameOf(a, d.Sensitive), state.Reason)
		case state.Name == pool.StateSuspended:
			d.warn(name, "codex-rota add", "%s is suspended: %s", nameOf(a, d.Sensitive), state.Reason)
		case a.Problem != "":
			d.warn(name, "codex-rota add", "%s: %s", nameOf(a, d.Sensitive), a.Problem)
		}
	}
	var words []string
	for _, state := range order {
		words = append(words, fmt.Sprintf("%d %s", count[state], strings.ReplaceAll(string(state), "_", " ")))
	}
	switch {
	case len(accounts) == 0:
		d.warn(name, "codex-rota add", "there is no ChatGPT account in the pool yet")
	case count[pool.StateNeedsLogin]+count[pool.StateSuspended] == len(accounts):
		d.fail(name, "codex-rota add", "no account can be used: %s", strings.Join(words, ", "))
	case count[pool.StateDisabled] == len(accounts):
		d.warn(name, "codex-rota enable WHO", "every account is disabled")
	default:
		d.ok(name, "%s", strings.Join(words, ", "))
	}
}
