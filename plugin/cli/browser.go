package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// desk is what tells whether a browser can be opened where we run, and whether it
// would find its way back to a port of ours.
type desk struct {
	system string                               // runtime.GOOS
	env    func(string) string                  // environment
	find   func(program string) (string, error) // exec.LookPath
	exists func(path string) bool
}

func (a *app) desk() desk {
	return desk{system: runtime.GOOS, env: a.Env, find: exec.LookPath, exists: func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}}
}

// browser gives the command that opens an address, which is to be appended; or,
// in words for the person, why there is none. BROWSER is the person's own word,
// which editors set where they open the browser of another machine and bring the
// port along.
func (d desk) browser() (command []string, why string) {
	for _, text := range filepath.SplitList(d.env("BROWSER")) {
		words := strings.Fields(strings.ReplaceAll(text, "%s", ""))
		if len(words) == 0 {
			continue
		}
		if _, err := d.find(words[0]); err == nil {
			return words, ""
		}
	}
	if why := d.elsewhere(); why != "" {
		return nil, why
	}
	command = []string{"xdg-open"}
	switch d.system {
	case "darwin":
		command = []string{"open"}
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler"}
	default:
		if d.env("DISPLAY") == "" && d.env("WAYLAND_DISPLAY") == "" {
			return nil, "there is no graphical session"
		}
	}
	if _, err := d.find(command[0]); err != nil {
		return nil, command[0] + " is not installed"
	}
	return command, ""
}

// elsewhere says why the person's browser is on another machine than we are, ""
// when nothing says so.
func (d desk) elsewhere() string {
	set := func(names ...string) bool {
		for _, name := range names {
			if d.env(name) != "" {
				return true
			}
		}
		return false
	}
	switch {
	case set("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"):
		return "this is an SSH session"
	case set("WSL_DISTRO_NAME", "WSL_INTEROP"):
		return "this is Linux inside Windows"
	case set("container", "KUBERNETES_SERVICE_HOST"), d.system == "linux" && (d.exists("/.dockerenv") || d.exists("/run/.containerenv")):
		return "this is a container"
	}
	return ""
}

// openBrowser opens an address. What the browser and its starter print goes
// nowhere, Ctrl-C does not reach them, and the channel tells when the starter
// ended and how.
func openBrowser(command []string, address string) <-chan error {
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], address)...)
	cmd.SysProcAttr = ownSession()
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		ended <- err
		return ended
	}
	go func() { ended <- cmd.Wait() }()
	return ended
}
