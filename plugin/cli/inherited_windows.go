package cli

// dropInherited has nothing to do: under Windows a process is given no handles but
// those that are named.
func dropInherited() error { return nil }
