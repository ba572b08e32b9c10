package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// OwnFile is a file or folder that codex-rota keeps under its root (DESIGN 6).
// Path is how it is named to people; names are the patterns, relative to the
// root, of what purge deletes of it.
type OwnFile struct {
	Path  string
	Holds string
	kind  PurgeKind
	names []string
}

// OwnFiles is the one list of what lies under the root: the manifest shows it and
// purge works by it, so what is not on it is not ours to delete.
func OwnFiles() []OwnFile {
	return []OwnFile{
		// The Node tools' spare copies, and their pools of single projects, hold
		// tokens of the same accounts.
		{"openai-codex-accounts.json", "accounts and their tokens, in clear text, mode 0600", PurgeAll,
			[]string{"openai-codex-accounts.*", ".openai-codex-accounts.*", "projects/*/openai-codex-*"}},
		{"openai-codex-flagged-accounts.json", "accounts that need a new login or are suspended", PurgeAll,
			[]string{"openai-codex-flagged-accounts.*", "openai-codex-blocked-accounts.*", ".openai-codex-flagged-accounts.*"}},
		{"quota-cache.json", "quota windows, blocks, health, sessions: no tokens", PurgeAll, []string{"quota-cache.json*", ".quota-cache.json.*"}},
		{"settings.json", "settings, comments allowed", PurgeAll, []string{"settings.json", ".settings.json.*"}},
		{"cache/", "Codex instructions and the model catalogue from GitHub", PurgeCache, []string{"cache/codex-*", "cache/.codex-*"}},
		{"usage/", "tokens used per call, no content", PurgeAll, []string{"usage/*.jsonl"}},
		{"logs/codex-plugin/", "the request log, when it is switched on, and the log of the front end for Codex", PurgeLogs, []string{"logs/codex-plugin"}},
		{"front-end.json", "the port of the front end for Codex", PurgeAll, []string{"front-end.json", ".front-end.json.*"}},
		{"front-end.nonce", "the key that Codex shows to the front end, made anew at each of its starts", PurgeAll, []string{"front-end.nonce", ".front-end.nonce.*"}},
		{"locks/", "lock files, refresh intents, hashes of spent and removed refresh tokens", PurgeAll, []string{"locks"}},
		{"backups/", "copies of the accounts file", PurgeAll, []string{"backups"}},
	}
}

// PurgeKind is what is to be deleted; kinds are added together.
type PurgeKind uint

const (
	PurgeLogs  PurgeKind = 1
	PurgeCache PurgeKind = 2
	PurgeAll   PurgeKind = 4 | PurgeLogs | PurgeCache
)

// PurgeResult names what was deleted and, after PurgeAll, what is still under the
// root because it is not ours. Both are relative to the root.
type PurgeResult struct {
	Deleted   []string `json:"deleted"`
	LeftAlone []string `json:"leftAlone"`
}

// Purge deletes local data. PurgeAll waits for refreshes under way, in whatever
// process, and takes the accounts and all copies of their tokens first; a process
// that still runs finds the pool empty and writes nothing back. What could not be
// deleted is in the error, and the rest is deleted nevertheless.
func (s *Service) Purge(ctx context.Context, kind PurgeKind) (*PurgeResult, error) {
	root := s.options.Root
	result := &PurgeResult{Deleted: []string{}, LeftAlone: []string{}}
	matches := ownNames(root, kind)
	var failures []error
	if kind == PurgeAll {
		// The facts' lock is made by this where it is missing, so that the store
		// can hold it with all others.
		if err := s.book.Clear(ctx); err != nil {
			return result, s.storeError(err)
		}
		if err := s.store.Purge(ctx); err != nil {
			return result, s.storeError(err)
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(matches, ownNames(root, kind)...)))) {
		if err := removeThrough(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			failures = append(failures, err)
			continue
		}
		result.Deleted = append(result.Deleted, name)
	}
	if kind == PurgeAll {
		left, err := removeEmpty(root)
		result.LeftAlone = append(result.LeftAlone, left...)
		failures = append(failures, err)
		s.announce("accounts/changed", Empty{})
	}
	if err := errors.Join(failures...); err != nil {
		return result, fmt.Errorf("not everything could be deleted: %w", err)
	}
	return result, nil
}

// ownNames are the names under the root that the kind covers and that are there.
func ownNames(root string, kind PurgeKind) []string {
	var names []string
	for _, own := range OwnFiles() {
		if own.kind&^kind != 0 {
			continue
		}
		for _, pattern := range own.names {
			found, _ := fs.Glob(os.DirFS(root), pattern) // the patterns are constants, and it has no other error
			names = append(names, found...)
		}
	}
	return names
}

// removeThrough deletes a file or a folder, and what a symlink leads to: it was
// written through, and may hold tokens. Only settings are somebody's own work.
func removeThrough(name string) error {
	if target, err := filepath.EvalSymlinks(name); err == nil && target != name && filepath.Base(name) != "settings.json" {
		if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if err := os.RemoveAll(target); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(name)
}

// removeEmpty deletes our folders and the root where nothing is left in them, and
// lists what is.
func removeEmpty(root string) (left []string, err error) {
	projects, _ := fs.Glob(os.DirFS(root), "projects/*")
	for _, name := range append(projects, "projects", "cache", "usage", "logs", ".") {
		// A folder that is not empty stays: what it holds is listed below.
		_ = os.Remove(filepath.Join(root, filepath.FromSlash(name)))
	}
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	return left, err
}
