package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"codex-rota/plugin"
)

// poolNames are the accounts files of the Node tools; the first is ours too.
var poolNames = [...]string{"openai-codex-accounts.json", "oc-codex-multi-auth-accounts.json"}

// largestImport bounds what is read of a file that is not ours.
const largestImport = 16 << 20

// importFiles reads every file on this machine that is known to hold logins:
// OpenCode's and Codex's auth.json, and the pools of the Node tools. The accounts
// file of our own pool is not among them.
func (a *app) importFiles() []plugin.ImportFile {
	files := readImport(nil, plugin.FromOpenCode, a.openCode().AuthPath())
	files = readImport(files, plugin.FromCodex, filepath.Join(a.codexHome(), "auth.json"))
	own, _ := os.Stat(filepath.Join(a.root(), poolNames[0]))
	var seen []fs.FileInfo
	for _, path := range a.poolPaths() {
		info, err := os.Stat(path)
		if err != nil || own != nil && os.SameFile(own, info) || contains(seen, info) {
			continue
		}
		seen = append(seen, info)
		files = readImport(files, plugin.FromPool, path)
	}
	return files
}

func contains(seen []fs.FileInfo, info fs.FileInfo) bool {
	for _, other := range seen {
		if os.SameFile(other, info) {
			return true
		}
	}
	return false
}

// codexHome is the Codex CLI's folder (FACTS-hosts 2).
func (a *app) codexHome() string {
	if dir := a.Env("CODEX_HOME"); dir != "" {
		return dir
	}
	return filepath.Join(a.Home, ".codex")
}

// poolPaths are the places where the Node tools keep or kept their pools: one
// for the person, and one for each project, which lay in the project's own folder
// once.
func (a *app) poolPaths() []string {
	data := a.Env("XDG_DATA_HOME")
	if data == "" {
		data = filepath.Join(a.Home, ".local", "share")
	}
	roots := []string{
		a.root(),
		filepath.Join(a.codexHome(), "multi-auth"),
		filepath.Join(a.Home, ".codex", "multi-auth"),
		filepath.Join(a.Home, "DevTools", "config", "codex", "multi-auth"),
		filepath.Join(a.Home, ".codex"),
		filepath.Join(a.Home, ".opencode"),
		filepath.Join(data, "opencode"),
	}
	if roaming := a.Env("APPDATA"); roaming != "" {
		roots = append(roots, filepath.Join(roaming, "opencode"))
	}
	for _, dir := range projectFolders(a.Home) {
		roots = append(roots, filepath.Join(dir, ".codex"), filepath.Join(dir, ".opencode"))
	}
	var paths []string
	for _, root := range roots {
		for _, name := range poolNames {
			paths = append(paths, filepath.Join(root, name))
		}
		projects, err := os.ReadDir(filepath.Join(root, "projects"))
		if err != nil {
			continue
		}
		for _, project := range projects {
			for _, name := range poolNames {
				paths = append(paths, filepath.Join(root, "projects", project.Name(), name))
			}
		}
	}
	return paths
}

// projectFolders are the working folder and those above it, up to the project's
// own (the one with .git) and never beyond the home.
func projectFolders(home string) []string {
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	var out []string
	for dir != home && filepath.Dir(dir) != dir {
		out = append(out, dir)
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return out
}

// readImport adds a file, if it is there.
func readImport(files []plugin.ImportFile, from, path string) []plugin.ImportFile {
	data, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return files
	}
	return append(files, plugin.ImportFile{From: from, Path: path, Data: data, Err: err})
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largestImport+1))
	if err == nil && len(data) > largestImport {
		err = fmt.Errorf("%s is larger than %d MiB", path, largestImport>>20)
	}
	return data, err
}
