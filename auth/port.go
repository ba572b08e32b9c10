package auth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// listenLoopback listens on the port at 127.0.0.1 and ::1, never on all
// interfaces. One address is enough: a machine may have no IPv6. half says that
// the other one is somebody else's.
func listenLoopback(port int) (listeners []net.Listener, half *PortError, err error) {
	var failures []error
	for _, at := range [...]struct{ network, host string }{{"tcp4", "127.0.0.1"}, {"tcp6", "::1"}} {
		l, err := net.Listen(at.network, net.JoinHostPort(at.host, strconv.Itoa(port)))
		if err != nil {
			failures = append(failures, err)
			continue
		}
		listeners = append(listeners, l)
	}
	failure := &PortError{Port: port, Taken: slices.ContainsFunc(failures, isTaken), cause: errors.Join(failures...)}
	if failure.Taken {
		failure.Holder = portHolder(os.DirFS("/proc"), port)
	}
	switch {
	case len(listeners) == 0:
		return nil, nil, failure
	case failure.Taken:
		return listeners, failure, nil
	}
	return listeners, nil, nil
}

// Windows' own numbers for a port in use, and for one that the system keeps for
// itself. No other system has such numbers.
const (
	wsaInUse    = syscall.Errno(10048)
	wsaReserved = syscall.Errno(10013)
)

func isTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaInUse) || errors.Is(err, wsaReserved)
}

// portHolder says which program listens on a loopback port, from Linux's /proc;
// "" elsewhere, and when nobody does any more.
func portHolder(proc fs.FS, port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := fs.ReadFile(proc, table)
		if err != nil {
			continue // no such system, or no IPv6
		}
		addListeners(inodes, text, port)
	}
	if len(inodes) == 0 {
		return ""
	}
	links, err := fs.Glob(proc, "[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, link := range links {
		target, err := fs.ReadLink(proc, link)
		if err != nil || !inodes[target] {
			continue // closed meanwhile, or no socket of that port
		}
		pid, _, _ := strings.Cut(link, "/")
		name, err := fs.ReadFile(proc, pid+"/comm")
		if err != nil {
			continue // ended meanwhile
		}
		return fmt.Sprintf("%s (process %s)", showable(string(name), 32), pid)
	}
	return "another user's program" // whose descriptors only that user may read
}

// reachable are the addresses at which a program keeps us from a loopback port,
// as /proc/net shows them on little-endian machines: 0.0.0.0, 127.0.0.1, ::, ::1
// and ::ffff:127.0.0.1.
var reachable = map[string]bool{
	"00000000": true, "0100007F": true,
	"00000000000000000000000000000000": true,
	"00000000000000000000000001000000": true,
	"0000000000000000FFFF00000100007F": true,
}

// addListeners reads a table of /proc/net and adds what the descriptors of those
// who listen on the port link to.
func addListeners(inodes map[string]bool, table []byte, port int) {
	const listening = "0A"
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != listening {
			continue
		}
		host, hexPort, _ := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(hexPort, 16, 16); err == nil && int(n) == port && reachable[host] {
			inodes["socket:["+f[9]+"]"] = true
		}
	}
}
