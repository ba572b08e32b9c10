package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

// Garbage is collected late by a command that ends soon, as ever by one that goes
// on for long, and as GOGC says where it says something. It runs in a process of its
// own: the percent is the process's, and so are the signals that serve ignores, which
// whatever is started later would ignore as well.
func TestGarbageIsCollected(t *testing.T) {
	if os.Getenv(builtBinary) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestGarbageIsCollected$")
		cmd.Env = append(os.Environ(), builtBinary+"="+binary)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const whoSaid = 77 // neither of ours
	r := newRig(t, named("work")...)
	for _, c := range []struct {
		name string
		args []string
		gogc string
		want int
	}{
		{"a look", []string{"list"}, "", startGC},
		{"a host's server", []string{"serve"}, "", stayGC},
		{"an MCP client's server", []string{"mcp"}, "", stayGC},
		{"quota drawn again and again", []string{"quota", "--watch"}, "", stayGC},
		{"quota once", []string{"quota"}, "", startGC},
		{"the log followed", []string{"logs", "--follow"}, "", stayGC},
		{"the person's word", []string{"list"}, "50", whoSaid},
		{"the person's word, for long", []string{"serve"}, "50", whoSaid},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{}
			for _, pair := range r.env(nil, "GOGC="+c.gogc) {
				name, value, _ := strings.Cut(pair, "=")
				env[name] = value
			}
			var out, said bytes.Buffer
			sys := System{In: strings.NewReader(""), Out: &out, Err: &said, Env: func(name string) string { return env[name] },
				Environ: func() []string { return r.env(nil) }, Home: env["HOME"], Executable: binary,
				Terminal: true, Size: func() (columns, lines int) { return 80, 24 }}
			ctx, stop := context.WithCancel(t.Context())
			stop() // what goes on for long is over at once
			before := debug.SetGCPercent(whoSaid)
			defer debug.SetGCPercent(before)
			Run(ctx, append([]string{"codex-rota"}, c.args...), sys)
			if got := debug.SetGCPercent(before); got != c.want {
				t.Errorf("the percent is %d, want %d (%s)", got, c.want, said.String())
			}
		})
	}
}
