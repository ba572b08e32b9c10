package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/cpu"
)

// OpenCodeVersion is the OpenCode that codex-rota is tested with.
const OpenCodeVersion = "1.18.33"

// ErrNoNPM says that OpenCode is not there and npm, which would bring it, is not
// either.
var ErrNoNPM = errors.New("npm is not installed, and OpenCode comes from npm; install Node.js, or use the way without a host")

// FindOrInstallOpenCode gives the path of the pinned OpenCode's binary under
// dir/node_modules, brought there by npm when it is not: some 100 MB, without any
// package's install scripts. What happens is told to progress.
func FindOrInstallOpenCode(ctx context.Context, dir string, progress io.Writer) (string, error) {
	if path, err := FindOpenCode(dir); err == nil {
		return path, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", ErrNoNPM
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("install OpenCode: %w", err)
	}
	progress = &lockedWriter{w: progress}
	fmt.Fprintf(progress, "installing OpenCode %s from npm into %s\n", OpenCodeVersion, dir)
	stop := tick(progress)
	defer stop()
	cmd := exec.CommandContext(ctx, npm, "install", "--no-save", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error",
		"--prefix", dir, "opencode-ai@"+OpenCodeVersion)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm install opencode-ai@%s: %w", OpenCodeVersion, err)
	}
	return FindOpenCode(dir)
}

// lockedWriter lets npm and the ticker write to one place.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// tick says now and then that something is still going on, until stop is called.
func tick(progress io.Writer) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(ended)
		t := time.NewTicker(5 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				fmt.Fprintf(progress, "still installing, %d s\n", int(time.Since(start).Seconds()))
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// CodexVersion is the Codex CLI that codex-rota is tested with.
const CodexVersion = "0.169.0"

// FindCodex gives the path of the pinned Codex CLI's binary under
// dir/node_modules, without installing anything.
func FindCodex(dir string) (string, error) {
	system, arch, name := runtime.GOOS, npmArch(), "codex"
	if system == "windows" {
		system, name = "win32", "codex.exe"
	}
	pkg := filepath.Join(dir, "node_modules", "@openai", "codex-"+system+"-"+arch)
	// The version of a platform's package bears the platform's name behind it.
	version, _, _ := strings.Cut(packageVersion(pkg), "-")
	found, err := filepath.Glob(filepath.Join(pkg, "vendor", "*", "bin", name))
	if err != nil || version != CodexVersion || len(found) == 0 || !isFile(found[0]) {
		return "", fmt.Errorf("no Codex CLI %s for %s-%s in %s", CodexVersion, system, arch, filepath.Join(dir, "node_modules"))
	}
	return found[0], nil
}

// packageVersion is the version of an npm package in a folder, "" without one.
func packageVersion(dir string) string {
	var manifest struct {
		Version string `json:"version"`
	}
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil || json.Unmarshal(b, &manifest) != nil {
		return ""
	}
	return manifest.Version
}

// npmArch is npm's word for this machine's architecture.
func npmArch() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}

// FindOpenCode gives the path of the pinned OpenCode's binary under
// dir/node_modules, without installing anything.
func FindOpenCode(dir string) (string, error) {
	system, name := runtime.GOOS, "opencode"
	if system == "windows" {
		name = "opencode.exe"
	}
	arch := npmArch()
	variants := []string{"", "-baseline", "-musl", "-baseline-musl"}
	if runtime.GOARCH == "amd64" && !cpu.X86.HasAVX2 {
		variants = []string{"-baseline", "-baseline-musl"}
	}
	for _, variant := range variants {
		pkg := filepath.Join(dir, "node_modules", "opencode-"+system+"-"+arch+variant)
		if packageVersion(pkg) != OpenCodeVersion {
			continue
		}
		if path := filepath.Join(pkg, "bin", name); isFile(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("no OpenCode %s for %s-%s in %s", OpenCodeVersion, system, arch, filepath.Join(dir, "node_modules"))
}
