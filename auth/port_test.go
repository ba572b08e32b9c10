package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// take listens on a port of this address that was free.
func take(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("SKIPPED: cannot listen on %s, so nothing was tested: %v", host, err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// freePort is a port that nobody has at this moment.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestPortTaken(t *testing.T) {
	port := take(t, "127.0.0.1")
	if l, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", port)); err == nil { // no IPv6 is as good
		defer l.Close()
	}
	_, err := (&Client{}).StartBrowser(t.Context(), CodeOptions{Port: port})
	var e *PortError
	if !errors.As(err, &e) || !e.Taken || e.Port != port {
		t.Fatalf("got %v", err)
	}
	want := fmt.Sprintf("port %d is taken by another program", port)
	if runtime.GOOS == "linux" {
		name, err := os.ReadFile("/proc/self/comm")
		if err != nil {
			t.Fatal(err)
		}
		want = fmt.Sprintf("port %d is taken by %s (process %d)", port, strings.TrimSpace(string(name)), os.Getpid())
	}
	if err.Error() != want {
		t.Errorf("says %q, want %q", err, want)
	}
}

func TestHalfPort(t *testing.T) {
	port := take(t, "::1")
	l, err := (&Client{}).StartBrowser(t.Context(), CodeOptions{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Cancel()
	if l.HalfPort == nil || !l.HalfPort.Taken {
		t.Errorf("got %v", l.HalfPort)
	}
}

func TestCannotListen(t *testing.T) {
	_, err := (&Client{}).StartBrowser(t.Context(), CodeOptions{Port: 99999})
	var e *PortError
	if !errors.As(err, &e) || e.Taken || !strings.HasPrefix(err.Error(), "cannot listen on port 99999: ") {
		t.Errorf("got %v", err)
	}
}

func TestPortHolder(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	row := func(address, state, inode string) string {
		return "   0: " + address + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000  1000        0 " + inode + " 1 0000000000000000 100 0 0 10 0\n"
	}
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte(to)} }
	processes := fstest.MapFS{
		"812/comm": {Data: []byte("no\x1bde\n")}, "812/fd/3": link("socket:[77]"), "812/fd/4": link("/dev/null"),
		"913/comm": {Data: []byte("other\n")}, "913/fd/3": link("socket:[78]"),
		"self/fd/3": link("socket:[77]"),
	}
	for _, tc := range []struct{ name, tcp, tcp6, want string }{
		{"127.0.0.1", row("0100007F:05AF", "0A", "77"), "", "node (process 812)"},
		{"all interfaces", row("00000000:05AF", "0A", "77"), "", "node (process 812)"},
		{"::1", "", row("00000000000000000000000001000000:05AF", "0A", "77"), "node (process 812)"},
		{"all of IPv6", "", row("00000000000000000000000000000000:05AF", "0A", "77"), "node (process 812)"},
		{"another port before it", row("0100007F:05B0", "0A", "78"), row("00000000000000000000000001000000:05AF", "0A", "77"), "node (process 812)"},
		{"another interface", row("0101A8C0:05AF", "0A", "77"), "", ""},
		{"a connection, no listener", row("0100007F:05AF", "01", "77"), "", ""},
		{"another user's", row("0100007F:05AF", "0A", "79"), "", "another user's program"},
		{"damaged", "x\n0: :\n" + head, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			proc := fstest.MapFS{"net/tcp": {Data: []byte(head + tc.tcp)}, "net/tcp6": {Data: []byte(head + tc.tcp6)}}
			for name, file := range processes {
				proc[name] = file
			}
			if got := portHolder(proc, 1455); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got := portHolder(fstest.MapFS{}, 1455); got != "" {
		t.Errorf("without /proc: %q", got)
	}
}
