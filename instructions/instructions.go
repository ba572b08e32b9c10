// Package instructions keeps the Codex instructions and the model catalogue
// from the newest release of openai/codex on GitHub: an ETag cache with a
// 15-minute TTL on disk, shared by all processes (FACTS-upstream 6). It sends no
// credentials and asks nobody but GitHub.
package instructions
