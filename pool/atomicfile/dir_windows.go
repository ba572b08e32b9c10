package atomicfile

// syncDir does nothing: Windows cannot open a folder for fsync, and NTFS
// journals the rename.
func syncDir(string) error { return nil }
