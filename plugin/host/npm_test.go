package host

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// fakeNPM is an npm that makes the package it is asked for, or fails.
func fakeNPM(t *testing.T, script string) {
	if runtime.GOOS == "windows" {
		t.Skip("the fake npm is a shell script")
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func platformPackage(dir string) string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	return filepath.Join(dir, "node_modules", "opencode-"+runtime.GOOS+"-"+arch+"-baseline")
}

func TestFindOrInstallOpenCode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hosts")
	pkg := platformPackage(dir)
	fakeNPM(t, `echo "$@" >> '`+dir+`/args'
mkdir -p '`+pkg+`/bin'
echo '{"version":"`+OpenCodeVersion+`"}' > '`+pkg+`/package.json'
echo > '`+pkg+`/bin/opencode'
echo added 3 packages`)
	var progress bytes.Buffer
	for range 2 {
		path, err := FindOrInstallOpenCode(t.Context(), dir, &progress)
		if err != nil || path != filepath.Join(pkg, "bin", "opencode") {
			t.Fatalf("got %q, %v", path, err)
		}
	}
	args := mustRead(t, filepath.Join(dir, "args"))
	if strings.Count(args, "\n") != 1 || !strings.Contains(args, "--ignore-scripts") || !strings.Contains(args, "opencode-ai@"+OpenCodeVersion) {
		t.Errorf("npm was run with %q", args)
	}
	if text := progress.String(); !strings.HasPrefix(text, "installing OpenCode ") || !strings.Contains(text, "added 3 packages") {
		t.Errorf("progress %q", text)
	}
}

func TestInstallOpenCodeFails(t *testing.T) {
	fakeNPM(t, "echo no network >&2; exit 1")
	var progress bytes.Buffer
	if _, err := FindOrInstallOpenCode(t.Context(), t.TempDir(), &progress); err == nil || !strings.Contains(err.Error(), "npm install opencode-ai@") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(progress.String(), "no network") {
		t.Errorf("progress %q", progress.String())
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := FindOrInstallOpenCode(t.Context(), t.TempDir(), &progress); !errors.Is(err, ErrNoNPM) {
		t.Errorf("without npm: %v", err)
	}
}

func TestAnotherOpenCodeIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	pkg := platformPackage(dir)
	if err := os.MkdirAll(filepath.Join(pkg, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"package.json": `{"version":"1.0.0"}`, "bin/opencode": "", "bin/opencode.exe": ""} {
		if err := os.WriteFile(filepath.Join(pkg, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := FindOpenCode(dir); err == nil {
		t.Errorf("took %s", path)
	}
}

func TestHomeForOpenCode(t *testing.T) {
	dir := t.TempDir()
	if err := PrepareHome(dir); err != nil {
		t.Fatal(err)
	}
	env := OpenCodeEnv(dir, "HOME=/elsewhere", "PATH=/bin")
	if i, j := slices.Index(env, "HOME=/elsewhere"), slices.Index(env, "HOME="+dir); i > j {
		t.Errorf("another home wins: %v", env)
	}
	for _, entry := range env {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "XDG_") || name == "TMPDIR" {
			if info, err := os.Stat(value); err != nil || !info.IsDir() || !strings.HasPrefix(value, dir) {
				t.Errorf("%s: %v", entry, err)
			}
		}
	}
	lock := mustRead(t, filepath.Join(dir, ".config", "opencode", "package-lock.json"))
	if want := `{"lockfileVersion":3,"packages":{"":{"dependencies":{"@opencode-ai/plugin":"1.18.33"}}}}`; lock != want {
		t.Errorf("lock file %s", lock)
	}
}

// package.json pins the same host for `make test`.
func TestPinnedOnce(t *testing.T) {
	if text := mustRead(t, filepath.Join("..", "..", "package.json")); !strings.Contains(text, `"opencode-ai": "`+OpenCodeVersion+`"`) {
		t.Errorf("package.json does not pin opencode-ai %s", OpenCodeVersion)
	}
	if lock := mustRead(t, filepath.Join("..", "..", "package-lock.json")); strings.Contains(lock, `"resolved"`) {
		t.Error("package-lock.json names a registry")
	}
}
