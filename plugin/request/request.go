// Package request rewrites one model request so that the ChatGPT backend takes
// it: which bytes of the body to change, the URL to send it to and the headers
// to send with it. It is pure: no I/O, no clock, no logger. It never parses the
// body into a tree: one pass finds offsets, and what needs no change is not
// touched (DESIGN 1.4, FACTS-upstream 3).
package request

// Mode is the setting `transform` (DESIGN 8).
type Mode string

const (
	ModeNative Mode = "native" // mend what the backend would refuse, nothing else
	ModeCodex  Mode = "codex"  // as native, with Codex's instructions and its lite shape
	ModeOff    Mode = "off"    // URL and headers only
)

// Model is what the catalogue says of one slug (FACTS-upstream 3).
type Model struct {
	Slug    string
	Efforts []string // supported_reasoning_levels, in the catalogue's order
	Lite    bool     // use_responses_lite
}

// Catalogue is the models by slug. Nil means that nothing is known: then every
// model passes as it is.
type Catalogue map[string]Model

// Header is one name and value as a host sent it. Order and case are kept.
type Header = [2]string

// Edit replaces Delete bytes at Start of the original body by Text. On the wire
// it is [start, delete, "text"]. Edits are ascending, never overlap, and all
// count from the original body.
type Edit struct {
	Start  int
	Delete int
	Text   string
}

// Options says how a body is to be transformed.
type Options struct {
	Mode      Mode
	Catalogue Catalogue
	// Untouched is for a host that sends what its own backend takes (codex):
	// no edit is made but for Model, DropReasoning and Dropped.
	Untouched bool
	// Model replaces the body's model when not "" (modelFallback).
	Model string
	// Instructions are the Codex instructions for the model: used when
	// Body.NeedsInstructions says so, and in ModeCodex.
	Instructions string
	// DropReasoning drops every reasoning item, and every other item with
	// encrypted content, such as a compaction blob (after
	// invalid_encrypted_content).
	DropReasoning bool
	// Dropped reports whether the item with this content hash was dropped
	// earlier in the session; such items are dropped again. Nil: none.
	Dropped func(hash string) bool
}

// Result is a transformed body.
type Result struct {
	Edits []Edit // never nil
	// Model is the slug that is sent.
	Model string
	// Collapse is true when the caller did not ask to stream: the answer, which
	// the backend only gives as a stream, must be collapsed into one JSON. It
	// is false for Untouched: there the answer comes as it was asked for.
	Collapse bool
	// Headers must be sent as well (lite).
	Headers []Header
	// Dropped are the hashes of the encrypted items this result leaves out.
	Dropped []string
}
