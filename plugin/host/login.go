package host

// Placeholder stands where OpenCode's auth.json holds tokens, in the entry that
// Install and the shim make. It is no token.
const Placeholder = "codex-rota"

// AuthPath is OpenCode's auth.json, whether it is there or not.
func (o *OpenCode) AuthPath() string { return o.authPath }
