package cli

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDesk: where a browser can be opened, by which command, and why not.
func TestDesk(t *testing.T) {
	for _, test := range []struct {
		name    string
		system  string
		env     map[string]string
		files   []string
		missing bool // programs are not installed
		command string
		why     string
	}{
		{name: "X11", system: "linux", env: map[string]string{"DISPLAY": ":0"}, command: "xdg-open"},
		{name: "Wayland", system: "linux", env: map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, command: "xdg-open"},
		{name: "console", system: "linux", why: "there is no graphical session"},
		{name: "no opener", system: "linux", env: map[string]string{"DISPLAY": ":0"}, missing: true, why: "xdg-open is not installed"},
		{name: "SSH with X11", system: "linux", env: map[string]string{"DISPLAY": ":10", "SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, why: "this is an SSH session"},
		{name: "SSH on a Mac", system: "darwin", env: map[string]string{"SSH_TTY": "/dev/ttys001"}, why: "this is an SSH session"},
		{name: "WSL", system: "linux", env: map[string]string{"DISPLAY": ":0", "WSL_DISTRO_NAME": "Debian"}, why: "this is Linux inside Windows"},
		{name: "Docker", system: "linux", env: map[string]string{"DISPLAY": ":0"}, files: []string{"/.dockerenv"}, why: "this is a container"},
		{name: "Podman", system: "linux", env: map[string]string{"DISPLAY": ":0"}, files: []string{"/run/.containerenv"}, why: "this is a container"},
		{name: "pod", system: "linux", env: map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, why: "this is a container"},
		{name: "Mac", system: "darwin", command: "open"},
		{name: "Windows", system: "windows", command: "rundll32 url.dll,FileProtocolHandler"},
		{name: "BROWSER", system: "linux", env: map[string]string{"BROWSER": "/bin/helper", "SSH_CONNECTION": "x"}, files: []string{"/.dockerenv"}, command: "/bin/helper"},
		{name: "BROWSER with words", system: "linux", env: map[string]string{"BROWSER": "firefox --new-tab %s"}, command: "firefox --new-tab"},
		{name: "BROWSER that is not there", system: "linux", env: map[string]string{"BROWSER": "helper"}, missing: true, why: "there is no graphical session"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := desk{system: test.system, env: func(name string) string { return test.env[name] }, exists: func(path string) bool {
				return len(test.files) > 0 && path == test.files[0]
			}, find: func(program string) (string, error) {
				if test.missing {
					return "", exec.ErrNotFound
				}
				return program, nil
			}}
			command, why := d.browser()
			if got := strings.Join(command, " "); got != test.command || why != test.why {
				t.Errorf("got %q, %q", got, why)
			}
		})
	}
}
