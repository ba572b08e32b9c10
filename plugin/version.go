package plugin

// Version is this binary's, as `codex-rota version`, the manifest and the shim
// tell it.
const Version = "0.1.0"
